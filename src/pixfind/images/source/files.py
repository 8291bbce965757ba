"""
Files of the user: reading and hashing; every `OSError` becomes an `ImageProblem` here.
"""

import errno
import io
import os
import stat
import threading
from collections.abc import Callable
from typing import Any, Final

from pixfind import errors
from pixfind.images.source.protocol import Original, Presence
from pixfind.types import HASH_BYTES, Fingerprint

_SECONDS: Final = 20.0
"""for which a look at a root may take: a drive that slept needs some of them"""

_guard = threading.Lock()
_asking: dict[str, "_Asking"] = {}
"""root -> the look at it that has not ended"""

_MIN_NS, _MAX_NS = -(2**63), 2**63 - 1


def content_hash(data: bytes) -> bytes:
    """Return the BLAKE3 hash of the whole content: HASH_BYTES long; files with the same hash have the same bytes."""
    # Here, because `status` asks what kind each root is and reads no file.
    from blake3 import blake3

    return blake3(data).digest(HASH_BYTES)


def mtime_ns(found: os.stat_result) -> int:
    """Return the modification time of a file in ns since 1970, limited to 64 bits: some file systems go beyond the year 2262."""
    at = found.st_mtime_ns
    return at if _MIN_NS <= at <= _MAX_NS else min(max(at, _MIN_NS), _MAX_NS)


def version(path: str) -> tuple[int, int]:
    """Return the size and mtime_ns of a file; raises OSError."""
    found = os.stat(path)
    return found.st_size, mtime_ns(found)


def presence(path: str) -> Presence:
    """Tell whether a root that is a file is there; what is wrong with it is for a walk to say."""
    return presence_by(path, lambda: (os.stat(path), Presence(None))[1])


def presence_by(path: str, look: Callable[[], Presence]) -> Presence:
    """
    Return what `look` finds out about a root; it is offline where that raises OSError, or takes longer than a drive does that still works.

    A call to a drive that hangs, such as a network share whose server has gone, cannot be ended: its thread is left behind, and as long as it
    is there nobody else asks.
    """
    with _guard:
        asking = _asking.get(path)
        if asking is None or not asking.thread.is_alive():
            _asking[path] = asking = _Asking(look)
            asking.thread.start()
    asking.thread.join(_SECONDS)
    with _guard:
        if not asking.thread.is_alive() and _asking.get(path) is asking:
            del _asking[path]
    return asking.found or Presence("it does not answer")


class _Asking:
    """One look at a root."""

    def __init__(self, look: Callable[[], Presence]) -> None:
        self.found: Presence | None = None
        self._look = look
        self.thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def _run(self) -> None:
        try:
            self.found = self._look()
        except OSError as error:
            self.found = Presence(f"missing: {error.strerror}")
        except ValueError as error:
            # A NUL in the name.
            self.found = Presence(f"missing: {error}")


def read_file(path: str) -> Original:
    """
    Read a file and take its fingerprint.

    Raises EmptyFile, FileMissing, NotAFile, Unreadable, and ModifiedDuringRead when its size or time changed meanwhile.
    """
    try:
        # O_NONBLOCK: opening a pipe that is named like a picture must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise errors.NotAFile
            # Not until the end: a file may keep growing.
            data = file.read(before.st_size + 1)
            after = os.fstat(descriptor)
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except OSError as error:
        raise errors.Unreadable(detail=error.strerror or str(error)) from error
    except ValueError as error:
        # A NUL in the name.
        raise errors.Unreadable(detail=str(error)) from error
    if not data:
        raise errors.EmptyFile
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or after.st_size != len(data):
        raise errors.ModifiedDuringRead
    return Original(data, Fingerprint(after.st_size, mtime_ns(after), content_hash(data)))


class ClosedFile(io.RawIOBase):
    """A file that is open only while it is read: what is kept between reads must not hold a drive that somebody wants to unmount."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        at = offset + (os.stat(self._path).st_size if start is None else start)
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # As a real file, which zipfile relies on.
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        with open(self._path, "rb", buffering=0) as file:
            file.seek(self._at)
            count = file.readinto(buffer) or 0
        self._at += count
        return count
