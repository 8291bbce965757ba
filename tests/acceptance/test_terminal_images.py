"""Thumbnails below the hits: on terminals that can show them, and nowhere else."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library

KITTY, ITERM, SIXEL = b"\x1b_Ga=T", b"\x1b]1337;File=", b"\x1bP0;1q"


@pytest.fixture
def place(tmp_path: Path, pictures: Path) -> Path:
    make_library(tmp_path / "library", pictures).close()
    return tmp_path / "library"


def command(place: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "pixfind", "--library", str(place), *arguments]


def on_a_terminal(place: Path, *arguments: str, answer: bytes = b"", **environment: Any) -> bytes:
    """What a terminal with these names is sent; it answers the question for its attributes."""
    named = ("TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "TMUX")
    kept = {name: value for name, value in os.environ.items() if name not in named}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(place, *arguments), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env={**kept, **environment}
    )
    os.close(theirs)
    sent = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            sent += part
            if b"\x1b[c" in part:
                os.write(ours, answer)
    os.close(ours)
    assert 0 == process.wait(timeout=600)
    return sent


SEARCH = ("search-text", "sky", "--all", "-k", "3")


@pytest.mark.parametrize(
    ("environment", "mark"),
    [({"TERM": "xterm-kitty"}, KITTY), ({"TERM": "xterm", "TERM_PROGRAM": "iTerm.app"}, ITERM)],
)
def test_a_terminal_that_says_so_gets_a_thumbnail_for_each_hit(
    place: Path, environment: dict[str, Any], mark: bytes
) -> None:
    sent = on_a_terminal(place, *SEARCH, **environment)

    assert 3 == sent.count(mark)
    assert 3 == sent.count(b"picture_000")


def test_a_terminal_gets_sixels_when_it_answers_with_four_and_nothing_otherwise(place: Path) -> None:
    assert 3 == on_a_terminal(place, *SEARCH, answer=b"\x1b[?62;4c", TERM="xterm").count(SIXEL)
    assert b"\x1bP" not in on_a_terminal(place, *SEARCH, answer=b"\x1b[?62;22c", TERM="xterm")


@pytest.mark.parametrize("arguments", [("--pictures", "none"), ("--json",), ("--paths",)])
def test_no_pictures_where_they_are_not_wanted(place: Path, arguments: tuple[str, ...]) -> None:
    assert KITTY not in on_a_terminal(place, *SEARCH, *arguments, TERM="xterm-kitty")


@pytest.mark.parametrize("verb", ["search", "search-text", "search-image"])
@pytest.mark.parametrize(("how", "count"), [("auto", 0), ("none", 0), ("kitty", 3)])
def test_a_pipe_gets_paths_alone_unless_pictures_are_asked_for_by_name(
    place: Path, pictures: Path, verb: str, how: str, count: int
) -> None:
    query = str(pictures / "picture_00001.jpg") if verb == "search-image" else "sky"
    everything = () if verb == "search-image" else ("--all",)
    done = subprocess.run(
        command(place, verb, query, *everything, "-k", "3", "--pictures", how),
        env={**os.environ, "TERM": "xterm-kitty"},
        capture_output=True,
        check=True,
        timeout=600,
    )

    assert count == done.stdout.count(KITTY)
    assert 3 == done.stdout.count(b".jpg")


def test_a_picture_that_is_gone_is_a_path_alone(place: Path, pictures: Path) -> None:
    for path in pictures.iterdir():
        path.unlink()
    sent = on_a_terminal(place, *SEARCH, TERM="xterm-kitty")

    assert KITTY not in sent
    assert 3 == sent.count(b"picture_000")


def test_an_unknown_protocol_is_wrong_usage(place: Path) -> None:
    done = subprocess.run(command(place, *SEARCH, "--pictures", "fax"), capture_output=True, check=False, timeout=600)

    assert 2 == done.returncode
