"""
Generations: the folders inside a library that hold one model's side of it, and which of them is active.

A generation has a metadata.db and a data/. The library's own folder is the first one; switching the model makes models/2, models/3 ...
Owns `models.json`, which gives each generation its role. It is replaced by one rename: so a switch is one step, and whoever opens the
library sees either the model before it or the one after it. Must not know what a generation contains, beyond deleting it.
Why it is done so: docs/decisions/0006.
"""

import contextlib
import fnmatch
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pixfind import errors
from pixfind.storage import disk

FIRST = "."

_NAME = "models.json"
_FOLDER = "models"
_GENERATION = re.compile(rf"\.|{_FOLDER}/[1-9]\d*")

#: All that pixfind writes into data/. The first generation is the library's own folder, where users may have put other files.
_DATA = (
    "embeddings*.npy",
    "indices*.npy",
    "model.json",
    "faiss.index",
    "background.npz",
    "similarity_map.npz",
    "fulltext.db*",
    "worker_*.lock",
    ".*.tmp",
)

#: All that a library and a generation contain, folders before their content.
_OURS = (
    "pixfind.toml",
    "metadata*.db*",
    _NAME,
    _FOLDER,
    f"{_FOLDER}/*",
    "data",
    *(f"data/{name}" for name in _DATA),
    "logs",
    "logs/*.log",
    "thumbnails",
    "*.json",
    "serve-*.*",
    "*.lock",
)

#: field of Generations -> its key in models.json: the file format keeps its first names
_KEYS = {
    "active": "current",
    "staged": "next",
    "previous": "previous",
    "retired": "aside",
    "last_number": "number",
    "unfinished_rollback": "unfinished_rollback",
}


@dataclass(frozen=True, slots=True)
class Generations:
    """The role of each generation. Written by the holder of the library's lock only."""

    active: str = FIRST
    """answers"""
    staged: str | None = None
    """is being filled with another model's embeddings, and becomes active when it is complete and verified"""
    previous: str | None = None
    """was active before; a rollback activates it"""
    retired: str | None = None
    """was abandoned or rolled back: nothing activates it by itself, and a switch to its model takes it up again"""
    last_number: int = 1
    """highest number ever used; numbers are never reused, so an open reader cannot mistake a new generation for its own"""
    unfinished_rollback: bool = False
    """a rollback has taken its one step and was not heard to end: the same command must not take another"""

    def in_use(self) -> set[str]:
        """Return the generations that have a role."""
        return {name for name in (self.active, self.staged, self.previous, self.retired) if name is not None}

    def without(self, name: str) -> "Generations":
        """Take its role from a generation that is about to be staged."""
        return replace(
            self,
            previous=None if self.previous == name else self.previous,
            retired=None if self.retired == name else self.retired,
        )


def read(library: Path) -> Generations:
    """Return the roles as they are now; raises LibraryDamaged where models.json is lost or not ours."""
    path = library / _NAME
    fields = {key: field for field, key in _KEYS.items()}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        found = Generations(**{fields[key]: value for key, value in stored.items()})
    except FileNotFoundError:
        if (library / _FOLDER).exists():
            # The first generation may be long out of date by then: never answer from it silently.
            raise errors.LibraryDamaged(path=path, detail=f"it is missing, and {_FOLDER}/ holds embeddings") from None
        return Generations()
    except OSError as error:
        raise disk.translated(error, "read", path) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise errors.LibraryDamaged(path=path, detail=f"it cannot be read ({error!r})") from error
    # These names are deleted by `delete_unused`.
    if not all(isinstance(name, str) and _GENERATION.fullmatch(name) for name in found.in_use()):
        raise errors.LibraryDamaged(path=path, detail=f"it names other folders than {_FOLDER}/NUMBER")
    return found


def has_roles(library: Path) -> bool:
    """Tell whether the roles were ever published there."""
    return (library / _NAME).exists()


