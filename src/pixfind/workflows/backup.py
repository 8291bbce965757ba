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
from typing import Any

from pixfind import errors
from pixfind.library import albums, backup_marker, fulltext, generations
from pixfind.library import backup as generation_backup
from pixfind.library.generations import Generations
from pixfind.library.library import Library
from pixfind.storage import disk, locks, npy_header
from pixfind.types import Progress, no_progress, numbered

_ATTEMPTS = 5
_PATIENCE_SECONDS = 2.0

_CONFIGURATION = "pixfind.toml"


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
    Raises BackupRefused for a folder that holds anything else, or knows more than the library does; BackupOvertaken; LibraryDamaged and
    InvalidAlbums where the library does not fit together; DiskFull, NotWritable and DiskFailed.
    """
    path = _path_of(folder, library)
    _refuse_folder(path, library)
    # Nothing makes them again: before anything else, and not over good ones.
    albums.content(library.path)
    disk.make_folder(path, durable=True)
    _mark(path, library, None)
    with _held(path, library):
        _refuse_another(path, library)
        backup_marker.begin(path)
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
        if roles != Generations() or generations.has_roles(path):
            generations.publish(path, roles)
            generations.delete_unused(path)
        _copy_what_users_wrote(library, path)
        with Library.open(path) as made:
            # Not copied: what it lacks is indexed from the catalogue that was.
            fulltext.update(made)
        _mark(path, library, dt.datetime.now(dt.UTC))
        with Library.open(path) as made:
            images = made.catalogue.value("count_images")
            return Backup(path, images, made.merged_rows, copied, len(roles.in_use()))


def preview(library: Library, folder: Path) -> Backup:
    """Return what `backup` would do now, `rows` and `images` being those that the copy would have; raises as it does."""
    path = _path_of(folder, library)
    _refuse_folder(path, library)
    albums.content(library.path)
    if (path / backup_marker.NAME).is_file():
        _refuse_another(path, library)
    roles = generations.read(library.path)
    copied = 0
    for name in roles.in_use():
        with Library.open(library.path, generation=name) as source:
            there = npy_header.shape(generations.folder(path, name) / "data" / "indices.npy")[0]
            copied += max(0, source.promised_rows - there)
    images = library.catalogue.value("count_images")
    return Backup(path, images, library.promised_rows, copied, len(roles.in_use()))


def _in_order(roles: Generations) -> list[str]:
    """The active one last: it gives out the ids, so it must know every image that another one knows."""
    return [*sorted(roles.in_use() - {roles.active}), roles.active]


def _copy(library: Library, path: Path, generation: str, progress: Progress) -> int:
    with Library.open(library.path, generation=generation) as source:
        return generation_backup.copy(source, path, progress)


def _copy_what_users_wrote(library: Library, path: Path) -> None:
    """Copy the albums and the configuration of the library."""
    # A library without the file has lost it, or never had one: the last album that is removed leaves an empty list.
    if (kept := albums.content(library.path)) is not None:
        disk.publish(path / albums.NAME, kept)
    source, target, content = library.path / _CONFIGURATION, path / _CONFIGURATION, None
    with disk.reading(source), contextlib.suppress(FileNotFoundError):
        content = source.read_bytes()
    if content is None:
        disk.delete(target)
    else:
        disk.publish(target, content)


def _path_of(folder: Path, library: Library) -> Path:
    if (problem := disk.name_problem(folder.expanduser())) is not None:
        raise errors.BackupRefused(path=folder, library=library.path, detail=f"no folder has such a name ({problem})")
    return Path(os.path.realpath(folder.expanduser()))


def _refuse_folder(path: Path, library: Library) -> None:
    ours = Path(os.path.realpath(library.path))
    detail = None
    if path == ours or ours in path.parents:
        detail = "it is a part of the library itself"
    elif path in ours.parents:
        detail = "the library lies in it"
    elif path.exists() and not path.is_dir():
        detail = "it is a file"
    elif path.is_dir() and not (path / backup_marker.NAME).is_file() and any(map(_is_not_ours, path.iterdir())):
        detail = f"it holds files, and no {backup_marker.NAME} of an earlier backup"
    if detail is not None:
        raise errors.BackupRefused(path=path, library=library.path, detail=detail)
    if path.is_dir():
        generations.refuse_links(path)


def _is_not_ours(path: Path) -> bool:
    """A first backup that was killed at once leaves the temporary file of its marker."""
    return not path.name.startswith(f".{backup_marker.NAME}.")


def _refuse_another(path: Path, library: Library) -> None:
    """
    Raise BackupRefused unless everything that lies there is an earlier state of the library.

    The last command that wrote each generation is known to the library, or, where that generation was pruned since, is the one that was the
    last when the backup was completed. No image is unknown to the library: it forgets none, even of files that are gone.
    """
    before = _marker(path)
    completed: dict[str, list[object]] = before.get("last_runs", {}) if before["backup_of"] == str(library.path) else {}
    for name in generations.existing(path):
        if not (generations.folder(path, name) / "metadata.db").stat().st_size:
            continue  # It is lost, and made again.
        last = _last_run(path, name)
        if not (last is None or list(last) == completed.get(name) or _is_known(library, last)):
            detail = f"`pixfind {last[0]}` on {last[2]} wrote it, and this library knows nothing of that"
            raise errors.BackupRefused(path=path, library=library.path, detail=detail)
        _refuse_loss(path, library, name)


def _refuse_loss(path: Path, library: Library, generation: str) -> None:
    """Raise BackupRefused where a generation knows more images there than in the library, whose database was damaged or is an old one."""
    if generation not in generations.existing(library.path):
        return
    with (
        Library.open(library.path, generation=generation) as ours,
        Library.open(path, generation=generation) as theirs,
    ):
        known, kept = (each.catalogue.value("count_images") for each in (ours, theirs))
    if known < kept:
        detail = f"it knows {numbered(kept, 'image')}, and this library {known:,}"
        raise errors.BackupRefused(path=path, library=library.path, detail=detail)


def _is_known(library: Library, run: tuple[object, ...]) -> bool:
    names = dict(zip(("verb", "pid", "host", "started_at"), run, strict=True))
    for generation in generations.existing(library.path):
        with Library.open(library.path, generation=generation) as ours:
            if ours.catalogue.value("has_run", "library.sql", **names):
                return True
    return False


def _last_run(path: Path, generation: str) -> tuple[object, ...] | None:
    """Return (verb, pid, host, started_at) of the last command that wrote a generation."""
    with Library.open(path, generation=generation) as there:
        found = next(there.catalogue.rows("last_run", "library.sql"), None)
    return None if found is None else found[:4]


def _marker(path: Path) -> dict[str, Any]:
    try:
        with disk.reading(path / backup_marker.NAME):
            found = json.loads((path / backup_marker.NAME).read_text(encoding="utf-8"))
        return {"backup_of": found["backup_of"], "last_runs": dict(found.get("last_runs") or {})}
    except (ValueError, TypeError, KeyError):
        return {"backup_of": None}


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
    if completed is None and (path / backup_marker.NAME).exists():
        return
    about = {
        "backup_of": os.fspath(library.path),
        "completed_at": completed and completed.isoformat(timespec="seconds"),
        "last_runs": completed and {name: _last_run(path, name) for name in generations.existing(path)},
    }
    backup_marker.write(path, about)
