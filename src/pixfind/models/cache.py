"""
The per-user cache directory: downloaded models, derived int8 files, tuned precisions.

Owns its location and the atomic publishing of files. Everything in it can be made again, so it may be deleted at any time.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from pixfind import errors
from pixfind.storage import disk, locks

VARIABLE = "PIXFIND_CACHE"


def folder(*parts: str) -> Path:
    """Return a folder below PIXFIND_CACHE, else below the platform's cache directory; it may not exist yet."""
    named = os.environ.get(VARIABLE)
    return (Path(named).expanduser() if named else _default()).joinpath(*parts)


@functools.cache
def _default() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("pixfind", appauthor=False))


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """
    Yield an empty folder; when the block succeeds, its files are moved to the folder of `path`, the file called `path` last.

    A folder and not a file, because a large graph is written as several files. Two processes that make the same file both
    succeed: their bytes are equal. Raises ModelFileMissing when the block did not write `path`, and what `disk.writing` raises.
    """
    import tempfile

    with disk.writing(path):
        disk.make_folder(path.parent)
        # Failing to delete the temporary folder is harmless.
        with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
            made = Path(temporary) / path.name
            if not made.is_file():
                raise errors.ModelFileMissing(directory=temporary, file=path.name)
            for other in Path(temporary).iterdir():
                other.chmod(disk.FOLDER_MODE if other.is_dir() else disk.FILE_MODE)
                if other.is_file():
                    # After a power cut a file may have its length and not its bytes, and such weights give embeddings without an error.
                    with other.open("rb+") as file:
                        disk.sync(file.fileno())
                if other != made:
                    other.replace(path.parent / other.name)
            made.replace(path)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock a directory in the block, so that only one of many workers makes a file that takes gigabytes of memory to make."""
    disk.make_folder(directory)
    with locks.held(directory / ".lock"):
        yield
