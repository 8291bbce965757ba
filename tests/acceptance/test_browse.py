"""Hits on the whole screen: the view itself by Textual's pilot, and `search --browse` in a real terminal."""

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from pixfind.cli import half_blocks
from pixfind.cli.browse import Actions, Browser, Picture
from pixfind.search.results import Hit
from pixfind.testing import make_library, make_pictures, wait_for

RED = Image.new("RGB", (40, 30), "red")


def hits(count: int = 5, path: str = "/pictures/{}.jpg") -> list[Hit]:
    return [Hit(rank, path.format(rank), 0.5 - rank / 100, rank, rank) for rank in range(1, count + 1)]


class Viewed:
    """A view in a terminal without a screen, and what it has asked for."""

    def __init__(self, found: list[Hit], size: tuple[int, int] = (120, 40), *, pictures: bool = True) -> None:
        self.launched: list[tuple[str, bool]] = []
        self.read: list[str] = []
        self.size = size
        self.app = Browser("sunset: 5 hits", found, Actions(self._picture, self._launch), pictures=pictures)

    def _picture(self, path: str) -> Image.Image | None:
        self.read.append(path)
        return None if "2" in path else RED

    def _launch(self, path: str, folder: bool) -> bool:
        self.launched.append((path, folder))
        return True

    def run(self, *keys: str, then: Callable[["Pilot[None]"], Awaitable[None]] | None = None) -> Any:
        async def talk() -> Any:
            async with self.app.run_test(size=self.size) as pilot:
                for key in keys:
                    await pilot.press(key)
                await self.app.workers.wait_for_complete()
                await pilot.pause()
                if then is not None:
                    await then(pilot)
                return (
                    self.app.query_one(OptionList).highlighted,
                    str(self.app.query_one("#about", Static).content),
                    self.app.query_one(Picture).render_line(0).text,
                )

        return asyncio.run(talk())


def test_the_best_hit_is_shown_first() -> None:
    at, about, line = Viewed(hits()).run()

    assert 0 == at
    assert about.startswith("/pictures/1.jpg\n")
    assert half_blocks.BLOCK in line


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        (["n"], 1),
        (["j", "down"], 2),
        (["n", "p"], 0),
        (["p"], 0),
        (["end", "k"], 3),
        (["n"] * 9, 4),
        (["end", "home"], 0),
    ],
)
def test_keys_move(keys: list[str], at: int) -> None:
    viewed = Viewed(hits())
    highlighted, about, _ = viewed.run(*keys)
    assert at == highlighted
    assert about.startswith(f"/pictures/{at + 1}.jpg")


def test_a_picture_that_cannot_be_read_says_so() -> None:
    assert "cannot be read" in Viewed(hits()).run("n")[2]


def test_enter_opens_and_f_opens_the_folder() -> None:
    viewed = Viewed(hits())
    viewed.run("enter", "n", "f", "o")

    wait_for(lambda: len(viewed.launched) == 3, what=lambda: viewed.launched)
    assert {("/pictures/1.jpg", False), ("/pictures/2.jpg", True), ("/pictures/2.jpg", False)} == set(viewed.launched)


def test_of_a_member_its_archive_is_opened_and_of_an_address_nothing() -> None:
    archived = Viewed(hits(1, "/pictures/a.zip!/{}.jpg"))
    archived.run("enter")
    wait_for(lambda: archived.launched)
    assert ["/pictures/a.zip"] == [path for path, _ in archived.launched]
    remote = Viewed(hits(1, "s3://bucket/{}.jpg"))
    remote.run("enter")
    assert [] == remote.launched


def test_the_path_is_copied() -> None:
    viewed = Viewed(hits(path="/pictures/caf\udce9 {}.jpg"))
    viewed.run("n", "c")

    assert r"/pictures/caf\xe9 2.jpg" == viewed.app.clipboard


def test_a_name_does_nothing_to_the_terminal() -> None:
    """Escape sequences and markup in a name are shown as what they are."""
    _, about, _ = Viewed(hits(path="/pictures/\x1b[31m[red]{}.jpg")).run()

    assert r"/pictures/\x1b[31m[red]1.jpg" in about


@pytest.mark.parametrize("size", [(120, 40), (60, 24), (20, 8), (60, 5), (3, 2)])
def test_any_terminal_is_large_enough(size: tuple[int, int]) -> None:
    assert 1 == Viewed(hits(), size).run("n")[0]
    assert 0 == Viewed(hits(), size).run("pagedown", "pageup")[0]


