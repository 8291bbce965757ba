"""
Thumbnails made ahead: whether the user wants them, of which size, and how far they are made.

Owns the setting in the catalogue. Rows of the embeddings are only ever added, so one number tells what is done: every row before it had its turn. Must not
know how thumbnails are made or where they lie.
"""

import json
from dataclasses import dataclass
from typing import Final

from pixfind.library.catalogue import Catalogue
from pixfind.types import ImageRef

DEFAULT_SIDE: Final = 512

_FILE: Final = "thumbnails.sql"
_WANTED: Final = "thumbnails"
"""holds for each model of the library"""
_MADE: Final = "thumbnails_made"
"""holds for the rows of one model"""


@dataclass(frozen=True, slots=True)
class Content:
    """A row of the embeddings, and the image that stands for it."""

    row: int
    image: ImageRef
    hash: bytes
    is_online: bool


@dataclass(frozen=True, slots=True)
class ThumbnailReport:
    """What a run of `workflows.make_thumbnails` has done."""

    made: int
    there: int
    """that were there already"""
    away: int
    """of drives that are not connected and stores that do not answer: they are made when somebody looks at them"""
    outdated: int
    """whose file is gone, or was changed since it was indexed"""
    failed: dict[str, int]
    """reason -> pictures"""
    seconds: float
    stopped: bool


def wanted(catalogue: Catalogue) -> int | None:
    """Return the longer side in pixels of the thumbnails that `index` and `watch` make; None where nobody wants any."""
    return int(catalogue.setting(_WANTED) or 0) or None


def want(catalogue: Catalogue, side: int | None) -> None:
    """Remember of which size thumbnails are wanted; None: of none."""
    catalogue.set_setting(_WANTED, str(side or 0))


def rows_made(catalogue: Catalogue, side: int) -> int:
    """Return how many rows of the embeddings, from the first on, had their turn at this size."""
    stored = catalogue.setting(_MADE)
    made_side, rows = (0, 0) if stored is None else json.loads(stored)
    return int(rows) if made_side == side else 0


def set_rows_made(catalogue: Catalogue, side: int, rows: int) -> None:
    """Remember how many rows had their turn."""
    catalogue.set_setting(_MADE, json.dumps([side, rows]))


def following(catalogue: Catalogue, first: int, limit: int) -> list[Content]:
    """Return at most `limit` contents from the row `first` on, in the order of their rows."""
    found = catalogue.rows("next", _FILE, first=first, limit=limit)
    return [
        Content(row, ImageRef(image_id, path, size, mtime_ns), content, bool(online))
        for row, image_id, path, size, mtime_ns, content, online, _ in found
    ]


def forget(catalogue: Catalogue) -> None:
    """Let every row have its turn again: other contents may get the rows that had theirs, or the thumbnails are not there."""
    catalogue.set_setting(_MADE, json.dumps([0, 0]))


def count_pending(catalogue: Catalogue, rows: int) -> int:
    """Return for how many of so many rows thumbnails are wanted and were not looked at."""
    side = wanted(catalogue)
    return 0 if side is None else max(0, rows - rows_made(catalogue, side))
