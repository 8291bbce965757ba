"""
Hits as files in a folder: copies, or links to the pictures.

Owns their names, and that nothing is ever overwritten. The pictures themselves are only read.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.images import source
from pixfind.library import generations
from pixfind.storage import disk

_MAX_NAME_BYTES = 200
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` did."""

    folder: Path
    files: int
    left_out: tuple[tuple[str, str], ...]
    """(path, why) of pictures that could not be read, or linked"""


def check_folder(folder: Path) -> Path:
    """Return the absolute folder, which is new or empty and no library's own; raises FolderTaken."""
    path = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - a link stays a link
    if os.path.lexists(path):
        if not path.is_dir():
            raise errors.FolderTaken(path=path, detail="it is no folder")
        if any(path.iterdir()):
            raise errors.FolderTaken(path=path, detail="it is not empty")
    if (library := generations.library_of(Path(os.path.realpath(path)))) is not None:
        raise errors.FolderTaken(path=path, detail=f"that name belongs to the library {library}")
    return path


def collect(paths: Sequence[str], folder: Path, *, link: bool = False) -> Collected:
    """
    Put a copy of each picture, or a symbolic link to it, into a new or empty folder: 001-beach.jpg is the best hit.

    Copies keep the times of their files. A member of an archive can be copied and not linked; of a moment of a video it is the video. Raises FolderTaken, DiskFull and NotWritable.
    """
    target = check_folder(folder)
    # A copy is the user's, not a file of ours: the umask says who may read it.
    with disk.translate_errors("made", target):
        target.mkdir(parents=True, exist_ok=True)
    width = max(3, len(str(len(paths))))
    left_out = []
    for number, location in enumerate(paths, 1):
        path = source.file_of(location) if source.is_video(location) else location
        place = target / f"{number:0{width}d}-{_short(Path(path).name)}"
        if (problem := (_link if link else _copy)(path, place)) is not None:
            left_out.append((path, problem))
    return Collected(target, len(paths) - len(left_out), tuple(left_out))


def _copy(path: str, place: Path) -> str | None:
    """Return why there is no copy; None when there is one."""
    if source.is_video(path):
        return _copy_whole(path, place)
    try:
        original = source.read(path)
    except errors.ImageProblem as error:
        return str(error)
    with disk.writing(place):
        try:
            with place.open("xb") as file:
                file.write(original.data)
        except BaseException:
            # A part of a picture must not look like one.
            place.unlink(missing_ok=True)
            raise
        os.utime(place, ns=(original.fingerprint.mtime_ns, original.fingerprint.mtime_ns))
    return None


def _copy_whole(path: str, place: Path) -> str | None:
    """Copy a file that may be larger than the memory; as `_copy`."""
    try:
        original = open(path, "rb")  # noqa: SIM115, PTH123  what fails from here on is the copy
    except OSError as error:
        return error.strerror or str(error)
    with original, disk.writing(place):
        try:
            with place.open("xb") as file:
                shutil.copyfileobj(original, file, _CHUNK)
        except BaseException:
            place.unlink(missing_ok=True)
            raise
        found = os.fstat(original.fileno())
        os.utime(place, ns=(found.st_mtime_ns, found.st_mtime_ns))
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
