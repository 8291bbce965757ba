"""
Duplicates: files with the same bytes, near-duplicates, shots and bursts.

Owns the definition of near-duplicates: a high cosine between embeddings and, for listed groups, similar perceptual hashes too, because people delete files
by them. Shots (`shots`) and bursts (`bursts`) have groups of their own: nobody wants to delete those by mistake. Lists groups, deletes nothing. Must not know queries. `ranking` folds hits with it.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy import bool_, float16, float32
from numpy.typing import NDArray

from pixfind import machine
from pixfind.errors import NotEmbedded
from pixfind.index import reader
from pixfind.library.library import Library
from pixfind.search import bursts, calibration, shots
from pixfind.search.bursts import Taken
from pixfind.search.filters import NO_FILTERS
from pixfind.search.indexed_files import FileCheck, IndexedFile

NEAR_FRACTION = 0.1
"""Near-duplicates have at most this fraction of the usual distance (1 - cosine) between two images of the library."""

MIN_COSINE, MAX_COSINE = 0.95, 0.995
"""Bounds of the threshold, whatever the library: where all images are copies of a few, the usual distance is that between copies."""

_MAX_DIFFERENT_BITS = 10
"""of 64: the highest Hamming distance between the perceptual hashes of near-duplicates"""

_NEIGHBOURS = 16
_CANDIDATES = 64
"""Rows to score for one image: few are enough, because near-duplicates rank far above all others in codes too."""

_BATCH = 256

Progress = Callable[[int, int], None]
"""(done, total)"""


class MatchKind(StrEnum):
    """How the images of a group match."""

    EXACT = "exact"
    """the same bytes"""
    NEAR = "near"
    """different bytes, nearly the same picture"""
    SHOT = "shot"
    """the files of one shot, such as RAW and JPEG"""
    BURST = "burst"
    """taken by one camera within seconds, and nearly the same"""


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a group."""

    image_id: int
    path: str
    size: int
    """bytes"""
    embedding_index: int


