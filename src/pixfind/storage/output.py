"""
Files that a user names for output: a contact sheet, the figures of a benchmark.

Owns what happens to an existing file of that name. A regular file is replaced in one step and keeps its mode and, where the system allows
it, its owner; a link is followed; a pipe or a terminal is written to as a stream; `-` is standard output; everything else is refused.
Nothing but a regular file is ever renamed over. Must not know what is written, or that there is a library.
"""

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pixfind.errors import OutputNotWritable
from pixfind.storage import disk

STANDARD_OUTPUT: Final = "-"

_KINDS: Final = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISBLK, "it is a disk"),
)
_STREAMS: Final = (stat.S_ISFIFO, stat.S_ISCHR)
_MAX_NAME_CHARACTERS: Final = 200
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Output:
    """One file to write, as it was named. `at` checks it before any work is done for it."""

    path: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> "Output":
        """Return what can be written at `path`; raises OutputNotWritable."""
        made = cls(Path(path))
        _mode(made.path)
        return made

    @property
    def is_standard_output(self) -> bool:
        """Whether what is written here comes between what is printed: `-`, and other names of the same file or pipe."""
        if str(self.path) == STANDARD_OUTPUT:
            return True
        with contextlib.suppress(OSError, ValueError):
            here, printed = self.path.stat(), os.fstat(sys.stdout.fileno())
            # Two may write to a terminal, and to /dev/null.
            return os.path.samestat(here, printed) and not stat.S_ISCHR(here.st_mode)
        return False

    def write(self, data: bytes) -> None:
        """Write all of it; raises OutputNotWritable, and DiskFull where there is no room."""
        with self.open() as file:
            file.write(data)

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """
        Yield a file to write bytes to; a regular file appears, or replaces the one before, when the block succeeds.

        Raises OutputNotWritable, and DiskFull where there is no room.
        """
        if self.is_standard_output:
            sys.stdout.flush()
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        mode = _mode(self.path)
        with disk.writing(self.path):
            if mode is not None and not stat.S_ISREG(mode):
                with _streaming(self.path) as file:
                    yield file
            else:
                with _replacing(Path(os.path.realpath(self.path))) as file:
                    yield file


def _mode(path: Path) -> int | None:
    """Return the mode of the file at `path`, links followed, None when there is none; raises OutputNotWritable."""
    if str(path) == STANDARD_OUTPUT:
        return None
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        _check_folder(path)
        return None
    except OSError as error:
        raise OutputNotWritable(path=path, detail=error.strerror) from error
    for is_kind, detail in _KINDS:
        if is_kind(mode):
            raise OutputNotWritable(path=path, detail=detail)
    # Root may write a file that is marked read-only; whoever marked it meant it.
    if not (mode & 0o222 and os.access(path, os.W_OK)):
        raise OutputNotWritable(path=path, detail="it is read-only")
    if stat.S_ISREG(mode):
        _check_folder(path)
    elif not any(is_stream(mode) for is_stream in _STREAMS):
        raise OutputNotWritable(path=path, detail="it is no regular file and no stream")
    return mode


def _check_folder(path: Path) -> None:
    """A file is replaced by a new one in the same folder, so the folder must be writable, not the file."""
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise OutputNotWritable(path=path, detail=f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputNotWritable(path=path, detail=f"nothing can be written in {folder}")


def _streaming(path: Path) -> BinaryIO:
    """Open what is there. Like a shell's `>`, this waits until somebody reads a named pipe."""
    return os.fdopen(os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), "wb")


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Yield a new file in the folder of `target`, which replaces it atomically when the block succeeds, durable and with its mode."""
    temporary = target.with_name(f".{target.name[:_MAX_NAME_CHARACTERS]}.{os.getpid()}.{next(_numbers)}.tmp")
    try:
        with temporary.open("xb") as file:
            keep_mode(file.fileno(), target)
            yield file
            file.flush()
            disk.sync(file.fileno())
        # Checked again: something else may have been put there meanwhile.
        if os.path.lexists(target) and not stat.S_ISREG(target.lstat().st_mode):
            raise OutputNotWritable(path=target, detail="another kind of file has been put there")
        temporary.replace(target)
        disk.sync_directory(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def keep_mode(descriptor: int, target: Path) -> None:
    """Give a new file the mode and, where the system allows it, the owner of the one that it replaces, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        was = target.stat()
        if hasattr(os, "fchown"):
            # Only root may give a file away; then it is the user's own, as with every editor that saves in one step.
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, was.st_uid, was.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(was.st_mode))
