"""
Search: from a query to hits.

Owns how results stay exact with filters and with images that are gone, and which hits are shown.
Must not know how rows are found (`index`), how terms are combined (`query_vector`) or how the result is shown.
"""

import functools
import json
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy import float32, int64
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search import duplicates, query_vector, shots
from pixfind.search.encoders import Encoders
from pixfind.search.filters import NO_FILTERS, Filters, kilometres
from pixfind.search.query import Query, parse
from pixfind.search.query_vector import QueryVector
from pixfind.search.results import Hit, SearchResult
from pixfind.search.snapshot import Snapshot, SnapshotCache

_MARGIN = 100
"""Candidates beyond four times k, when some of the best k are gone."""

_FILTER_DEPTHS = (200, 2_000)
"""Filters are tried on so many of the best rows before the catalogue lists all allowed rows: mostly enough of them pass."""

_MAX_FOLDED = 5_000
"""Hits that are compared with each other to fold near-duplicates."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An image among the best rows: not a `Hit` yet, because its rank and its z-scores are not known."""

    row: int
    score: float
    image_id: int
    path: str
    also: tuple[str, ...]
    same_shot: tuple[str, ...] = ()
    folded: int = 0


class Searcher:
    """
    A library that is open for many searches: index, calibration and encoders stay loaded. One thread at a time.

    After a model switch the next search uses the new model: `library`, `encoders` and `snapshots` are replaced together. A searcher with
    shared encoders or snapshots keeps its library: their owner replaces all of them at once (see `Library.superseded`).
    """

    def __init__(
        self, library: Library, encoders: Encoders | None = None, snapshots: SnapshotCache | None = None
    ) -> None:
        # A generation that was opened by its name was chosen on purpose, so it is kept.
        self._follows_switches = encoders is None and snapshots is None and not library.superseded()
        self._initial = library
        self._use(library, encoders or Encoders(library), snapshots or SnapshotCache())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.library is not self._initial:
            self.library.close()

    def search(
        self,
        query: Query | str,
        k: int = 10,
        filters: Filters = NO_FILTERS,
        *,
        distinct: bool = False,
        each_file: bool = False,
        include_weak: bool = False,
        files: Sequence[bytes] = (),
        vectors: Sequence[NDArray[float32]] = (),
    ) -> SearchResult:
        """
        Return the k best hits, best first.

        The files of one shot, such as RAW and JPEG, are one hit, the best of them, unless `each_file`. `distinct` folds near-duplicates into the
        best of them; `include_weak` returns hits below the cut-off too. `files` (the bytes of image files) and `vectors` (unit rows [d]) are added to the terms of the query, which may then be empty. Raises InvalidQuery, InvalidQueryImage, ImageNotFound, QueryCancelsOut, InvalidCount, NotEmbedded, and
        what loading a model raises.
        """
        started = time.perf_counter()
        k = _whole(k)
        query = parse(query) if isinstance(query, str) else query
        self._follow_switch()
        snapshot = self.snapshots.get(self.library)
        # Room for k candidates is allocated, whether there are as many or not.
        k = min(k, len(snapshot.index.embeddings))
        encoded = query_vector.encode(self.library, self.encoders, snapshot, query, files, vectors)
        find = functools.partial(self._nearest, snapshot, encoded.vector, filters=filters)
        if not each_file:
            find = functools.partial(self._one_a_shot, find, filters)
        if distinct:
            find = functools.partial(_distinct, find, snapshot)
        found = find(k)[:k]
        hits = _hits(snapshot, encoded, found)
        shown = hits if include_weak else [hit for hit in hits if _strong(hit, snapshot, encoded)]
        return SearchResult(
            query=query,
            hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(shown, 1))
            if len(shown) < len(hits)
            else tuple(hits),
            below_cutoff=len(hits) - len(shown),
            cutoff=None if include_weak or encoded.texts is None else snapshot.calibration.query_cutoff,
            unknown=encoded.unknown,
            ignored=encoded.ignored,
            rows=len(snapshot.index.embeddings),
            kind=snapshot.index.header.kind,
            problem=snapshot.index.problem,
            seconds=time.perf_counter() - started,
        )

    def _use(self, library: Library, encoders: Encoders, snapshots: SnapshotCache) -> None:
        self.library, self.encoders, self.snapshots = library, encoders, snapshots
        library.catalogue.add_function("km", 4, kilometres)

    def _follow_switch(self) -> None:
        """Replace the library and all that belongs to it after a model switch."""
        if not self._follows_switches or not self.library.superseded():
            return
        before, library = self.library, Library.open(self.library.path)
        self._use(library, Encoders(library), SnapshotCache())
        if before is not self._initial:
            before.close()

    # --- from one embedding to images -------------------------------------------------------------

    def _one_a_shot(self, find: "_Find", filters: Filters, k: int) -> list[_Candidate]:
        """Return the k best shots: the best file of each, and the paths of its others."""
        want = k
        while True:
            found = find(want)
            folded = self._fold_shots(found[:want], filters)
            if len(folded) >= k or len(found) < want:
                return folded
            want *= 2

    def _fold_shots(self, found: Sequence[_Candidate], filters: Filters) -> list[_Candidate]:
        paths = [path for one in found for path in (one.path, *one.also)]
        files = shots.beside(self.library.catalogue, paths, filters)
        if not files:
            return list(found)
        best: list[_Candidate] = []
        places: dict[str, int] = {}
        for one in found:
            ours = [one.path, *one.also]
            place = next((places[path] for path in ours if path in places), len(best))
            if place == len(best):
                best.append(one)
            ours += [file.path for path in ours for file in files.get(path, ())]
            places.update(dict.fromkeys(ours, place))
            shown = best[place]
            others = {*shown.same_shot, *ours} - {shown.path, *shown.also}
            best[place] = replace(shown, same_shot=tuple(sorted(others)))
        return best

    def _nearest(self, snapshot: Snapshot, vector: NDArray[float32], k: int, *, filters: Filters) -> list[_Candidate]:
        """Return the k best images that are there and pass the filters; fewer only when the library has no more."""
        depths = [max(k, depth) for depth in _FILTER_DEPTHS] if filters else [k, 4 * k + _MARGIN]
        for depth in depths:
            found = self._candidates(snapshot, vector, depth, filters)
            if len(found) >= k or depth >= len(snapshot.index.embeddings):
                return found[:k]
        # Too few pass: list all allowed rows from the catalogue, and score only those.
        rows = self.library.catalogue.rows("allowed_rows", "search.sql", **filters.parameters())
        allowed = np.fromiter((row for (row,) in rows), dtype=int64)
        return self._candidates(snapshot, vector, k, filters, allowed)[:k]

    def _candidates(
        self,
        snapshot: Snapshot,
        vector: NDArray[float32],
        depth: int,
        filters: Filters,
        allowed: NDArray[int64] | None = None,
    ) -> list[_Candidate]:
        """Return those of the `depth` best rows that are images passing the filters, best first."""
        rows, scores = (each[0] for each in snapshot.index.search(vector[None], depth, allowed))
        rows, scores = rows[rows >= 0], scores[rows >= 0]
        images = self._images_of(rows, filters)
        return [
            _Candidate(row, float(score), *images[row][0], also=tuple(path for _, path in images[row][1:]))
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
            if row in images
        ]

    def _images_of(self, rows: NDArray[int64], filters: Filters) -> dict[int, list[tuple[int, str]]]:
        """Return the images (id, path) of each row that has any."""
        images: dict[int, list[tuple[int, str]]] = {}
        parameters = {"rows": json.dumps(rows.tolist()), **filters.parameters()}
        for row, image_id, path in self.library.catalogue.rows("hits", "search.sql", **parameters):
            images.setdefault(row, []).append((image_id, path))
        return images


