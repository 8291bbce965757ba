"""
Our own files: how bytes become durable.

Owns syncing, publishing by rename, and the errors of the disk. Files that are appended to are in `npy`.
Must not know what the bytes mean. Byte layout and order of writes: docs/reference/format.md.
An `OSError` on our own files stops the command: `translate_errors` raises it as an `OperationError` that names the file and the operation.
"""

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pixfind import errors

#: Set to 1 by benchmarks only, to price durability.
NO_SYNC = os.environ.get("PIXFIND_UNSAFE_NO_SYNC") == "1"

#: What we make is for its owner alone: names, times and places of pictures are private.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
#: A link in the place of a file of ours would have us write elsewhere.
NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST}

FAILURES = (errors.DiskFull, errors.NotWritable, errors.DiskFailed, errors.LinkInLibrary)
"""what `translate_errors` raises: for callers that can do without a file"""

#: Errors that mean a failing or disconnected disk.
_BROKEN = {errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT}

_numbers = itertools.count()

IS_FOLDER = "a folder is in the place of the file"


def name_problem(path: Path) -> str | None:
    """Return why the system takes no file or folder of this name, None where it may."""
    try:
        path.lstat()
    except ValueError as error:  # a NUL
        return str(error)
    except OSError as error:
        return error.strerror if error.errno == errno.ENAMETOOLONG else None
    return None


def is_full(error: OSError) -> bool:
    """Tell whether the disk, the quota or the largest file size is reached."""
    return error.errno in _FULL


def is_failure(error: OSError) -> bool:
    """Tell whether the disk is to blame, whatever file it was."""
    return is_full(error) or error.errno in _BROKEN


@contextlib.contextmanager
def translate_errors(operation: str, path: Path) -> Iterator[None]:
    """
    Raise every OSError of the block, which works on one file of ours, as DiskFull, NotWritable, DiskFailed, LinkInLibrary or LibraryDamaged.

    `operation` completes "could not be ...": written, read, deleted. When two are nested, the inner one decides, as it knows more.
    """
    try:
        yield
    except OSError as error:
        raise translated(error, operation, path) from error


def translated(error: OSError, operation: str, path: Path | str) -> errors.OperationError:
    """Return the OperationError for an OSError on a file of ours."""
    detail = error.strerror or str(error)
    if error.errno == errno.ELOOP:
        return errors.LinkInLibrary(path=path)
    if is_full(error):
        return errors.DiskFull(path=path, detail=detail)
    if operation == "read" and error.errno == errno.EISDIR:
        return errors.LibraryDamaged(path=path, detail=IS_FOLDER)
    if operation != "read" and error.errno in _FORBIDDEN:
        return errors.NotWritable(path=path, detail=detail)
    return errors.DiskFailed(path=path, operation=operation, detail=detail)


def writing(path: Path) -> contextlib.AbstractContextManager[None]:
    """Translate errors while `path` is written."""
    return translate_errors("written", path)


def reading(path: Path) -> contextlib.AbstractContextManager[None]:
    """Translate errors while `path` is read."""
    return translate_errors("read", path)


def delete(path: Path) -> None:
    """Delete a file of ours, if it is there."""
    with translate_errors("deleted", path):
        path.unlink(missing_ok=True)


def sync(descriptor: int) -> None:
    """Return when everything written to the file is on the disk."""
    if NO_SYNC:
        return
    # fdatasync leaves out times of access, not the length: enough for us and cheaper. macOS has no such call.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_directory(path: Path) -> None:
    """Make a rename or a new file in `path` durable. A no-op where directories cannot be opened (Windows)."""
    if NO_SYNC or os.name == "nt":
        return
    with translate_errors("synced", path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(path: Path, *, durable: bool = False) -> None:
    """Make a folder for its owner alone, and what is missing above it; `durable`: before anything is written into it."""
    with translate_errors("made", path):
        if not path.is_dir():
            make_folder(path.parent, durable=durable)
            path.mkdir(mode=FOLDER_MODE, exist_ok=True)
            if durable:
                # A user who may create folders here but not read this one cannot sync it.
                with contextlib.suppress(errors.NotWritable):
                    sync_directory(path.parent)


def create(path: Path | str, flags: int = 0) -> int:
    """Return a descriptor of a file of ours, open for writing, made for its owner alone where it is missing; no link is followed."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | NO_LINK | getattr(os, "O_BINARY", 0) | flags, FILE_MODE)


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """
    Yield a temporary path next to `path`, which replaces `path` atomically when the block succeeds.

    Readers see the old file or the new one, never a part. A crash leaves the old file and a `.tmp`.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_numbers)}.tmp")
    try:
        with writing(path):
            os.close(create(temporary, os.O_EXCL))
            # A library that its owner has shared with others stays shared.
            with contextlib.suppress(FileNotFoundError):
                before = path.lstat().st_mode
                temporary.chmod(before & 0o666 if stat.S_ISREG(before) else FILE_MODE)
            yield temporary
            with temporary.open("rb+") as file:
                sync(file.fileno())
            temporary.replace(path)
            sync_directory(path.parent)
    finally:
        # The temporary file does no harm, and the error before matters more.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish(path: Path, data: bytes) -> None:
    """Replace the content of `path` in one step."""
    with publishing(path) as temporary:
        temporary.write_bytes(data)
