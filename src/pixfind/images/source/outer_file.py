"""
The file that holds an archive: one of this machine, or an object in a bucket.

Any part of it can be read, and all parts are of one version: what was exchanged meanwhile is noticed, and never read with the index of what was there
before. Must not know what an archive is.
"""

import errno
import io
import os
from typing import Any, BinaryIO, Final, Protocol, cast

from pixfind import errors
from pixfind.images.source import files, objects
from pixfind.images.source.files import ClosedFile

_BUFFER_BYTES: Final = 128 << 10

_MIN_AHEAD: Final = 64 << 10
_MAX_AHEAD: Final = 4 << 20
"""bytes of an object that one request brings while its archive is looked into: more where one part follows another"""


class OuterFile(Protocol):
    """One version of a file. Used by several threads."""

    version: tuple[int, int]
    """size and mtime_ns"""
    path: str | None
    """of a file of this machine"""

    def is_current(self, *, sure: bool = False) -> bool:
        """Tell whether this version is there, as far as that is known; with `sure`, ask. Raises as `open` does."""

    def open(self) -> BinaryIO:
        """Open it, from its beginning to its end. Raises OSError, SourceAway, and while it is read ModifiedDuringRead too."""

    def lasting(self) -> BinaryIO:
        """Open it for many reads that lie far apart; nothing is held between them. Raises as `open` does."""

    def read(self, offset: int, size: int) -> bytes:
        """Return this part, less at the end; raises as `open` does."""


def opened(path: str) -> OuterFile:
    """Return what lies at a path or at the address of an object, as it is now. Raises OSError, ValueError, SourceAway."""
    return _ObjectFile(path) if objects.has(path) else _LocalFile(path)


class _LocalFile:
    def __init__(self, path: str) -> None:
        self.path: str | None = path
        self._path = path
        self.version = files.version(path)

    def is_current(self, *, sure: bool = False) -> bool:  # noqa: ARG002  asking costs nothing
        return files.version(self._path) == self.version

    def open(self) -> BinaryIO:
        return open(self._path, "rb")

    def lasting(self) -> BinaryIO:
        # Buffered: a member's header, which is read in three pieces, and most of its bytes come with one read.
        return cast("BinaryIO", io.BufferedReader(ClosedFile(self._path), _BUFFER_BYTES))

    def read(self, offset: int, size: int) -> bytes:
        with self.open() as file:
            file.seek(offset)
            return file.read(size)


class _ObjectFile:
    path: str | None = None

    def __init__(self, location: str) -> None:
        self._location = location
        self.version = objects.known_version(location)
        self._is_stale = False

    def is_current(self, *, sure: bool = False) -> bool:
        # Each answer says of which version it is: nobody needs to ask before it.
        return not self._is_stale and (not sure or objects.known_version(self._location) == self.version)

    def open(self) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(_Parts(self), _MIN_AHEAD))

    lasting = open

    def read(self, offset: int, size: int, *, is_listing: bool = False) -> bytes:
        size = min(size, self.version[0] - offset)
        if size <= 0:
            return b""
        try:
            return objects.read_part(self._location, offset, size, self.version, is_listing=is_listing)
        except errors.ModifiedDuringRead:
            self._is_stale = True
            raise


class _Parts(io.RawIOBase):
    """An object as a file: requests bring more than was asked for, as much more as was read without a jump before."""

    def __init__(self, outer: _ObjectFile) -> None:
        self._outer = outer
        self._at = 0
        self._start = 0
        self._data = b""
        self._ahead = _MIN_AHEAD

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._outer.version[0]}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # As a real file, which zipfile relies on.
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        if not self._start <= self._at < self._start + len(self._data):
            self._fetch(len(buffer))
        piece = self._data[self._at - self._start :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _fetch(self, size: int) -> None:
        skipped = self._at - (self._start + len(self._data))
        self._ahead = min(2 * self._ahead, _MAX_AHEAD) if 0 <= skipped <= self._ahead else _MIN_AHEAD
        # A zip is read from its end: what lies before it comes with it.
        self._start = max(0, min(self._at, self._outer.version[0] - _MIN_AHEAD))
        self._data = self._outer.read(self._start, self._at - self._start + max(size, self._ahead), is_listing=True)
