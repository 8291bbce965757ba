"""Values of options are what Typer makes of them without its validator (test_imports holds that)."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from pixfind import errors
from pixfind.cli import conversion, options
from pixfind.storage.output import Output
from pixfind.types import TerminalImages


def _even(text: str) -> int:
    if text == "refused":
        raise errors.ConflictingOptions(first="a", second="b", detail="c", instead="d")
    if int(text) % 2:
        raise typer.BadParameter(f"{text!r} is odd")
    return int(text)


def parsed(words: list[str]) -> tuple[Any, str, int, type[BaseException | None]]:
    """Return what a command with every kind of parameter gets for these words, what it says, its exit code, and its error."""
    app, got = typer.Typer(add_completion=False), []

    @app.command(cls=options.Command)
    def run(
        query: Annotated[list[str] | None, typer.Argument()] = None,
        count: Annotated[int, typer.Option(min=-2, max=9)] = 3,
        limit: Annotated[int | None, typer.Option()] = None,
        share: Annotated[float, typer.Option(max=10)] = 0.5,
        name: Annotated[str | None, typer.Option()] = None,
        folder: Annotated[Path | None, typer.Option()] = None,
        present: Annotated[Path | None, typer.Option(exists=True)] = None,
        pictures: TerminalImages = TerminalImages.AUTO,
        exclude: Annotated[list[str] | None, typer.Option()] = None,
        even: Annotated[int | None, typer.Option(parser=_even)] = None,
        html: Annotated[Output | None, typer.Option(parser=Output.at)] = None,
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ) -> None:
        got.append((query, count, limit, share, name, folder, present, pictures, exclude, even, html, flag))

    result = CliRunner().invoke(app, words)
    return got, result.output, result.exit_code, type(result.exception)


GOOD = [
    "",
    "one two",
    "--count 9 --limit -4 --share 2",
    "--count -2 --share 0.25",
    "--name x --folder a/b --flag",
    "--present .",
    "--pictures kitty",
    "--exclude a --exclude b",
    "--even 4",
    "--html -",
]
WRONG = [
    "--count ten",
    "--count 10",
    "--count 1.5",
    "--limit ''",
    "--share x",
    "--share 11",
    "--pictures Kitty",
    "--pictures x",
    "--present /nowhere",
    "--even 3",
    "--even x",
    "--even refused",
    "--unknown",
]


@pytest.mark.parametrize("line", [*GOOD, *WRONG])
def test_values_and_messages_are_those_of_typer(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directly = parsed(line.split())
    monkeypatch.setattr(conversion, "convert_directly", lambda param: None)

    assert parsed(line.split()) == directly
    assert (line in GOOD) == (directly[2] == 0), directly[1]


def test_a_required_argument_that_is_missing_is_reported() -> None:
    app = typer.Typer(add_completion=False)

    @app.command(cls=options.Command)
    def run(name: Annotated[str, typer.Argument()]) -> None:
        pass

    result = CliRunner().invoke(app, [])
    assert 2 == result.exit_code
    assert "Missing argument" in result.output
