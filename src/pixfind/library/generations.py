"""
Homes: the folders inside a library that hold one model's side of it, and which of them answers.

A home has a metadata.db and a data/. The library's own folder is the first one; a change of the model makes models/2, models/3 ...
Owns `models.json`, which tells the part that each home plays. It is replaced by one rename: so a switch is one step, and whoever
opens the library sees the model before it or the one after it, whole. Must not know what lies in a home, beyond deleting it.
Why it is done so: docs/decisions/0006.
"""

import contextlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pixfind import errors
from pixfind.storage import disk

FIRST = "."

_NAME = "models.json"
_FOLDER = "models"
_HOME = re.compile(rf"\.|{_FOLDER}/[1-9]\d*")

#: All that pixfind writes into data/. The first home lies in the user's own folder, where others may have put files.
_DATA = ("embeddings*.npy", "indices*.npy", "model.json", "faiss.index", "background.npz", "worker_*.lock", ".*.tmp")

#: All that lies in a library and in a home, folders before what is in them.
_OURS = (
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
    "library.lock",
)


@dataclass(frozen=True, slots=True)
class Homes:
    """Which home plays which part. Written by the holder of the library's lock only."""

    current: str = FIRST
    """answers"""
    next: str | None = None
    """is being filled with another model's embeddings, and will answer when it is complete and verified"""
    previous: str | None = None
    """answered before; a rollback goes there"""
    aside: str | None = None
    """was abandoned or rolled back: nothing goes there by itself, and a change to its model takes it up again"""
    number: int = 1
    """of the youngest home; none is given twice, so that a reader never takes a new one for the one it knew"""
    unfinished_rollback: bool = False
    """a rollback has taken its one step and was not heard to end: the same command must not take another"""

    def named(self) -> set[str]:
        """Return the homes that play a part."""
        return {home for home in (self.current, self.next, self.previous, self.aside) if home is not None}


def read(library: Path) -> Homes:
    """Return the parts as they are now; raises LibraryDamaged where models.json is lost or not ours."""
    path = library / _NAME
    try:
        found = Homes(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        if (library / _FOLDER).exists():
            # The first home may be long out of date by then: never answer from it without a word.
            raise errors.LibraryDamaged(path=path, detail=f"it is missing, and {_FOLDER}/ holds embeddings") from None
        return Homes()
    except OSError as error:
        raise disk.told(error, "read", path) from error
    except (ValueError, TypeError) as error:
        raise errors.LibraryDamaged(path=path, detail=f"it cannot be read ({error})") from error
    # These names are deleted by `sweep`.
    if not all(isinstance(home, str) and _HOME.fullmatch(home) for home in found.named()):
        raise errors.LibraryDamaged(path=path, detail=f"it names other homes than {_FOLDER}/NUMBER")
    return found


def publish(library: Path, homes: Homes) -> None:
    """Give the homes their parts, in one step."""
    disk.publish(library / _NAME, (json.dumps(asdict(homes), indent=2) + "\n").encode())


def folder(library: Path, home: str) -> Path:
    """Return where a home's metadata.db and data/ lie."""
    return library if home == FIRST else library / home


def refuse_links(library: Path) -> None:
    """Raise LinkInLibrary where a file or folder of ours is a link: we would write, or delete, what lies outside the library."""
    for folder in (library, *library.glob(f"{_FOLDER}/*")):
        for name in _OURS:
            # Not all by glob: without a star it passes over a link that leads nowhere, which a write would follow all the same.
            for path in folder.glob(name) if "*" in name else [folder / name]:
                if path.is_symlink():
                    raise errors.LinkInLibrary(path=path)


def here(library: Path) -> bool:
    """Tell whether there is a library in this folder, whatever state it is in."""
    return (library / "metadata.db").exists() or (library / _NAME).exists()


def found(library: Path) -> list[str]:
    """Return the homes that are there, whatever part they play, the oldest first."""
    numbers = sorted(int(path.name) for path in (library / _FOLDER).glob("*") if path.name.isdecimal())
    every = (FIRST, *(f"{_FOLDER}/{number}" for number in numbers))
    return [home for home in every if (folder(library, home) / "metadata.db").exists()]


def youngest(library: Path) -> int:
    """Return the highest number of a home that is there; that of the first is 1."""
    return max((int(home.rpartition("/")[2]) for home in found(library) if home != FIRST), default=1)


def begin(library: Path, homes: Homes) -> tuple[str, Homes]:
    """Return the name of a new home and the parts to go on from; nothing names the home yet."""
    numbered = Homes(**{**asdict(homes), "number": homes.number + 1})
    # The file before the folder: a folder without the file means that the file was lost.
    publish(library, numbered)
    return f"{_FOLDER}/{numbered.number}", numbered


def sweep(library: Path) -> None:
    """Delete the homes that play no part. Whoever reads one of them just now keeps what it has open."""
    if not (library / _NAME).exists():
        return
    named = read(library).named()
    for path in (library / _FOLDER).glob("*"):
        if f"{_FOLDER}/{path.name}" not in named:
            # What is held open cannot be deleted on every system: the next sweep tries again.
            shutil.rmtree(path, ignore_errors=True)
    if FIRST not in named:
        with contextlib.suppress(OSError):
            _sweep_first(library)


def _sweep_first(library: Path) -> None:
    data = library / "data"
    for path in [*library.glob("metadata.db*"), *(path for glob in _DATA for path in data.glob(glob))]:
        path.unlink()
    if data.exists():
        data.rmdir()
