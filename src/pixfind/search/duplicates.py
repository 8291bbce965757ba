"""
Near-duplicates: pictures that are nearly the same.

Owns what "nearly the same" means: embeddings close together and, for groups that somebody may act on, pixels too.
Lists them, deletes nothing. Must not know queries. `search` folds hits with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy import bool_, float16, float32, int64
from numpy.typing import NDArray

from pixfind.errors import NotEmbedded
from pixfind.images.perceptual_hash import dhash
from pixfind.index import reader
from pixfind.library.library import Library
from pixfind.search import calibration

NEAR_FRACTION = 0.1
"""Near-duplicates are this much as far from each other (1 - cosine) as two images of the library usually are."""

MIN_COSINE = 0.95
"""... but never a cosine below this."""

_MAX_DIFFERENT_BITS = 10
"""of 64: how far two perceptual hashes of the same scene, saved twice, lie apart at most"""

_NEIGHBOURS = 16
_CANDIDATES = 64
"""Rows to score for one image: those that are nearly the same stand far above all others, in codes too."""

_BATCH = 256

Progress = Callable[[int, int], None]
"""(done, total)"""


class MatchKind(StrEnum):
    """How the images of a group match."""

    EXACT = "exact"
    """the same bytes"""
    NEAR = "near"
    """other bytes, nearly the same picture"""


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
    """the lowest that joined two of them"""

    def values(self) -> dict[str, Any]:
        """Return the JSON of a group."""
        members = [asdict(member) for member in self.members]
        return {"sameness": self.kind, "members": members, "cosine": self.cosine}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What `find` found."""

    groups: tuple[Group, ...]
    unchecked: int
    """pairs that could not be compared because a picture cannot be read now; they are in no group"""


def threshold(mean: NDArray[float32]) -> float:
    """The cosine from which two images of a library with this mean embedding [d] are nearly the same."""
    usual = 1.0 - float(mean @ mean)
    return max(MIN_COSINE, 1.0 - NEAR_FRACTION * usual)


def group(rows: NDArray[float16], cosine: float) -> list[list[int]]:
    """
    Group a ranking [n, d] of unit rows: each joins the first one before it that it nearly equals.

    Returns places in the ranking, groups in the order of their first.
    """
    wide = rows.astype(float32)
    close = (wide @ wide.T) >= cosine
    groups: dict[int, list[int]] = {}
    for place in range(len(rows)):
        first = next((first for first in groups if close[place, first]), place)
        groups.setdefault(first, []).append(place)
    return list(groups.values())


def find(
    library: Library, *, near: bool = True, cosine: float | None = None, progress: Progress | None = None
) -> Duplicates:
    """
    Group images with the same bytes and, unless `near` is False, those that are nearly the same.

    Near ones are pairs whose embeddings reach `cosine` (None: chosen for this library) and whose pixels agree.
    Raises NotEmbedded before anything is embedded.
    """
    if not library.merged_rows:
        raise NotEmbedded(path=library.path)
    exact = tuple(_exact(library))
    if not near:
        return Duplicates(exact, 0)
    embeddings = library.embeddings()
    live = library.live_rows()
    cosine = threshold(calibration.moments(embeddings).mean) if cosine is None else cosine
    hashes = _HashCache(library)
    groups = _UnionFind()
    for one, two, score in _pairs(reader.open(library.index_path, embeddings), live, cosine, progress):
        if hashes.alike(one, two):
            groups.join(one, two, score)
    near_groups = (_near_group(library, rows, score) for rows, score in groups.groups())
    return Duplicates((*exact, *near_groups), hashes.unchecked)


def _exact(library: Library) -> Iterator[Group]:
    members: list[Member] = []
    for row, image_id, path, size in library.catalogue.rows("exact_duplicates", "search.sql"):
        if members and members[0].embedding_index != row:
            yield Group(MatchKind.EXACT, tuple(members))
            members = []
        members.append(Member(image_id, path, size, row))
    if members:
        yield Group(MatchKind.EXACT, tuple(members))


def _pairs(
    opened: reader.Index, live: NDArray[bool_], cosine: float, progress: Progress | None
) -> Iterator[tuple[int, int, float]]:
    """Pairs of live rows that reach the cosine, each once."""
    rows = np.flatnonzero(live)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        found, scores = opened.search(opened.embeddings[batch].astype(float32), _NEIGHBOURS, look=_CANDIDATES)
        for place, neighbour in zip(*np.nonzero((scores >= cosine) & (found > batch[:, None])), strict=True):
            if live[found[place, neighbour]]:
                yield int(batch[place]), int(found[place, neighbour]), float(scores[place, neighbour])
        if progress:
            progress(start + len(batch), len(rows))


class _HashCache:
    """Perceptual hashes of the images of rows, each read once."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._hashes: dict[int, NDArray[bool_] | None] = {}
        self.unchecked = 0

    def alike(self, one: int, two: int) -> bool:
        first, second = self._hash(one), self._hash(two)
        if first is None or second is None:
            self.unchecked += 1
            return False
        return int((first != second).sum()) <= _MAX_DIFFERENT_BITS

    def _hash(self, row: int) -> NDArray[bool_] | None:
        if row not in self._hashes:
            path = self._library.catalogue.value("first_path", "search.sql", row=row)
            self._hashes[row] = None if path is None else dhash(path)
        return self._hashes[row]


class _UnionFind:
    """Rows joined into groups in any order: union-find with path halving (Tarjan and van Leeuwen, 1984)."""

    def __init__(self) -> None:
        self._leader: dict[int, int] = {}
        self._lowest: dict[int, float] = {}

    def join(self, one: int, two: int, score: float) -> None:
        first, second = sorted((self._find(one), self._find(two)))
        self._leader[second] = first
        self._lowest[first] = min(score, self._lowest.get(first, 1.0), self._lowest.get(second, 1.0))

    def groups(self) -> Iterator[tuple[list[int], float]]:
        members: dict[int, list[int]] = {}
        for row in sorted(self._leader):
            members.setdefault(self._find(row), []).append(row)
        for leader, rows in sorted(members.items()):
            yield rows, self._lowest[leader]

    def _find(self, row: int) -> int:
        self._leader.setdefault(row, row)
        while self._leader[row] != row:
            self._leader[row] = self._leader[self._leader[row]]
            row = self._leader[row]
        return row


def _near_group(library: Library, rows: list[int], cosine: float) -> Group:
    found = library.catalogue.rows("members", "search.sql", rows=str(list(map(int, np.array(rows, dtype=int64)))))
    members = [Member(image_id, path, size, row) for row, image_id, path, size in found]
    members.sort(key=lambda member: (-member.size, member.image_id))
    return Group(MatchKind.NEAR, tuple(members), cosine)
