r"""
The relocation: folders that have moved to another mount or machine get their new paths, and nothing is embedded again.

Owns how an old path becomes a new one, and what is refused. Reads a few of the user's files to see that they are there; all files'
times only where the new place stores them less precisely. Must not know models or embeddings.
A library may come from a system whose paths look different: `C:\Photos\a.jpg` becomes `/photos/a.jpg`.
"""

import json
import ntpath
import os
import re
from dataclasses import dataclass, field

from pixfind import errors
from pixfind.images import source
from pixfind.library import path_text, scan
from pixfind.library.catalogue import Catalogue, Root
from pixfind.library.library import Library
from pixfind.types import Progress, no_progress

_SAMPLE = 50
_READ = 5
"""files of the sample whose content is read"""
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_PROGRESS_FILES = 1000

#: ns. File systems round times to 100 ns (NTFS, SMB), microseconds, milliseconds, seconds or two seconds (FAT).
_UNITS = (100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)


@dataclass(slots=True)
class Sample:
    """What became of some images at their new paths."""

    same: int = 0
    """the file that is known, by size and time; of some the content too"""
    rounded: int = 0
    """the same, with a time that the new place stores less precisely"""
    retimed: int = 0
    """of the same size, with another time: the next scan takes it for a changed file"""
    different: int = 0
    missing: int = 0
    example: tuple[str, str] = ("", "")
    """the old path and the new one of an image; of one that is not there, if there is one"""

    @property
    def checked(self) -> int:
        """How many were looked for."""
        return self.same + self.rounded + self.retimed + self.different + self.missing

    def __str__(self) -> str:
        counts = {
            "there": self.same,
            "there with a rounded time": self.rounded,
            "there with another time": self.retimed,
            "another file": self.different,
            "missing": self.missing,
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


@dataclass(frozen=True, slots=True)
class Relocation:
    """What a relocation does, or would do."""

    roots: list[tuple[str, str]]
    """old and new path of each"""
    images: int
    embedded: int
    """of the images, those that are found by a search"""
    sample: Sample
    retimed: int = 0
    """images that got the rounded time of their file"""


@dataclass(frozen=True, slots=True)
class Move:
    """From one folder to another."""

    old: str
    new: str
    _old_inside: str = field(init=False)
    _new_inside: str = field(init=False)

    def __post_init__(self) -> None:
        if (mark := source.mark_of(self.old)) and source.mark_of(self.new) == mark:
            # One container: what is in it comes behind another mark than the files of a folder.
            object.__setattr__(self, "_old_inside", self.old + mark)
            object.__setattr__(self, "_new_inside", self.new + mark)
            return
        separator = "\\" if self.is_foreign else os.sep
        object.__setattr__(self, "_old_inside", self.old if self.old.endswith(separator) else self.old + separator)
        object.__setattr__(self, "_new_inside", os.path.join(self.new, ""))

    @classmethod
    def between(cls, old: str, new: str) -> "Move":
        """Return the move; raises OtherPathStyle for a new path that this system does not have."""
        if os.name != "nt" and _WINDOWS.match(new):
            raise errors.OtherPathStyle(new=new, detail="only Windows has such paths")
        foreign = os.name != "nt" and _WINDOWS.match(old)
        given = ntpath.normpath(old) if foreign else os.path.abspath(os.path.expanduser(old))
        move = cls(given, os.path.abspath(os.path.expanduser(new)))
        if move.old == move.new:
            raise errors.RelocationRefused(
                old=move.old,
                new=move.new,
                detail="both are the same folder",
                instead="Name the folder they are in now.",
            )
        return move

    @property
    def is_foreign(self) -> bool:
        """Whether the old path is one of Windows, and this is another system."""
        return os.name != "nt" and bool(_WINDOWS.match(self.old))

    @property
    def text_range(self) -> dict[str, str]:
        """The first text of a path below the old folder, and the first after all of them."""
        first, last = path_text.range_below(self._old_inside)
        return {"first": first, "last": last}

    def concerns(self, path: str) -> bool:
        """Tell whether a path is the old folder or below it."""
        return path == self.old or path.startswith(self._old_inside)

    def moved(self, path: str) -> str:
        """Return the new path of one that `concerns` is true for."""
        if path == self.old:
            return self.new
        rest = path[len(self._old_inside) :]
        return self._new_inside + (rest.replace("\\", os.sep) if self.is_foreign else rest)


def preview(library: Library, move: Move, *, anyway: bool = False) -> Relocation:
    """
    Return what `relocate` would do, and change nothing.

    Raises NotBelow, RelocationRefused where the new paths are taken or lie in no root, and NotMovedThere (unless `anyway`) where none of some
    images is there.
    """
    catalogue, texts = library.catalogue, move.text_range
    _add_functions(catalogue, move)
    roots = catalogue.roots()
    images, embedded = next(catalogue.rows("affected", "relocate.sql", **texts))
    moving = [(root.path, move.moved(root.path)) for root in roots if move.concerns(root.path)]
    if not moving and not images:
        known = ", ".join(path_text.readable(root.path) for root in roots) or "none"
        raise errors.NotBelow(old=path_text.readable(move.old), roots=known)
    _refuse_overlap(catalogue, move, roots)
    sample = _sample(catalogue, move)
    if sample.checked and not (sample.same or sample.rounded or anyway):
        old, new = map(path_text.readable, (move.old, move.new))
        detail = str(sample)
        if sample.retimed:
            detail += "; with other times all would be embedded again, so copy them with their times (rsync -a, cp -p)"
        raise errors.NotMovedThere(checked=sample.checked, old=old, new=new, detail=detail)
    return Relocation(moving, images, embedded, sample)


def relocate(library: Library, move: Move, *, anyway: bool = False, progress: Progress = no_progress) -> Relocation:
    """
    Give every root and image at or below the old folder its new path, in one transaction; call it inside `library.lock("relocate")`.

    Which roots are offline is found out again. Raises what `preview` raises, before anything is changed.
    """
    catalogue = library.catalogue
    found = preview(library, move, anyway=anyway)
    catalogue.run("begin", "relocate.sql")
    with catalogue.transaction():
        catalogue.run("forget", "relocate.sql")
        catalogue.run("find", "relocate.sql", **move.text_range)
        retimed = _take_rounded_times(catalogue, progress) if found.sample.rounded else 0
        moving = [root for root in catalogue.roots() if move.concerns(root.path)]
        for root in moving:
            catalogue.run("free_root_path", "relocate.sql", id=root.id)
        for root in moving:
            catalogue.run("move_root", "relocate.sql", id=root.id, path=path_text.to_text(move.moved(root.path)))
            # The sample has shown that it is the same folder, whatever device it lies on now.
            if found.sample.same or found.sample.rounded:
                found_there = source.reachable(move.moved(root.path), json.loads(root.settings))
                if found_there.device is not None:
                    catalogue.run("set_device", "relocate.sql", id=root.id, device=found_there.device)
        catalogue.run("forget_archives", "relocate.sql", **move.text_range)
        catalogue.run("free_image_paths", "relocate.sql")
        catalogue.run("move_images", "relocate.sql")
        scan.refresh_roots(library)
    return Relocation(found.roots, found.images, found.embedded, found.sample, retimed)


def _add_functions(catalogue: Catalogue, move: Move) -> None:
    """Let statements call `relocated` and `root_of`, which know the roots as they are now."""
    places = [(move.moved(root.path) if move.concerns(root.path) else root.path, root.id) for root in catalogue.roots()]
    # The innermost first: a drive inside a root is a root of its own.
    prefixes = ((source.prefix(path), root_id) for path, root_id in places)
    inside = sorted(((prefix, root_id) for prefix, root_id in prefixes if prefix), reverse=True, key=_depth)

    # What a list names stays with it, wherever it lies.
    anywhere = {root_id for path, root_id in places if source.prefix(path) is None}

    def root_of(text: str, before: int) -> int | None:
        path = path_text.from_text(text)
        found = next((root_id for place, root_id in inside if path.startswith(place)), None)
        return before if found is None and before in anywhere else found

    catalogue.add_function("relocated", 1, lambda text: path_text.to_text(move.moved(path_text.from_text(text))))
    catalogue.add_function("root_of", 2, root_of)


def _depth(place: tuple[str, int]) -> int:
    return len(place[0])


def _refuse_overlap(catalogue: Catalogue, move: Move, roots: list[Root]) -> None:
    texts = move.text_range
    stay = {root.path for root in roots if not move.concerns(root.path)}
    taken = next((path for root in roots if move.concerns(root.path) and (path := move.moved(root.path)) in stay), None)
    what = "a folder of this library"
    if taken is None:
        taken = catalogue.value("taken", "relocate.sql", **texts)
        what = "an image of this library"
    old, new = map(path_text.readable, (move.old, move.new))
    if taken is not None:
        raise errors.RelocationRefused(
            old=old,
            new=new,
            detail=f"{path_text.readable(taken)} is {what} already, and two cannot become one",
            instead="`pixfind index` recognises files that were moved between folders that it knows.",
        )
    outside = catalogue.value("homeless", "relocate.sql", **texts)
    if outside is not None:
        raise errors.RelocationRefused(
            old=old,
            new=new,
            detail=f"{path_text.readable(outside)} would lie in no folder of this library, because only a part of one is named",
            instead=f"Register the new place, which recognises files that were moved: pixfind index {new}",
        )


def _sample(catalogue: Catalogue, move: Move) -> Sample:
    sample, read = Sample(), 0
    for path, size, mtime_ns, content in catalogue.rows("sample", "relocate.sql", limit=_SAMPLE, **move.text_range):
        new = move.moved(path)
        kind = _found(new, size, mtime_ns)
        if kind not in ("different", "missing") and content is not None and read < _READ:
            read += 1
            kind = kind if _has_content(new, content) else "different"
        setattr(sample, kind, getattr(sample, kind) + 1)
        if kind in ("missing", "different") or not sample.example[0]:
            sample.example = (path, new)
    return sample


def _found(location: str, size: int, mtime_ns: int) -> str:
    found = source.version(location)
    return "missing" if found is None else _kind(*found, size, mtime_ns)


def _kind(size: int, mtime_ns: int, known_size: int, known_mtime_ns: int) -> str:
    if size != known_size:
        return "different"
    if mtime_ns == known_mtime_ns:
        return "same"
    return "rounded" if _is_rounded(known_mtime_ns, mtime_ns) else "retimed"


def _is_rounded(precise: int, found: int) -> bool:
    return any(found % unit == 0 and abs(found - precise) < unit for unit in _UNITS)


def _has_content(path: str, content: bytes) -> bool:
    try:
        return source.read(path).fingerprint.hash == content
    except errors.ImageProblem:
        return False


def _take_rounded_times(catalogue: Catalogue, progress: Progress) -> int:
    """Note in `moved` the times that the new place has rounded: with them the files are known ones. Return how many."""
    taken = []
    for number, (image_id, path, size, mtime_ns) in enumerate(list(catalogue.rows("times", "relocate.sql")), 1):
        if (found := source.version(path)) is not None and _kind(*found, size, mtime_ns) == "rounded":
            taken.append({"id": image_id, "mtime_ns": found[1]})
        if number % _PROGRESS_FILES == 0:
            progress(number, None)
    catalogue.run_many("set_time", taken, "relocate.sql")
    return len(taken)