def publish(library: Path, generations: Generations) -> None:
    """Give the generations their roles, in one step."""
    stored = {_KEYS[field]: value for field, value in asdict(generations).items()}
    disk.publish(library / _NAME, (json.dumps(stored, indent=2) + "\n").encode())


def folder(library: Path, generation: str) -> Path:
    """Return the folder that contains the metadata.db and the data/ of a generation."""
    return library if generation == FIRST else library / generation


def refuse_no_folder(library: Path) -> None:
    """Raise LibraryNotADirectory where a file has the name of the library or of a folder above it, InvalidLibraryName where nothing can have it."""
    if (problem := disk.name_problem(library)) is not None:
        raise errors.InvalidLibraryName(path=library, detail=problem)
    for place in (library, *library.parents):
        if os.path.isfile(place):  # noqa: PTH113  `Path.is_file` raises where a folder is not readable
            raise errors.LibraryNotADirectory(path=place)


def refuse_links(library: Path) -> None:
    """Raise LinkInLibrary where a file or folder of ours is a link: writes and deletions would reach files outside the library."""
    for folder in (library, *library.glob(f"{_FOLDER}/*")):
        for name in _OURS:
            # Not all by glob: without a star it passes over a link that leads nowhere, which a write would follow all the same.
            for path in folder.glob(name) if "*" in name else [folder / name]:
                if path.is_symlink():
                    raise errors.LinkInLibrary(path=path)


def is_library(path: Path) -> bool:
    """Tell whether there is a library in this folder, whatever state it is in."""
    if disk.name_problem(path) is not None:
        return False
    return (path / "metadata.db").exists() or (path / _NAME).exists()


def library_of(path: Path) -> Path | None:
    """Return the library that has, or may come to have, a file of ours at this absolute path; None where it is the user's own."""
    for folder in path.parents:
        if is_library(folder):
            top = path.relative_to(folder).parts[0]
            if any(fnmatch.fnmatchcase(top, name) for name in _OURS):
                return folder
    return None


def existing(library: Path) -> list[str]:
    """Return the generations that are there, whatever their role, the oldest first."""
    numbers = sorted(int(path.name) for path in (library / _FOLDER).glob("*") if path.name.isdecimal())
    every = (FIRST, *(f"{_FOLDER}/{number}" for number in numbers))
    return [name for name in every if (folder(library, name) / "metadata.db").exists()]


def highest_number(library: Path) -> int:
    """Return the highest number of a generation that is there; that of the first is 1."""
    return max((int(name.rpartition("/")[2]) for name in existing(library) if name != FIRST), default=1)


def reserve(library: Path, generations: Generations) -> tuple[str, Generations]:
    """Return the name of a new generation and the roles to continue with; the new one has none yet."""
    numbered = replace(generations, last_number=generations.last_number + 1)
    # The file before the folder: a folder without the file means that the file was lost.
    publish(library, numbered)
    return f"{_FOLDER}/{numbered.last_number}", numbered


def delete_database(database: Path) -> None:
    """Delete a database of ours with its log, which SQLite would apply to whatever takes its place."""
    for name in (database.name, *(f"{database.name}-{log}" for log in ("wal", "shm", "journal"))):
        disk.delete(database.with_name(name))


def delete_unused(library: Path) -> None:
    """Delete the generations without a role. Whoever reads one of them at the moment keeps what it has open."""
    if not (library / _NAME).exists():
        return
    in_use = read(library).in_use()
    for path in (library / _FOLDER).glob("*"):
        if f"{_FOLDER}/{path.name}" not in in_use:
            # What is held open cannot be deleted on every system: the next call tries again.
            shutil.rmtree(path, ignore_errors=True)
    if FIRST not in in_use:
        with contextlib.suppress(OSError):
            _delete_first(library)


def _delete_first(library: Path) -> None:
    data = library / "data"
    for path in [*library.glob("metadata.db*"), *(path for glob in _DATA for path in data.glob(glob))]:
        path.unlink()
    if data.exists():
        data.rmdir()
