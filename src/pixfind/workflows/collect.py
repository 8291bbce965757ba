"""
Hits as files in a folder: copies, or links to the pictures.

Owns their names, and that nothing is ever overwritten. The pictures themselves are only read.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.images import source
from pixfind.storage import disk

_MAX_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` did."""

    folder: Path
    files: int
    left_out: tuple[tuple[str, str], ...]
    """(path, why) of pictures that could not be read, or linked"""


def check_folder(folder: Path) -> Path:
    """Return the absolute folder, which is new or empty; raises FolderTaken."""
    path = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - a link stays a link
    if os.path.lexists(path):
        if not path.is_dir():
            raise errors.FolderTaken(path=path, detail="it is no folder")
        if any(path.iterdir()):
            raise errors.FolderTaken(path=path, detail="it is not empty")
    return path


def collect(paths: Sequence[str], folder: Path, *, link: bool = False) -> Collected:
    """
    Put a copy of each picture, or a symbolic link to it, into a new or empty folder: 001-beach.jpg is the best hit.

    Copies keep the times of their files. A member of an archive can be copied and not linked. Raises FolderTaken, DiskFull and NotWritable.
    """
    target = check_folder(folder)
    disk.make_folder(target)
    width = max(3, len(str(len(paths))))
    left_out = []
    for number, path in enumerate(paths, 1):
        place = target / f"{number:0{width}d}-{_short(Path(path).name)}"
        if (problem := (_link if link else _copy)(path, place)) is not None:
            left_out.append((path, problem))
    return Collected(target, len(paths) - len(left_out), tuple(left_out))


def _copy(path: str, place: Path) -> str | None:
    """Return why there is no copy; None when there is one."""
    try:
        original = source.read(path)
    except errors.ImageProblem as error:
        return str(error)
    with disk.writing(place):
        try:
            with os.fdopen(disk.create(place, os.O_EXCL), "wb") as file:
                file.write(original.data)
        except BaseException:
            # A part of a picture must not look like one.
            place.unlink(missing_ok=True)
            raise
        os.utime(place, ns=(original.fingerprint.mtime_ns, original.fingerprint.mtime_ns))
    return None


def _link(path: str, place: Path) -> str | None:
    if source.file_of(path) != path:
        return "it lies in an archive: copy it instead"
    if not source.exists(path):
        return str(errors.FileMissing())
    with disk.writing(place):
        place.symlink_to(path)
    return None


def _short(name: str) -> str:
    """Return a name that any file system takes, with its suffix: a copy needs room for its number."""
    if len(os.fsencode(name)) <= _MAX_NAME_BYTES:
        return name
    suffix = Path(name).suffix
    room = _MAX_NAME_BYTES - len(os.fsencode(suffix))
    return os.fsencode(name)[:room].decode("utf-8", "ignore") + suffix
