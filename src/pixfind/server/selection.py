"""
Pictures that somebody has selected, as one: what they weigh, a zip of their files, a contact sheet.

Owns the limits of a selection. `server.images` opens each file, under its rules. Must not know HTTP.
"""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search import contact_sheet
from pixfind.server import images, schemas
from pixfind.server.library_view import LibraryView
from pixfind.server.zip_stream import ZipStream

MAX_IMAGES: Final = 1_000
"""their ids must fit into one address"""

MAX_BYTES: Final = 4_000_000_000
MAX_SHEET: Final = 300
"""pictures on a contact sheet: it is one page, with the pictures inside"""

_MAX_ID_DIGITS: Final = 19
_SHEET_SIDE: Final = 512


@dataclass(frozen=True, slots=True)
class _SheetHit:
    path: str
    picture: bytes | None
    """JPEG; None: it cannot be read"""
    score: None = None


def parse_ids(text: str, limit: int = MAX_IMAGES) -> tuple[int, ...]:
    """Return the ids of "7,12,3" in their order, each once; raises InvalidRequest."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and len(part) <= _MAX_ID_DIGITS for part in parts):
        raise errors.InvalidRequest(detail="ids are numbers with commas between them, such as 7,12,3")
    ids = tuple(dict.fromkeys(int(part) for part in parts))
    if not all(0 < each <= schemas.MAX_ID for each in ids):
        raise errors.InvalidRequest(detail="an id is at least 1, and below 2^63")
    if len(ids) > limit:
        raise errors.InvalidRequest(
            detail=f"{len(ids):,} ids are more than the {limit:,} that may be asked for at once"
        )
    return ids


def described(ids: Sequence[int], sizes: Sequence[int | errors.RequestError]) -> schemas.Selection:
    """Return what a zip of these images would hold, from the bytes of each, or why it cannot be read."""
    problems = [(each, size) for each, size in zip(ids, sizes, strict=True) if not isinstance(size, int)]
    return selection_of(
        len(ids),
        sum(size for size in sizes if isinstance(size, int)),
        [schemas.Unavailable(image_id=image_id, detail=str(error)) for image_id, error in problems],
    )


def selection_of(count: int, total: int, unavailable: list[schemas.Unavailable]) -> schemas.Selection:
    """Return a selection of so many images and bytes, with the limits."""
    return schemas.Selection(
        count=count,
        bytes=total,
        unavailable=unavailable,
        fits=total <= MAX_BYTES,
        max_count=MAX_IMAGES,
        max_bytes=MAX_BYTES,
    )


def sizes(ids: Sequence[int], library: Library) -> list[int | errors.RequestError]:
    """Return the bytes of each image's file, or why it cannot be read."""
    found: list[int | errors.RequestError] = []
    for image_id in ids:
        try:
            found.append(images.file_size(library, images.image(library, image_id)))
        except errors.ImageNotFound as error:
            found.append(errors.FileUnavailable(image_id=image_id, detail=str(error)))
        except errors.RequestError as error:
            found.append(error)
    return found


async def check(view: LibraryView, ids: Sequence[int]) -> None:
    """Raise SelectionTooLarge where a zip would be too large, and FileUnavailable where a file cannot be read."""
    selection = await view.selection(ids)
    if not selection.fits:
        raise errors.SelectionTooLarge(
            megabytes=selection.bytes / 1e6, max_count=MAX_IMAGES, max_megabytes=MAX_BYTES / 1e6
        )
    if selection.unavailable:
        raise errors.FilesUnavailable(
            count=len(selection.unavailable), total=selection.count, detail=selection.unavailable[0].detail
        )


async def zip_of(view: LibraryView, ids: Sequence[int]) -> AsyncIterator[bytes]:
    """
    Yield the zip of the files of these images.

    Raises what `LibraryView.original` raises: the zip then ends without its directory, so that nobody takes it for whole.
    """
    made = ZipStream()
    videos: set[str] = set()
    for image_id in ids:
        original = await view.original(image_id)
        with os.fdopen(original.descriptor, "rb") as file:
            # Several moments of one video are one file.
            if original.video is not None:
                if original.video in videos:
                    continue
                videos.add(original.video)
            async for chunk in made.add(original.name, file):
                yield chunk
    yield made.end()


async def sheet(view: LibraryView, ids: Sequence[int], title: str) -> bytes:
    """Return a contact sheet of these images, one page of HTML; a picture that cannot be read has its name alone. Raises ImageNotFound."""
    hits = []
    for image_id in ids:
        path = (await view.metadata(image_id)).path
        try:
            picture = await view.thumbnail(image_id, _SHEET_SIDE)
        except (errors.RequestError, errors.ImageProblem):
            picture = None
        hits.append(_SheetHit(path, picture))
    return contact_sheet.render(title, hits, lambda hit: hit.picture, order="as selected").encode()
