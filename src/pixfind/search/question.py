"""
A search as it was asked for: the query, how many hits, and which of them are shown.

Owns the steps that are the same for one library and for several: from arguments to one embedding, and from what was found to a result.
Must not know where images lie.
"""

import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypedDict, Unpack

from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index.header import IndexKind
from pixfind.search import query_vector, ranking
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.encoders import Encoders
from pixfind.search.filters import Filters
from pixfind.search.query import Query, parse
from pixfind.search.query_vector import KnownImages, QueryVector
from pixfind.search.ranking import Candidate, Find, Searched, Wanted
from pixfind.search.results import SearchResult
from pixfind.types import Sort


class SearchOptions(TypedDict, total=False):
    """Which hits of a search are shown, and what is added to its query."""

    distinct: bool
    """fold near-duplicates into the best of them"""
    each_file: bool
    """show the files of one shot, such as RAW and JPEG, and the frames of one video as hits of their own"""
    include_weak: bool
    """return hits below the cut-off too"""
    sort: Sort
    """another order than that of the scores, of the best hits that pass the cut-off"""
    files: Sequence[bytes]
    """contents of image files, added to the terms of the query, which may then be empty"""
    vectors: Sequence[NDArray[float32]]
    """unit rows [d], added likewise"""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One search."""

    query: Query
    k: int
    filters: Filters
    options: SearchOptions
    started: float
    """`time.perf_counter` when it was asked"""

    @classmethod
    def of(cls, query: Query | str, k: int, filters: Filters, **options: Unpack[SearchOptions]) -> Self:
        """Return a question; raises InvalidQuery, InvalidCount."""
        started = time.perf_counter()
        k = _whole(k)
        return cls(parse(query) if isinstance(query, str) else query, k, filters, options, started)

    @property
    def sort(self) -> Sort:
        """The order of the hits."""
        return self.options.get("sort", Sort.SCORE)

    @property
    def asks_for_looks(self) -> bool:
        """Whether anything in it is compared with embeddings: not where it asks for words alone."""
        return bool(self.query.of_looks().terms or self.options.get("files") or self.options.get("vectors"))

    def encode(self, images: KnownImages, encoders: Encoders, known: ScoreCalibration) -> QueryVector:
        """Return it as one embedding; raises InvalidQueryImage, ImageNotFound, QueryCancelsOut, and what loading a model raises."""
        if not self.asks_for_looks:
            return query_vector.NONE
        files, vectors = self.options.get("files", ()), self.options.get("vectors", ())
        return query_vector.encode(images, encoders, known, self.query.of_looks(), files, vectors)

    def wanted(self, encoded: QueryVector, known: ScoreCalibration) -> Wanted:
        """Return what each library is to look for."""
        each_file = self.options.get("each_file", False)
        return Wanted.of(self.query, encoded, known, self.filters, each_file=each_file)

    def result(
        self,
        find: Find,
        encoded: QueryVector,
        known: ScoreCalibration,
        rows: int,
        kind: IndexKind,
        problem: str | None,
        *,
        explain: Callable[[Sequence[Candidate]], Sequence[Candidate]] = lambda candidates: candidates,
    ) -> SearchResult:
        """Return the best hits of what `find` gives; `rows` embeddings were searched with an index of this `kind`."""
        return ranking.result(
            find,
            # Room for k candidates is allocated, whether there are as many or not.
            min(self.k, rows),
            self.query,
            encoded,
            known,
            Searched(rows, kind, problem, self.started),
            explain=explain,
            distinct=self.options.get("distinct", False),
            include_weak=self.options.get("include_weak", False),
            sort=self.sort,
        )


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