@dataclass(frozen=True, slots=True)
class Group:
    """Images that are the same, or nearly; at least two, the largest file first."""

    kind: MatchKind
    members: tuple[Member, ...]
    cosine: float = 1.0
    """the lowest cosine of a pair that joined the group"""

    def values(self) -> dict[str, Any]:
        """Return the JSON of a group."""
        members = [asdict(member) for member in self.members]
        return {"sameness": self.kind, "members": members, "cosine": self.cosine}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The result of `find`."""

    groups: tuple[Group, ...]
    unchecked: int
    """pairs that are in no group because one of the pictures cannot be read now"""
    outdated: int = 0
    """files that are in no group because they are gone, or were changed since they were indexed"""

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)


def threshold(mean: NDArray[float32]) -> float:
    """Return the lowest cosine of near-duplicates in a library with this mean embedding [d]."""
    usual = 1.0 - float(mean @ mean)
    return min(max(MIN_COSINE, 1.0 - NEAR_FRACTION * usual), MAX_COSINE)


def group(
    rows: NDArray[float16], taken: Sequence[Taken], mean: NDArray[float32], limit: int | None = None
) -> list[list[tuple[int, MatchKind]]]:
    """
    Group ranked unit rows [n, d]: each joins the first group whose first row it is a near-duplicate of, or of whose burst it is.

    `mean` [d] is that of the library; `limit` leaves out all but so many groups. Returns positions in the ranking, and what each is to the first (NEAR for the first itself), groups in the order of their first row.
    """
    wide, near, of_burst = rows.astype(float32), threshold(mean), bursts.threshold(mean)
    groups: dict[int, list[tuple[int, MatchKind]]] = {}
    for start in range(0, len(rows), _BATCH):
        # Only first rows are compared with, and a batch at a time: all pairs of 15,000 rows would be a gigabyte.
        block = wide[start : start + _BATCH]
        others = [*groups, *range(start, start + len(block))]
        cosines = block @ wide[others].T
        close = cosines >= min(near, of_burst)
        before = len(others) - len(block)
        for here, place in enumerate(others[before:]):
            found = None
            for column in np.flatnonzero(close[here, : before + here]).tolist():
                first, cosine = others[column], cosines[here, column]
                if first in groups and (kind := _kind(cosine >= near, cosine >= of_burst, taken[place], taken[first])):
                    found = first, kind
                    break
            if found:
                groups[found[0]].append((place, found[1]))
            elif limit is None or len(groups) < limit:
                groups[place] = [(place, MatchKind.NEAR)]
    return list(groups.values())


def _kind(near: bool_, of_burst: bool_, one: Taken, other: Taken) -> MatchKind | None:
    """Return what two pictures are to each other; one that was saved again has the time of its original, so a second between them makes a burst."""
    if of_burst and one.in_burst_with(other) and not (near and one.at == other.at):
        return MatchKind.BURST
    return MatchKind.NEAR if near else None


@machine.all_blas_threads()
def find(
    library: Library, *, near: bool = True, cosine: float | None = None, progress: Progress | None = None
) -> Duplicates:
    """
    Group images with the same bytes and, unless `near` is False, those that are nearly the same: near-duplicates, shots and bursts.

    Near ones are pairs whose embeddings reach `cosine` (None: chosen for this library) and whose pixels agree; a group of them that is one shot has that kind.
    Raises NotEmbedded before anything is embedded.
    """
    if not library.merged_rows:
        raise NotEmbedded(path=library.path)
    files = FileCheck(library)
    exact = tuple(_exact(library, files))
    if not near:
        return Duplicates(exact, 0, len(files.outdated))
    embeddings = library.embeddings()
    live = library.live_rows()
    mean = calibration.moments(embeddings).mean
    cosine, of_burst = threshold(mean) if cosine is None else cosine, bursts.threshold(mean)
    hashes = _HashCache(library, files)
    near_rows, burst_rows = _UnionFind(), _UnionFind()
    opened = reader.open(library.index_path, embeddings)
    for one, two, score in _pairs(opened, live, min(cosine, of_burst), progress):
        first, second = hashes.taken(one), hashes.taken(two)
        in_burst = score >= of_burst and first.in_burst_with(second)
        # What was saved again has the time of its original: then the pixels decide.
        if in_burst and first.at != second.at:
            burst_rows.join(one, two, score)
        elif score >= cosine and hashes.similar(one, two):
            near_rows.join(one, two, score)
        elif in_burst:
            burst_rows.join(one, two, score)
    near_groups = [_group(files, MatchKind.NEAR, *found) for found in near_rows.groups()]
    burst_groups = [_group(files, MatchKind.BURST, *found) for found in burst_rows.groups()]
    groups = (
        *exact,
        *(_shot_or_near(library, found) for found in near_groups if found is not None),
        *(found for found in burst_groups if found is not None),
    )
    return Duplicates(groups, hashes.unchecked, len(files.outdated))


def _exact(library: Library, files: FileCheck) -> Iterator[Group]:
    found = (IndexedFile(*row) for row in library.catalogue.rows("exact_duplicates", "search.sql"))
    for _, same in itertools.groupby(found, lambda file: file.embedding_index):
        if len(members := [member(file) for file in files.distinct(same)]) > 1:
            yield Group(MatchKind.EXACT, tuple(members))


def member(file: IndexedFile) -> Member:
    """Return a file as one of a group."""
    return Member(file.image_id, file.path, file.size, file.embedding_index)


def _pairs(
    opened: reader.Index, live: NDArray[bool_], cosine: float, progress: Progress | None
) -> Iterator[tuple[int, int, float]]:
    """Yield each pair of live rows (one, two, cosine) with at least this cosine once."""
    rows = np.flatnonzero(live)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        found, scores = opened.search(opened.embeddings[batch].astype(float32), _NEIGHBOURS, candidates=_CANDIDATES)
        for place, neighbour in zip(*np.nonzero((scores >= cosine) & (found > batch[:, None])), strict=True):
            if live[found[place, neighbour]]:
                yield int(batch[place]), int(found[place, neighbour]), float(scores[place, neighbour])
        if progress:
            progress(start + len(batch), len(rows))


class _HashCache:
    """Perceptual hashes and times of the images of rows, each read once."""

    def __init__(self, library: Library, files: FileCheck) -> None:
        self._library = library
        self._files = files
        self._hashes: dict[int, NDArray[bool_] | None] = {}
        self._taken: dict[int, Taken] = {}
        self.unchecked = 0

    def similar(self, one: int, two: int) -> bool:
        first, second = self._hash(one), self._hash(two)
        if first is None or second is None:
            self.unchecked += 1
            return False
        return int((first != second).sum()) <= _MAX_DIFFERENT_BITS

    def taken(self, row: int) -> Taken:
        if row not in self._taken:
            found = next(self._library.catalogue.rows("taken_of_row", "search.sql", row=row), None)
            self._taken[row] = bursts.UNKNOWN if found is None else Taken(*found)
        return self._taken[row]

    def _hash(self, row: int) -> NDArray[bool_] | None:
        if row not in self._hashes:
            from pixfind.images.perceptual_hash import dhash

            file = next(self._files.current(self._files.of_rows([row])), None)
            self._hashes[row] = None if file is None else dhash(file.path)
        return self._hashes[row]


class _UnionFind:
    """Joins rows into groups: union-find with path halving (Tarjan and van Leeuwen, 1984)."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._lowest: dict[int, float] = {}

    def join(self, one: int, two: int, score: float) -> None:
        first, second = sorted((self._find(one), self._find(two)))
        self._parent[second] = first
        self._lowest[first] = min(score, self._lowest.get(first, 1.0), self._lowest.get(second, 1.0))

    def groups(self) -> Iterator[tuple[list[int], float]]:
        members: dict[int, list[int]] = {}
        for row in sorted(self._parent):
            members.setdefault(self._find(row), []).append(row)
        for root, rows in sorted(members.items()):
            yield rows, self._lowest[root]

    def _find(self, row: int) -> int:
        self._parent.setdefault(row, row)
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row


def _group(files: FileCheck, kind: MatchKind, rows: list[int], cosine: float) -> Group | None:
    """Return the files of some rows as a group; None where those of one row at most are left, which are in a group of their own."""
    members = [member(file) for file in files.distinct(files.of_rows(rows))]
    if len({each.embedding_index for each in members}) < 2:  # noqa: PLR2004
        return None
    members.sort(key=lambda each: (-each.size, each.image_id))
    return Group(kind, tuple(members), cosine)


def _shot_or_near(library: Library, found: Group) -> Group:
    """Return a group of near-duplicates as a shot where all its files are one."""
    paths = [each.path for each in found.members]
    files = shots.beside(library.catalogue, paths[:1], NO_FILTERS).get(paths[0], ())
    one_shot = set(paths) <= {file.path for file in files}
    return replace(found, kind=MatchKind.SHOT) if one_shot else found
