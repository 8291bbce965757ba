"""
Locks on files: held by one process, released by the system when it ends, however that happens.

The only module that uses the `filelock` library, and imports it when a lock is taken: a command that reads a library takes none.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pixfind.storage import disk

if TYPE_CHECKING:
    from filelock import BaseFileLock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class HeldError(Exception):
    """Another process, or another part of this one, kept the lock for as long as one was ready to wait."""


def acquire(path: Path, *, patience: float) -> "BaseFileLock":
    """
    Return the held lock of a file, which is created where it is missing; `release()` ends it.

    `patience` in seconds, -1 for ever. Raises HeldError, and what `disk.writing` raises.
    """
    import filelock

    held = filelock.FileLock(path, mode=disk.FILE_MODE, thread_local=False)
    try:
        held.acquire(timeout=patience)
    except filelock.Timeout as error:
        raise HeldError(path) from error
    except OSError as error:
        raise disk.translated(error, "written", path) from error
    return held


@contextlib.contextmanager
def held(path: Path, *, patience: float = -1) -> Iterator[None]:
    """Hold the lock of a file in the block; raises as `acquire`."""
    lock = acquire(path, patience=patience)
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock of a file; False where it cannot be known, as on a disk that can only be read."""
    try:
        if fcntl is not None:
            return _is_held_shared(path)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            return False
        # A file system without flock: filelock makes do with a marker.
    try:
        acquire(path, patience=0).release()
    except HeldError:
        return True
    except disk.FAILURES:
        return False
    return False


def _is_held_shared(path: Path) -> bool:
    # Shared, so that two who only look do not take each other for a holder; filelock's own lock is the same flock, exclusive.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EAGAIN}:
            raise
        return True
    finally:
        os.close(descriptor)
    return False