@pytest.mark.parametrize(("size", "page"), [((120, 10), 8), ((60, 5), 1)])
def test_a_page_is_as_many_hits_as_are_listed(size: tuple[int, int], page: int) -> None:
    assert page == Viewed(hits(30), size).run("pagedown")[0]
    assert 29 - page == Viewed(hits(30), size).run("end", "pageup")[0]


def test_a_hit_is_one_line_however_long_its_name_is() -> None:
    viewed = Viewed(hits(7, path=f"/pictures/{'long name ' * 20}{{}}.jpg"))
    lines: list[int] = []

    async def look(_: Any) -> None:
        lines.append(viewed.app.query_one(OptionList).virtual_size.height)

    viewed.run(then=look)
    assert [7] == lines


def test_the_picture_stands_below_the_list_where_the_terminal_is_narrow() -> None:
    for size, below in (((120, 40), False), ((60, 40), True)):
        viewed = Viewed(hits(), size)
        places: list[int] = []

        async def look(_: Any, viewed: Viewed = viewed, places: list[int] = places) -> None:
            places.extend((viewed.app.query_one(OptionList).region.y, viewed.app.query_one(Picture).region.y))

        viewed.run(then=look)
        assert below is (places[1] > places[0])


def test_without_pictures_none_is_read() -> None:
    viewed = Viewed(hits(), pictures=False)
    viewed.run("n", "n")

    assert [] == viewed.read


# --- half blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "room", "expected"),
    [
        ((40, 30), (40, 40), (30, 40)),
        ((400, 300), (40, 40), (30, 40)),
        ((300, 400), (40, 10), (20, 15)),
        ((1000, 10), (50, 10), (2, 50)),
        ((10, 1000), (50, 10), (20, 1)),
        ((10, 10), (1, 1), (2, 1)),
    ],
)
def test_a_picture_fits_its_cells(size: tuple[int, int], room: tuple[int, int], expected: tuple[int, int]) -> None:
    assert (*expected, 3) == half_blocks.fitted(Image.new("RGB", size), *room).shape


def test_the_upper_pixel_is_the_colour_of_the_block() -> None:
    image = Image.new("RGB", (1, 2), "red")
    image.putpixel((0, 1), (0, 0, 255))

    assert [[[255, 0, 0]], [[0, 0, 255]]] == half_blocks.fitted(image, 1, 1).tolist()


# --- a real terminal --------------------------------------------------------------------------------


class Terminal:
    """tmux with one window: a real terminal, whose screen can be read."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self.socket.name, "-f", os.devnull, *words]
        environment = {**os.environ, "TMUX_TMPDIR": str(self.socket.parent)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    @property
    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    @property
    def colours(self) -> str:
        return self.tmux("capture-pane", "-p", "-e")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    made = Terminal(tmp_path / "tmux")
    yield made
    with contextlib.suppress(subprocess.CalledProcessError):
        made.tmux("kill-server")


def test_search_browses_in_a_terminal(terminal: Terminal, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 4)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    words = ["--library", str(tmp_path / "library"), "search", "sky", "--all", "--browse"]
    # A shell tells how it ended: tmux does not always hear of the end of what it runs.
    command = f"{shlex.join([sys.executable, '-m', 'pixfind', *words])}; echo ended with $?; exec sleep 3600"
    (tmp_path / "xdg-open").write_text("#!/bin/sh\necho w3m: not found >&2\nexit 3\n", encoding="ascii")
    (tmp_path / "xdg-open").chmod(0o755)
    path = f"PATH={tmp_path}{os.pathsep}{os.environ['PATH']}"
    settings = ["-e", "COLORTERM=truecolor", "-e", path]
    terminal.tmux("new-session", "-d", "-x", "100", "-y", "30", *settings, "sh", "-c", command)
    for shown in (half_blocks.BLOCK, "sky: 4 hits", "Copy path"):
        wait_for(lambda shown=shown: shown in terminal.screen, what=lambda: terminal.screen)  # type: ignore[misc]
    assert "\x1b[38;2;" in terminal.colours
    terminal.tmux("send-keys", "n")
    wait_for(lambda: "hit 2, score" in terminal.screen, what=lambda: terminal.screen)
    terminal.tmux("send-keys", "Enter")
    wait_for(lambda: "no program of this desktop" in terminal.screen, what=lambda: terminal.screen)
    assert "w3m" not in terminal.screen
    terminal.tmux("send-keys", "q")
    wait_for(lambda: "ended with 0" in terminal.screen, what=lambda: terminal.screen)
