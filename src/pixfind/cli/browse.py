"""
Hits on the whole screen, with their pictures: `pixfind search --browse`.

Owns the layout and the keys. Pictures are read in a thread, one at a time and for the hit that is looked at: moving on never waits for one. Must not know how
hits are found.
"""

import contextlib
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer, OptionList, Static
from textual.worker import get_current_worker

from pixfind.cli import half_blocks
from pixfind.cli.moments import moments
from pixfind.cli.styles import printable
from pixfind.images import source
from pixfind.library import path_text
from pixfind.search.results import Hit

_NARROW_COLUMNS = 90
"""below which the picture stands under the list, not beside it"""

_CACHED = 32


@dataclass(frozen=True, slots=True)
class Actions:
    """What the view does with a hit; tests give others."""

    picture: Callable[[str], Image.Image | None]
    """path -> an RGB picture of some hundred pixels; None where it cannot be read"""
    launch: Callable[[str, bool], bool]
    """(path, its folder instead?) -> whether a program of the desktop opened it; may wait for the end of that program"""


class Picture(Widget):
    """One picture, as large as fits."""

    def __init__(self) -> None:
        super().__init__(id="picture")
        self._image: Image.Image | None = None
        self._said = ""
        self._strips: list[Strip] = []

    def show(self, image: Image.Image | None, said: str = "") -> None:
        """Show a picture, or why there is none."""
        self._image, self._said = image, said
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        columns, rows = self.size
        if self._image is None or not (columns and rows):
            self._strips = [Strip([Segment(self._said)])]
        else:
            pixels = half_blocks.fitted(self._image, columns, rows)
            left = " " * ((columns - pixels.shape[1]) // 2)
            self._strips = [Strip([Segment(left), *_cells(upper, lower)]) for upper, lower in _pairs(pixels.tolist())]
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if y >= len(self._strips):
            return Strip.blank(self.size.width, self.rich_style)
        return self._strips[y].adjust_cell_length(self.size.width, self.rich_style)


def _pairs(rows: list[Any]) -> "zip[tuple[Any, Any]]":
    return zip(rows[::2], rows[1::2], strict=True)


def _cells(upper: Sequence[Sequence[int]], lower: Sequence[Sequence[int]]) -> list[Segment]:
    return [Segment(half_blocks.BLOCK, _style(*above, *below)) for above, below in zip(upper, lower, strict=True)]


@functools.lru_cache(65_536)
def _style(red: int, green: int, blue: int, red_below: int, green_below: int, blue_below: int) -> Style:
    return Style(color=Color.from_rgb(red, green, blue), bgcolor=Color.from_rgb(red_below, green_below, blue_below))


class Browser(App[None]):
    """The view."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; text-style: bold; }
    #hits { width: 38; height: 1fr; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis; }
    #shown { width: 1fr; height: 1fr; }
    #picture { width: 1fr; height: 1fr; }
    #about { height: auto; max-height: 5; }
    .narrow #hits { width: 1fr; height: 30%; min-height: 1; }
    .narrow #shown { width: 1fr; height: 70%; }
    .narrow #body { layout: vertical; }
    .bare #hits { width: 1fr; }
    .bare #picture { display: none; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("enter,o", "launch(False)", "Open", priority=True),
        Binding("f", "launch(True)", "Folder"),
        Binding("c", "copy", "Copy path"),
        # Before those of the list, which fail where it has no line.
        Binding("pagedown", "page(1)", "Next page", show=False, priority=True),
        Binding("pageup", "page(-1)", "Previous page", show=False, priority=True),
        Binding("n,j", "move(1)", "Next"),
        Binding("p,k", "move(-1)", "Previous"),
        Binding("q,escape", "quit", "Quit"),
    ]

    def __init__(self, title: str, hits: Sequence[Hit], actions: Actions, *, pictures: bool = True) -> None:
        super().__init__()
        self._heading = title
        self._hits = hits
        self._actions = actions
        self._pictures = pictures
        self._picture_of = functools.lru_cache(_CACHED)(actions.picture)

    def compose(self) -> ComposeResult:
        yield Static(Text(printable(self._heading)), id="title")
        with Horizontal(id="body"):
            yield OptionList(*map(_line, self._hits), id="hits", markup=False)
            with Vertical(id="shown"):
                yield Picture()
                yield Static("", id="about")
        yield Footer()

    def on_mount(self) -> None:
        self.screen.set_class(not self._pictures, "bare")
        self.query_one(OptionList).focus()
        self.query_one(OptionList).highlighted = 0

    def on_resize(self, event: Resize) -> None:
        self.screen.set_class(event.size.width < _NARROW_COLUMNS, "narrow")

    @property
    def hit(self) -> Hit:
        """The hit that is looked at."""
        return self._hits[self.query_one(OptionList).highlighted or 0]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        hit = self._hits[event.option_index]
        self.query_one("#about", Static).update(_about(hit))
        if self._pictures:
            self.run_worker(lambda: self._load(hit), thread=True, exclusive=True)

    def _load(self, hit: Hit) -> None:
        worker = get_current_worker()
        image = self._picture_of(hit.path)
        # Another hit is looked at by now.
        if not worker.is_cancelled:
            self.call_from_thread(self.query_one(Picture).show, image, "cannot be read now")

    # --- keys -------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        hits = self.query_one(OptionList)
        hits.highlighted = min(max(0, (hits.highlighted or 0) + by), len(self._hits) - 1)

    def action_page(self, direction: int) -> None:
        self.action_move(direction * max(1, self.query_one(OptionList).size.height))

    def action_copy(self) -> None:
        self.copy_to_clipboard(path_text.readable(self.hit.path))
        self.notify("path copied", timeout=2)

    def action_launch(self, folder: bool) -> None:
        path = source.file_of(self.hit.path)
        if source.is_address(path):
            self.notify("it lies in object storage or on a server: copy its address instead", severity="warning")
        else:
            # The program may run as long as its window is open; a thread of Textual would keep the view from ending.
            threading.Thread(target=self._launch, args=(path, folder), daemon=True).start()

    def _launch(self, path: str, folder: bool) -> None:
        if not self._actions.launch(path, folder):
            # The view may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                self.call_from_thread(
                    self.notify, "no program of this desktop opens it; c copies its path", severity="warning"
                )


def _line(hit: Hit) -> Text:
    return Text(f"{hit.rank:>3} {hit.score:.3f} {_name(hit)}", overflow="ellipsis", no_wrap=True)


def _name(hit: Hit) -> str:
    name = _shown(os.path.basename(hit.path))  # noqa: PTH119  may be an address
    return f"{name} ({moments(hit)})" if hit.time is not None else name


def _shown(path: str) -> str:
    return printable(path_text.readable(path))


def _about(hit: Hit) -> Text:
    lines = [_shown(hit.path)]
    z = f", z-score {hit.query_z:+.1f}" if hit.query_z is not None else ""
    library = f" in {hit.library}" if hit.library else ""
    lines.append(f"hit {hit.rank}{library}, score {hit.score:.3f}{z}")
    if hit.folded:
        lines.append(f"and {hit.folded} like it")
    if hit.same_shot:
        lines.append(f"same shot: {_shown(', '.join(map(os.path.basename, hit.same_shot)))}")
    if hit.lines:
        lines.append(f'says "{printable(hit.lines[0].text)}"')
    return Text("\n".join(lines))


def browse(title: str, hits: Sequence[Hit], *, pictures: bool) -> None:
    """Show hits until the user leaves; needs a terminal."""
    Browser(title, hits, Actions(_picture, _launch), pictures=pictures).run()


def _picture(path: str) -> Image.Image | None:
    import io

    from pixfind.cli import hit_pictures

    made = hit_pictures.thumbnail(path)
    return None if made is None else Image.open(io.BytesIO(made)).convert("RGB")


def _launch(path: str, folder: bool) -> bool:
    if sys.platform in {"darwin", "win32"}:
        return typer.launch(path, locate=folder) == 0
    words = ["xdg-open", os.path.dirname(path) if folder else path]  # noqa: PTH120  bytes of any kind stay as they are
    # It says on standard error what it tries, which would be written over the view, and may start a program in this terminal.
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(words, check=False, start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing)
    except OSError:
        return False
    return done.returncode == 0
