"""
The per-user folder for what can be fetched or made again: downloaded models, derived int8 files, tuned choices.

Owns where it is and how a file appears in it in one step. Everything here may be deleted at any time.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock
import platformdirs

from pixfind import errors
from pixfind.storage import disk

VARIABLE = "PIXFIND_CACHE"


def folder(*parts: str) -> Path:
    """Return a folder below PIXFIND_CACHE, else below the platform's cache directory; it need not exist."""
    named = os.environ.get(VARIABLE)
    base = Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("pixfind", appauthor=False))
    return base.joinpath(*parts)


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """
    Yield an empty folder beside `path`; when the block ends well, its files move beside `path`, and `path` comes last.

    A folder and not a file, because a large graph is written as several files. Two processes that make the same
    file both succeed; the last rename wins with equal bytes.
    """
    with disk.writing(path):
        disk.make_folder(path.parent)
        # What cannot be deleted is only in the way.
        with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
            made = Path(temporary) / path.name
            if not made.is_file():
                raise errors.ModelFileMissing(directory=temporary, file=path.name)
            for other in Path(temporary).iterdir():
                other.chmod(disk.FOLDER_MODE if other.is_dir() else disk.FILE_MODE)
                if other != made:
                    other.replace(path.parent / other.name)
            made.replace(path)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one process at a time make something there: what takes gigabytes for a moment must not be made by every worker at once."""
    lock = filelock.FileLock(directory / ".lock", mode=disk.FILE_MODE)
    with disk.writing(directory):
        disk.make_folder(directory)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
