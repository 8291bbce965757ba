"""
What a client may see of one image: its metadata, a thumbnail, its file.

Owns the way from an image id to bytes, and the promise that nothing outside the registered folders is ever opened. Must not know HTTP.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.images import decode, source, thumbnails
from pixfind.library.library import Library
from pixfind.server import schemas

SIDES = (128, 256, 512, 1024)
"""Thumbnails that are made; a size in between gets the next larger one."""

_LIMITS = decode.Limits(200_000_000)

_HEAD_BYTES = 64

# What every browser shows and none runs: by the first bytes, whatever the name says.
_SHOWN = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One image of the catalogue."""

    image_id: int
    path: str
    root: str
    size: int
    mtime_ns: int
    hash: bytes | None
    outcome: str
    reason: str | None
    row: int | None
    width: int
    height: int
    taken_at: int | None
    camera: str
    latitude: float | None
    longitude: float | None

    @property
    def name(self) -> str:
        return os.path.basename(self.path)  # noqa: PTH119  names may hold any bytes


def image(library: Library, image_id: int) -> Shown:
    """Return the image with this id; raises NoImage for one that is not there (any more)."""
    row: tuple[Any, ...] | None = next(library.catalogue.rows("shown_image", "search.sql", image_id=image_id), None)
    if row is None:
        raise errors.NoImage(image_id=image_id)
    return Shown(image_id, *row)


def metadata(library: Library, image_id: int) -> schemas.Metadata:
    """Return what is known of an image; raises NoImage."""
    known = image(library, image_id)
    same = () if known.row is None else library.catalogue.rows("paths_of_row", "search.sql", row=known.row)
    return schemas.Metadata(
        image_id=image_id,
        path=schemas.shown(known.path),
        name=schemas.shown(known.name),
        root=schemas.shown(known.root),
        width=known.width or None,
        height=known.height or None,
        bytes=known.size,
        taken=schemas.instant(known.taken_at),
        modified=schemas.instant(known.mtime_ns / 1e9) or "",
        camera=known.camera or None,
        latitude=known.latitude,
        longitude=known.longitude,
        outcome=known.outcome,
        reason=known.reason,
        also=[schemas.shown(path) for other, path in same if other != image_id],
    )


def open_file(known: Shown) -> int:
    """
    Return a descriptor of the image's file, open for reading.

    Raises OutsideRoots when a link leads out of the folder that was registered, NotThere when nothing can be read, NotAPicture when
    no decoder knows its bytes.
    """
    try:
        # O_NONBLOCK: a pipe with the name of a picture must not wait for a writer.
        descriptor = os.open(known.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise errors.NotThere(image_id=known.image_id, detail=error.strerror or "it cannot be opened") from error
    try:
        _check(known, os.fstat(descriptor))
        _check_picture(known, os.pread(descriptor, _HEAD_BYTES, 0))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(known: Shown, opened: os.stat_result) -> None:
    """What was opened is a file, and the one that lies under the root: links may be changed between two looks."""
    if not stat.S_ISREG(opened.st_mode):
        raise errors.NotThere(image_id=known.image_id, detail="it is not a file")
    real, root = os.path.realpath(known.path), os.path.realpath(known.root)
    if os.path.commonpath([real, root]) != root:
        raise errors.OutsideRoots(image_id=known.image_id)
    try:
        found = Path(real).lstat()
    except OSError as error:
        raise errors.NotThere(image_id=known.image_id, detail=error.strerror or "it has gone") from error
    if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
        raise errors.OutsideRoots(image_id=known.image_id)


def _check_picture(known: Shown, head: bytes) -> None:
    """A library may come from a stranger, who may have registered any file: what is served is a picture."""
    if not decode.recognises(head):
        raise errors.NotAPicture(image_id=known.image_id)


def media_type(head: bytes) -> str | None:
    """What the first 16 bytes say a browser may show in place; None for everything else."""
    for magic, kind in _SHOWN:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:12] == b"ftypavif":
        return "image/avif"
    return None


def side_for(size: int) -> int:
    """The smallest side that is made and not smaller than asked for."""
    return next((side for side in SIDES if side >= size), SIDES[-1])


class Thumbnails:
    """Thumbnails of a library's images, remembered in the library."""

    def __init__(self, folder: Path) -> None:
        self._cache = thumbnails.Cache(folder)

    def get(self, library: Library, image_id: int, side: int) -> bytes:
        """
        Return a JPEG.

        Raises NoImage, OutsideRoots, NotThere, and ImageProblem for a file that shows nothing.
        """
        known = image(library, image_id)
        if known.row is None:
            # No worker has lived through decoding it; this process need not be the first to try.
            raise errors.NoThumbnail(image_id=image_id, detail=known.reason or "it is not embedded yet")
        with os.fdopen(open_file(known), "rb") as file:
            found = os.fstat(file.fileno())
            if known.hash is not None and (found.st_size, source.mtime_ns(found)) == (known.size, known.mtime_ns):
                return self._cache.get_or_make(known.hash, side, file.read, limits=_LIMITS)
            # Other bytes than those of the catalogue: under its hash they would be remembered for ever.
            data = file.read()
            return self._cache.get_or_make(source.content_hash(data), side, lambda: data, limits=_LIMITS)
