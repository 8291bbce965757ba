"""
Thumbnails: small JPEGs of pictures, and a folder that caches them.

Owns their format, and the folder's size with its limit. Everything here is derived: a thumbnail that is missing, incomplete or deleted is
made again, so nothing is synced and no error of the folder ever reaches a search.
Must not know the catalogue; a picture is identified by the hash of its bytes, so a moved one keeps its thumbnail and a
changed one gets a new one. `search.contact_sheet` and `server.images` show them.
"""

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from PIL import Image

from pixfind import errors
from pixfind.images.decode import Limits, containers, decode
from pixfind.storage import disk

SIDES: Final = (128, 256, 512, 1024, 2048, 4096)
"""Longer sides of thumbnails, in pixels; a size in between is rounded up."""

DEFAULT_MAX_BYTES: Final = 512 * 1024 * 1024

_LIMIT: Final = "limit"
"""the file in the folder that has another limit, in bytes"""
_SAMPLED: Final = 16
"""of the 256 folders, which are as full as the others: hashes are spread evenly"""
_NEARLY: Final = 0.8
"""of the limit, by the sample: then all files are counted"""

_QUALITY: Final = 82
_KEPT_AFTER_SWEEP: Final = 0.8
# A file's time is its last use, to the day: exact enough to choose what is deleted, without a write for each read.
_USE_GRAIN_SECONDS: Final = 86_400
_END: Final = b"\xff\xd9"


def make(data: bytes, side: int, *, limits: Limits) -> bytes:
    """
    Return a JPEG of the picture, upright, its longer side `side` pixels; a smaller picture keeps its size.

    Keeps the colour profile, because people look at it, and nothing else of the file: no location, no camera.
    Raises `ImageProblem` as `decode` does.
    """
    # The longer side is at least the shorter, so half the margin is left and still no pixel is made up.
    image = decode(data, limits=limits, shortest_side=max(1, side // 2)).image
    profile = image.info.get("icc_profile")
    scale = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True, icc_profile=profile)
    return file.getvalue()


def size(thumbnail: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the header of a thumbnail."""
    return containers.jpeg_size(thumbnail)


class Cache:
    """
    A folder of thumbnails that stays below `max_bytes`; the least recently used go first.

    Any number of threads and processes may share it: a file appears complete or not at all.
    """

    def __init__(self, folder: Path, max_bytes: int | None = None) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._bytes: int | None = None
        self._lock = threading.Lock()

    @property
    def max_bytes(self) -> int:
        """The limit: as given, else that of the folder, else the default."""
        if self._max_bytes is not None:
            return self._max_bytes
        try:
            return max(DEFAULT_MAX_BYTES, int((self.folder / _LIMIT).read_text(encoding="ascii")))
        except (OSError, ValueError):
            return DEFAULT_MAX_BYTES

    def raise_limit(self, max_bytes: int) -> None:
        """Let the folder have so many bytes at least, now and from each process that begins later; raises what `disk.publish` raises."""
        if max_bytes > self.max_bytes:
            disk.make_folder(self.folder)
            disk.publish(self.folder / _LIMIT, str(max_bytes).encode())

    def sampled_bytes(self) -> int:
        """Return about how many bytes the folder has: a million files are not all looked at."""
        sampled = sum(length for _, length, _ in self._files(range(0, 256, 256 // _SAMPLED)))
        return sampled * (256 // _SAMPLED)

    def has(self, content: bytes, side: int) -> bool:
        """Tell whether there is a thumbnail; it may be incomplete after a power cut."""
        return self._path(content, side).exists()

    def larger(self, content: bytes, side: int) -> bytes | None:
        """Return the next larger thumbnail of the picture with this content hash, None when there is none."""
        for each in SIDES:
            if each > side and self.has(content, each) and (found := self.get(content, each)) is not None:
                return found
        return None

    def get(self, content: bytes, side: int) -> bytes | None:
        """Return the thumbnail of the picture with this content hash, None when there is none."""
        path = self._path(content, side)
        with contextlib.suppress(OSError):
            with os.fdopen(os.open(path, os.O_RDONLY | disk.NO_LINK | getattr(os, "O_BINARY", 0)), "rb") as file:
                thumbnail = file.read()
            # Without a sync a power cut can leave a name before its bytes.
            if thumbnail.endswith(_END):
                with contextlib.suppress(OSError):
                    self._mark_used(path)
                return thumbnail
        return None

    def put(self, content: bytes, side: int, thumbnail: bytes) -> None:
        """Store a thumbnail. Failures (a full disk, a read-only library) are ignored: it is made again when it is needed."""
        with contextlib.suppress(*disk.FAILURES):
            self.keep(content, side, thumbnail)

    def keep(self, content: bytes, side: int, thumbnail: bytes) -> None:
        """Store a thumbnail; raises DiskFull, NotWritable, DiskFailed, and LinkInLibrary for a folder that is a link."""
        path = self._path(content, side)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            disk.make_folder(path.parent)
            if path.parent.is_symlink():
                # Whoever made it wants us to write elsewhere.
                raise errors.LinkInLibrary(path=path.parent)
            with os.fdopen(disk.create(temporary, os.O_EXCL), "wb") as file:
                file.write(thumbnail)
            temporary.replace(path)
        except (OSError, *disk.FAILURES) as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise disk.translated(error, "written", path) from error
            raise
        with contextlib.suppress(OSError):
            self._count(len(thumbnail))

    def get_or_make(self, content: bytes, side: int, make: Callable[[], bytes]) -> bytes:
        """Return the cached thumbnail, or the one that `make` returns, which is then cached."""
        thumbnail = self.get(content, side)
        if thumbnail is None:
            thumbnail = make()
            self.put(content, side, thumbnail)
        return thumbnail

    def _path(self, content: bytes, side: int) -> Path:
        name = content.hex()
        return self.folder / name[:2] / f"{name}-{side}.jpg"

    def _mark_used(self, path: Path) -> None:
        if time.time() - path.stat().st_mtime > _USE_GRAIN_SECONDS:
            os.utime(path)

    def _count(self, added: int) -> None:
        with self._lock:
            limit = self.max_bytes
            if self._bytes is None:
                self._bytes = self.sampled_bytes()
                if self._bytes > _NEARLY * limit:
                    self._bytes = sum(length for _, length, _ in self._files())
            else:
                self._bytes += added
            if self._bytes > limit:
                self._bytes = self._sweep(limit)

    def _sweep(self, limit: int) -> int:
        """Delete the least recently used, and files that a crash left behind, until 80 % of the limit is used; return the bytes that remain."""
        files = sorted(self._files())
        total = sum(length for _, length, _ in files)
        for _, length, path in files:
            if total <= limit * _KEPT_AFTER_SWEEP:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= length
        return total

    def _files(self, places: Iterable[int] = range(256)) -> list[tuple[float, int, Path]]:
        """Return last use, length in bytes and path of each file, in the folders of these places."""
        found = []
        # Files behind a link are not ours to delete.
        folders = [folder for place in places if not (folder := self.folder / f"{place:02x}").is_symlink()]
        for path in (path for folder in folders for path in folder.glob("*")):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return found
