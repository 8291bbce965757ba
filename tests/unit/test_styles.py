"""Messages with styles: escape sequences for a terminal, plain text for everything else."""

import io

import pytest

from pixfind.cli import styles


@pytest.mark.parametrize(
    ("text", "plain", "styled"),
    [
        ("none", "none", "none"),
        ("[bold]a[/bold] b", "a b", "\x1b[0;1ma\x1b[0m b"),
        ("[bold red]a[/bold red]", "a", "\x1b[0;1;31ma\x1b[0m"),
        ("[dim]a [green]b[/green] c[/dim]", "a b c", "\x1b[0;2ma \x1b[0;2;32mb\x1b[0;2m c\x1b[0m"),
        ("[Errno 13] [/photos] [blue]", "[Errno 13] [/photos] [blue]", "[Errno 13] [/photos] [blue]"),
        ("a[/bold]", "a", "a\x1b[0m"),
    ],
)
def test_styles_become_sequences_or_nothing(text: str, plain: str, styled: str) -> None:
    assert plain == styles.render(text, styled=False)
    assert styled == styles.render(text, styled=True)


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "a\\[red]", "[", "]", "\udce9[dim]", "[[bold]]"])
def test_text_from_outside_is_shown_as_it_is(name: str) -> None:
    assert f"<{name}>" == styles.render(f"[red]<{styles.escape(name)}>[/red]", styled=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "platform", "written"),
    [
        ({"TERM": "xterm-256color"}, "linux", "\x1b[0;1;31ma\x1b[0m\n"),
        ({}, "linux", "\x1b[0;1;31ma\x1b[0m\n"),
        ({"NO_COLOR": "1"}, "linux", "\x1b[0;1ma\x1b[0m\n"),
        ({"TERM": "dumb"}, "linux", "a\n"),
        ({"TTY_COMPATIBLE": "0"}, "linux", "a\n"),
        ({}, "win32", "a\n"),
        ({"WT_SESSION": "1"}, "win32", "\x1b[0;1;31ma\x1b[0m\n"),
    ],
)
def test_a_terminal_gets_the_styles_that_it_shows(environment: dict[str, str], platform: str, written: str) -> None:
    screen = Terminal()
    styles.write(screen, "[bold red]a[/bold red]", environment, platform=platform)

    assert written == screen.getvalue()


@pytest.mark.parametrize("environment", [{"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_a_file_gets_styles_only_when_asked_for(environment: dict[str, str]) -> None:
    plain, styled = io.StringIO(), io.StringIO()
    styles.write(plain, "[dim]a[/dim]", {"TERM": "xterm"})
    styles.write(styled, "[dim]a[/dim]", environment)

    assert ("a\n", "\x1b[0;2ma\x1b[0m\n") == (plain.getvalue(), styled.getvalue())


def test_a_terminal_obeys_nothing_from_outside() -> None:
    assert r"a\x1b[31mred\x07\x9b" + "\n\tb" == styles.render(styles.escape("a\x1b[31mred\x07\x9b\n\tb"), styled=True)