_Find = Callable[[int], list[_Candidate]]
"""from k to the k best, or somewhat more; fewer only when there are no more"""


def _distinct(find: _Find, snapshot: Snapshot, k: int) -> list[_Candidate]:
    """Return the best of each group of near-duplicates; fewer than k only when there are no more, or _MAX_FOLDED were compared."""
    cosine = duplicates.threshold(snapshot.calibration.mean)
    want = 3 * k
    while True:
        found = find(want)
        groups = duplicates.group(snapshot.index.embeddings[[one.row for one in found]], cosine)
        if len(groups) >= k or len(found) < want or want >= max(_MAX_FOLDED, 3 * k):
            return [replace(found[places[0]], folded=len(places) - 1) for places in groups]
        want = min(3 * want, max(_MAX_FOLDED, 3 * k))


def search(
    library: Library,
    query: Query | str,
    k: int = 10,
    filters: Filters = NO_FILTERS,
    *,
    distinct: bool = False,
    each_file: bool = False,
    include_weak: bool = False,
) -> SearchResult:
    """Search once; see `Searcher.search`."""
    with Searcher(library) as searcher:
        return searcher.search(query, k, filters, distinct=distinct, each_file=each_file, include_weak=include_weak)


def _whole(k: int) -> int:
    """Return how many hits are wanted as a plain int, whatever integer it is; raises InvalidCount."""
    try:
        count = operator.index(k)
    except TypeError as error:
        raise errors.InvalidCount(k=k) from error
    if count < 1:
        raise errors.InvalidCount(k=k)
    # Faiss takes no bool.
    return int(count)


def _hits(snapshot: Snapshot, encoded: QueryVector, found: Sequence[_Candidate]) -> list[Hit]:
    judged: list[tuple[float | None, float | None]] = [(None, None)] * len(found)
    known, texts = snapshot.calibration, encoded.texts
    if texts is not None and known.model and found:
        rows = snapshot.index.embeddings[[one.row for one in found]]
        scores = np.array([one.score for one in found], dtype=float32)
        query_z = known.query_z(encoded.vector, scores, rows, texts=texts).tolist()
        judged = list(zip(query_z, known.image_z(scores, rows, texts=texts).tolist(), strict=True))
    return [
        Hit(rank, one.path, one.score, one.image_id, one.row, *z_scores, one.also, one.same_shot, one.folded)
        for rank, (one, z_scores) in enumerate(zip(found, judged, strict=True), 1)
    ]


def _strong(hit: Hit, snapshot: Snapshot, encoded: QueryVector) -> bool:
    """Tell whether a hit is to be shown."""
    if encoded.noise:
        return False
    return hit.query_z is None or hit.image_z is None or snapshot.calibration.above_cutoff(hit.query_z, hit.image_z)
