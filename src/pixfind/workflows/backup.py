"""
A backup of a whole library: a folder that is a library itself, brought up to date by the same command.

Owns which generations are copied, in which order, and what may be overwritten. How one is copied: `library.backup`.
"""

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.library import backup as generation_backup
from pixfind.library import generations
from pixfind.library.generations import Generations
from pixfind.library.library import Library
from pixfind.storage import disk, locks
from pixfind.types import Progress, no_progress

_MARKER = "backup.json"
_ATTEMPTS = 5
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Backup:
    """What one backup did."""

    path: Path
    images: int
    """in the copy, gone ones too"""
    rows: int
    """embeddings that the active model has in the copy"""
    copied_rows: int
    """of all models, by this call; the others were there"""
    models: int
    """generations: the active model, and those kept beside it"""


def backup(library: Library, folder: Path, progress: Progress = no_progress) -> Backup:
    """
    Make the folder a complete copy of the library as it is now, or bring an earlier copy up to date; needs no lock of the library.

    Thumbnails and logs are left out. Whatever ends this call, a copy that was complete before is still one.
    Raises BackupRefused for a folder that holds anything else, BackupOvertaken, LibraryDamaged where the library does not fit together,
    DiskFull, NotWritable and DiskFailed.
    """
    path = Path(os.path.realpath(folder.expanduser()))
    _refuse_folder(path, library)
    disk.make_folder(path, durable=True)
    _mark(path, library, None)
    with _held(path, library):
        for _ in range(_ATTEMPTS):
            roles = generations.read(library.path)
            try:
                copied = sum(_copy(library, path, name, progress) for name in _in_order(roles))
            except errors.LibraryNotFound:
                if generations.read(library.path) == roles:
                    raise
                continue
            if generations.read(library.path) == roles:
                break
        else:
            raise errors.BackupOvertaken(library=library.path, path=path)
        if roles != Generations():
            generations.publish(path, roles)
            generations.delete_unused(path)
        _mark(path, library, dt.datetime.now(dt.UTC))
        with Library.open(path) as made:
            images = made.catalogue.value("count_images")
            return Backup(path, images, made.merged_rows, copied, len(roles.in_use()))


def _in_order(roles: Generations) -> list[str]:
    """The active one last: it gives out the ids, so it must know every image that another one knows."""
    return [*sorted(roles.in_use() - {roles.active}), roles.active]


def _copy(library: Library, path: Path, generation: str, progress: Progress) -> int:
    with Library.open(library.path, generation=generation) as source:
        return generation_backup.copy(source, path, progress)


def _refuse_folder(path: Path, library: Library) -> None:
    ours = Path(os.path.realpath(library.path))
    detail = None
    if path == ours or ours in path.parents:
        detail = "it is a part of the library itself"
    elif path in ours.parents:
        detail = "the library lies in it"
    elif path.exists() and not path.is_dir():
        detail = "it is a file"
    elif path.is_dir() and not (path / _MARKER).is_file() and any(map(_is_not_ours, path.iterdir())):
        detail = f"it holds files, and no {_MARKER} of an earlier backup"
    if detail is not None:
        raise errors.BackupRefused(path=path, library=library.path, detail=detail)
    if path.is_dir():
        generations.refuse_links(path)


def _is_not_ours(path: Path) -> bool:
    """A first backup that was killed at once leaves the temporary file of its marker."""
    return not path.name.startswith(f".{_MARKER}.")


@contextlib.contextmanager
def _held(path: Path, library: Library) -> Iterator[None]:
    try:
        held = locks.acquire(path / "library.lock", patience=_PATIENCE_SECONDS)
    except locks.HeldError as error:
        detail = "another process is writing there"
        raise errors.BackupRefused(path=path, library=library.path, detail=detail) from error
    try:
        yield
    finally:
        held.release()


def _mark(path: Path, library: Library, completed: dt.datetime | None) -> None:
    """Say that the folder is a backup, and since when it is complete; it stays what it was while the next one is made."""
    if completed is None and (path / _MARKER).exists():
        return
    about = {
        "backup_of": os.fspath(library.path),
        "completed_at": completed and completed.isoformat(timespec="seconds"),
    }
    disk.publish(path / _MARKER, (json.dumps(about, indent=2) + "\n").encode())
