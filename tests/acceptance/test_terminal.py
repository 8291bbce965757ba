"""What people type and what they see: wrong names are answered with near ones, narrow terminals lose no word, and NO_COLOR is respected."""

import contextlib
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pixfind.cli import app, examples
from pixfind.cli.configuration import leaves
from pixfind.testing import make_library, make_pictures

COLOUR = re.compile(r"\x1b\[[0-9;]*?(?:3[0-7]|4[0-7]|9[0-7]|38;|48;)[0-9;]*m")


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        ("serach sky", "search"),
        ("indx", "index"),
        ("seach-text sky", "search-text"),
        ("duplicate", "duplicates"),
        ("model swich starter", "switch"),
        ("search sky --jsn", "--json"),
        ("index --dryrun", "--dry-run"),
        ("index --wokers 2", "--workers"),
        ("serve --tokenfile x", "--token-file"),
        ("search sky --libary elsewhere", "--library"),
        ("model list --libary elsewhere", "--library"),
        ("version", "--version"),
    ],
)
def test_a_wrong_name_is_answered_with_a_near_one(words: str, suggested: str) -> None:
    done = CliRunner().invoke(app, words.split())

    assert 2 == done.exit_code
    assert f"Did you mean '{suggested}'" in done.stderr


def test_the_help_names_what_is_typed_and_no_type_of_python() -> None:
    commands = [name.split() for name, _ in leaves(get_command(app))]
    pages = [CliRunner().invoke(app, [*words, "--help"]).stdout for words in commands]

    assert [] == [page for page in pages if re.search(r"<[A-Za-z][^>]*>", page)]
    assert "PIXFIND_LIBRARY" in CliRunner().invoke(app, ["--help"]).stdout


@pytest.mark.parametrize("name", examples.EXAMPLES)
@pytest.mark.parametrize("columns", ["100", "50"])
def test_the_help_ends_with_examples(name: str, columns: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": columns}).stdout

    assert " ".join(examples.EXAMPLES[name]).split() == shown.partition("Examples:")[2].split()


@pytest.mark.parametrize("line", [line for lines in examples.EXAMPLES.values() for line in lines])
def test_the_examples_are_commands(line: str) -> None:
    program: Any = get_command(app)
    _, *words = shlex.split(line)
    context = program.make_context("pixfind", [*words], resilient_parsing=False, obj=None)
    with context:
        _, found, rest = program.resolve_command(context, [*context._protected_args, *context.args])
        assert found.make_context(found.name, rest, parent=context).params


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminal")
    make_pictures(folder / "pictures", 3)
    make_library(folder / "library", folder / "pictures").close()
    return folder / "library"


def on_a_terminal(place: Path, *words: str, columns: int = 80, **environment: str) -> str:
    """What a terminal of so many columns is sent, standard error included."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "pixfind", "--library", str(place), *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    sent = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            sent += part
    os.close(ours)
    process.wait(600)
    return sent.decode()


SHOWN = (["--help"], ["search", "--help"], ["plan"], ["models"], ["status"], ["model", "show", "nowhere"], ["serach"])


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_no_color_is_respected(place: Path, words: list[str]) -> None:
    assert COLOUR.search(on_a_terminal(place, *words, NO_COLOR="1")) is None


def test_a_terminal_obeys_no_name_of_a_file_and_programs_get_it_as_it_is(tmp_path: Path) -> None:
    name = "a\x1b[31mred\nx\N{RIGHT-TO-LEFT OVERRIDE}gpj.jpg"
    (made,) = make_pictures(tmp_path / "pictures", 1)
    made.rename(tmp_path / "pictures" / name)
    make_library(tmp_path / "library", tmp_path / "pictures").close()

    for words in (["search", "red", "--all", "--paths"], ["search", "red", "--all", "--pictures", "none"]):
        sent = on_a_terminal(tmp_path / "library", *words)
        assert "a\\x1b[31mred\\x0ax\\u202egpj.jpg" in sent
        assert "\x1b[31mred" not in sent
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in sent
    command = [
        sys.executable,
        "-m",
        "pixfind",
        "--library",
        str(tmp_path / "library"),
        "search",
        "red",
        "--all",
        "--paths",
        "-0",
    ]
    assert f"{tmp_path}/pictures/{name}\0" == subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_a_terminal_that_redraws_nothing_has_no_empty_lines(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 2)
    told = on_a_terminal(tmp_path / "library", "index", str(tmp_path / "pictures"), "--model", "starter", TERM="dumb")

    assert "scanning" in told
    assert [] == [line for line in told.splitlines() if not line.strip()]


def test_a_folder_without_pictures_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("no picture")
    words = ["--library", str(tmp_path / "library"), "add", str(tmp_path / "notes")]
    told = CliRunner().invoke(app, words).stderr
    make_pictures(tmp_path / "notes", 1)
    CliRunner().invoke(app, words)
    excluded = CliRunner().invoke(app, [*words, "--exclude", "*.jpg"]).stderr

    assert "no pictures found: docs/reference/formats.md lists what is read" in told
    assert "no pictures found: all are excluded" in excluded


def test_there_are_colours_without_it(place: Path) -> None:
    for words in (["--help"], ["plan"], ["model", "show", "nowhere"]):
        assert COLOUR.search(on_a_terminal(place, *words))


@pytest.mark.parametrize("columns", [40, 60])
def test_no_word_of_the_help_is_lost_in_a_narrow_terminal(columns: int) -> None:
    for verb, command in leaves(get_command(app)):
        wide = CliRunner().invoke(app, [*verb.split(), "--help"], env={"COLUMNS": "200"}).stdout
        narrow = CliRunner().invoke(app, [*verb.split(), "--help"], env={"COLUMNS": str(columns)}).stdout
        assert max(map(len, narrow.splitlines())) <= columns
        assert "…" not in narrow, (verb, narrow)
        # Long words may be broken, so letters are compared and not words.
        for param in command.params:
            for name in param.opts:
                if name.startswith("--") and name in wide:
                    assert name in narrow, (verb, name)


@pytest.mark.parametrize("words", [["status"], ["search", "sky", "--all"], ["plan"], ["models"]], ids=" ".join)
def test_nothing_is_drawn_where_there_is_no_terminal(place: Path, words: list[str]) -> None:
    done = CliRunner().invoke(app, ["--library", str(place), *words])

    assert 0 == done.exit_code
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("search zzqq sky --json", 0),
        ("search zzqq", 1),
        ("plan", 0),
        ("status", 0),
        ("index", 0),
        ("verify", 0),
    ],
)
def test_a_command_whose_messages_nobody_reads_any_more_does_its_work(place: Path, words: str, code: int) -> None:
    """As in `pixfind index 2>&1 | head -1`; 1 would be a search without a match."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "pixfind", "--library", str(place), *words.split()]
    with os.fdopen(writer, "wb") as unread:
        done = subprocess.run(arguments, stdout=unread, stderr=unread, check=False)

    assert code == done.returncode


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_names_of_models_are_whole_in_any_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixfind.cli import tables
    from pixfind.models import registry

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(tables, "_COLUMNS_WITHOUT_TERMINAL", columns)
    shown = CliRunner().invoke(app, ["models"]).stdout

    assert [] == [model.name for model in registry.TABLE if not re.search(rf"^{model.name}[ ,\n]", shown, re.MULTILINE)]
    assert columns >= max(map(len, shown.splitlines()))
