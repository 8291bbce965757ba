"""
Pictures of hits: contact sheets, and thumbnails in the terminal.

Imported by the commands that search, so it imports nothing that a search does not need.
"""

import dataclasses
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pixfind.types import TerminalImages

if TYPE_CHECKING:
    # A type alone: a command that shows no pictures does not wait for it.
    from pixfind.search.results import Hit, SearchResult

_THUMBNAIL_SIDE: Final = 320
_MAX_PIXELS: Final = 200_000_000


Thumbnail = Callable[["Hit", int], bytes | None]
"""a hit, and pixels of the longer side -> a JPEG; None where it cannot be had now"""


def sheet(result: "SearchResult", thumbnail: Thumbnail, is_elsewhere: "Callable[[Hit], bool]") -> bytes:
    """Return the contact sheet of a result; what lies elsewhere has no link."""
    from pixfind.cli.moments import moments
    from pixfind.search import contact_sheet

    page = contact_sheet.render(
        result.query.source or str(result.query),
        result.hits,
        lambda hit: thumbnail(hit, _THUMBNAIL_SIDE),
        linked=lambda hit: not is_elsewhere(hit),
        note=lambda hit: ", ".join([*filter(None, [moments(hit)]), *map(os.path.basename, hit.same_shot)]),
    )
    return page.encode()


def renderer(requested: TerminalImages, thumbnail: Thumbnail) -> "Callable[[Hit], str] | None":
    """Return a function from a hit to the escape sequence that shows its thumbnail; None where thumbnails are not shown."""
    if requested is TerminalImages.NONE or (requested is TerminalImages.AUTO and not sys.stdout.isatty()):
        return None
    from pixfind.cli import terminal_images

    keyboard, screen = 0, sys.stdout.fileno()
    how = terminal_images.choose(requested, os.environ, lambda: terminal_images.device_attributes(keyboard, screen))
    if how is TerminalImages.NONE:
        return None

    def show(hit: "Hit") -> str:
        made = thumbnail(hit, terminal_images.SIDES[how])
        return terminal_images.sequence(made, how) if made else ""

    return show


def thumbnail(picture: str, side: int = _THUMBNAIL_SIDE) -> bytes | None:
    """Return a JPEG, whose longer side has at most `side` pixels; None where the picture cannot be read now."""
    from pixfind import errors
    from pixfind.images import source

    try:
        return reduced(source.read(picture).data, side)
    except errors.ImageProblem:
        return None


def reduced(data: bytes, side: int) -> bytes | None:
    """Return the bytes of a picture as a JPEG as `thumbnail` does."""
    from pixfind import errors
    from pixfind.images import decode, thumbnails

    try:
        return thumbnails.make(data, side, limits=decode.Limits(_MAX_PIXELS))
    except errors.ImageProblem:
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class SheetHit:
    """A picture of a contact sheet."""

    path: str
    score: float
