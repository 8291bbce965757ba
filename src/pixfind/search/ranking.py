"""
From candidates to a result: which near-duplicates are folded, the z-scores of hits, and which hits are shown.

Must not know where candidates come from: `searcher` finds those of one library, `collection.searcher` those of several.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
from numpy import float16, float32
from numpy.typing import NDArray

from pixfind.images import suffixes
from pixfind.index.header import IndexKind
from pixfind.search import bursts, duplicates
from pixfind.search.bursts import Taken
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.filters import Filters
from pixfind.search.query import Query
from pixfind.search.query_vector import QueryVector
from pixfind.search.results import Hit, Reason, SearchResult, Stacked
from pixfind.types import Sort, TextLine

MAX_SORTED: Final = 1_000
"""Of hits in another order than that of their scores: these best are sorted, of those that pass the cut-off."""

_MAX_SORTED_WITHOUT_CUTOFF: Final = 100
"""Where any image would be a hit, more of them have less and less to do with the query."""

_MAX_FOLDED = 5_000
"""Hits that are compared with each other to fold near-duplicates."""

_FOLDED_AHEAD = 2_000
"""Hits behind the k-th that are looked at at first: what they are near-duplicates of is mostly far from it."""

BEYOND_REACH: Final = 0.05
"""What a lift counts beyond the reach of one word: enough to keep the order of those that it brings there."""


class Lift(NamedTuple):
    """What words of a query that stand in a picture or in its name are worth."""

    worth: float
    """standard deviations of the scores of the query"""
    sure: bool
    """whether it is for the words that the image is wanted: several stand in one place, or one that the model does not know"""

    def times(self, factor: float) -> "Lift":
        """Return a lift of another worth."""
        return Lift(self.worth * factor, self.sure)

    def plus(self, other: "Lift") -> "Lift":
        """Return the lift of words in two places, of one image."""
        return Lift(self.worth + other.worth, self.sure or other.sure)


NO_LIFT = Lift(0.0, sure=False)


class Reach(NamedTuple):
    """How far one word alone lifts an image: it may stand there by chance, and others show what it means."""

    score: float
    """to which it brings an image, and hardly beyond"""
    clear: float
    """score from which an image looks like the query beyond doubt: a word that it has too counts in full"""

    def lift(self, score: float, words: Lift, unit: float) -> float:
        """Return by how many standard deviations, of which `unit` is one, words lift an image with this score."""
        beyond = (score - self.score) / unit + words.worth
        if words.sure or score >= self.clear or beyond <= 0:
            return words.worth
        # What was beyond it before keeps that, so that the order by looks is never turned round.
        beyond = min(beyond, words.worth)
        return words.worth - beyond * (1 - BEYOND_REACH)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An image among the best rows: not a `Hit` yet, because its rank and its z-scores are not known."""

    row: int
    score: float
    image_id: int
    path: str
    embedding: NDArray[float16]
    """[d]"""
    content: bytes | None = None
    """hash of the file's bytes; None where nobody has read them, or for words alone"""
    also: tuple[str, ...] = ()
    same_shot: tuple[str, ...] = ()
    same_video: tuple[str, ...] = ()
    lift: float = 0.0
    """what words in the picture or in its name are worth, in standard deviations of the scores of the query"""
    named: bool = False
    """whether wanted words stand in its name"""
    lines: tuple[TextLine, ...] = ()
    """lines of text in the picture in which wanted words stand"""
    library: str | None = None
    """name of the member of a collection"""
    date: int | None = None
    """as `Hit.date`; None until it is explained"""
    added: int | None = None
    taken: Taken = bursts.UNKNOWN
    """by its own account; unknown until it is explained"""
    stack: tuple[Stacked, ...] = ()

    def standing(self, unit: float) -> float:
        """Return the score in standard deviations, of which `unit` is one, and the lift: what hits are ordered by."""
        return self.score / unit + self.lift


Find = Callable[[int], list[Candidate]]
"""from k to the k best, or somewhat more; fewer only when there are no more"""

Explain = Callable[[Sequence[Candidate]], Sequence[Candidate]]
"""adds to candidates why they are hits, but for their looks, and their times"""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is looked for in a library."""

    vector: NDArray[float32]
    """[d], unit length; empty for words alone"""
    query: Query
    """for the words in it"""
    filters: Filters
    each_file: bool
    """whether files of one shot are hits of their own"""
    unit: float
    """standard deviation of the scores of `vector`, in all libraries together"""
    reach: Reach | None
    """how far one word lifts, in all libraries together; None: words lift in full, as no score tells what the query shows"""
    unknown: tuple[str, ...]
    """words that the model does not know"""

    @classmethod
    def of(
        cls, query: Query, encoded: QueryVector, known: ScoreCalibration, filters: Filters, *, each_file: bool
    ) -> Self:
        """Return what an encoded query looks for."""
        unit, reach = 1.0, None
        if len(encoded.vector):
            unit = known.standard_deviation(encoded.vector)
            if encoded.texts is not None and not encoded.noise:
                clear = known.clear_score(encoded.vector)
                # What it knows is seen in pictures: all that is somewhat near comes before what has the word.
                near = float(encoded.vector @ known.mean) + unit
                reach = Reach(near if encoded.lists_words else clear, clear)
        return cls(encoded.vector, query, filters, each_file, unit, reach, encoded.unknown)

    def lift(self, score: float, words: Lift) -> float:
        """Return by how many standard deviations words lift an image with this score."""
        return words.worth if self.reach is None else self.reach.lift(score, words, self.unit)


@dataclass(frozen=True, slots=True)
class Searched:
    """What was searched: facts of the result beside its hits."""

    rows: int
    kind: IndexKind
    problem: str | None
    started: float
    """`time.perf_counter` at the beginning"""


def result(
    find: Find,
    k: int,
    query: Query,
    encoded: QueryVector,
    known: ScoreCalibration,
    searched: Searched,
    *,
    explain: Explain,
    distinct: bool,
    include_weak: bool,
    sort: Sort = Sort.SCORE,
) -> SearchResult:
    """
    Return the k best hits, best first, without those below the cut-off unless `include_weak`; `distinct` folds near-duplicates.

    `explain` adds to the candidates that are left why they are hits, but for their looks, and their times. Another `sort` is one of the best hits, whatever k is, so
    that a longer list begins with a shorter one: MAX_SORTED of them where a cut-off or words decide what is a hit.
    """
    depth = k
    if sort is not Sort.SCORE:
        decided = not len(encoded.vector) or (encoded.texts is not None and known.query_cutoff is not None)
        depth = min(MAX_SORTED if decided and not include_weak else _MAX_SORTED_WITHOUT_CUTOFF, searched.rows)
    found = (_distinct(find, explain, known, depth) if distinct else explain(find(depth)[:depth]))[:depth]
    hits = _hits(known, encoded, found, asked=bool(query.terms) or len(encoded.vector) > 0)
    shown = hits if include_weak else [hit for hit in hits if hit.because]
    below_cutoff = len(hits) - len(shown)
    if sort is not Sort.SCORE:
        shown = sorted(shown, key=lambda hit: _newest_first(hit, sort))[:k]
    return SearchResult(
        query=query,
        hits=tuple(hit if hit.rank == rank else replace(hit, rank=rank) for rank, hit in enumerate(shown, 1)),
        below_cutoff=below_cutoff,
        cutoff=None if include_weak or encoded.texts is None else known.query_cutoff,
        unknown=encoded.unknown,
        ignored=encoded.ignored,
        rows=searched.rows,
        kind=searched.kind,
        problem=searched.problem,
        seconds=time.perf_counter() - searched.started,
    )


def _newest_first(hit: Hit, sort: Sort) -> tuple[float, int]:
    """Return what hits are ordered by; one whose time is unknown comes last, and of equal times the one that was registered last is first."""
    time = hit.date if sort is Sort.DATE else hit.added
    return (math.inf if time is None else -time, -hit.image_id)


def _distinct(find: Find, explain: Explain, known: ScoreCalibration, k: int) -> list[Candidate]:
    """Return the best of each group of near-duplicates, or of a burst; fewer than k only when there are no more, or _MAX_FOLDED were compared."""
    want = min(3 * k, k + _FOLDED_AHEAD)
    while True:
        found = explain(find(want))
        rows, taken = np.array([one.embedding for one in found]), [one.taken for one in found]
        groups = duplicates.group(rows, taken, known.mean, k) if found else []
        if len(groups) >= k or len(found) < want or want >= max(_MAX_FOLDED, 3 * k):
            return [
                replace(found[first], stack=tuple(_stacked(found[place], kind) for place, kind in others))
                for (first, _), *others in groups
            ]
        want = min(3 * want, max(_MAX_FOLDED, 3 * k))


def _stacked(one: Candidate, kind: duplicates.MatchKind) -> Stacked:
    return Stacked(one.image_id, one.path, kind)


def _hits(known: ScoreCalibration, encoded: QueryVector, found: Sequence[Candidate], *, asked: bool) -> list[Hit]:
    judged: list[tuple[float | None, float | None]] = [(None, None)] * len(found)
    texts = encoded.texts
    if texts is not None and known.model and found:
        rows = np.array([one.embedding for one in found])
        scores = np.array([one.score for one in found], dtype=float32)
        query_z = known.query_z(encoded.vector, scores, rows, texts=texts).tolist()
        judged = list(zip(query_z, known.image_z(scores, rows, texts=texts).tolist(), strict=True))
    return [
        Hit(
            rank=rank,
            path=one.path,
            score=one.score,
            image_id=one.image_id,
            embedding_index=one.row,
            query_z=query_z,
            image_z=image_z,
            also=one.also,
            same_shot=one.same_shot,
            folded=len(one.stack),
            stack=one.stack,
            because=_reasons(one, looks=_strong(query_z, image_z, known, encoded), filters=not asked),
            lines=one.lines,
            time=suffixes.frame_time(one.path),
            same_video=one.same_video,
            library=one.library,
            date=one.date,
            added=one.added,
        )
        for rank, (one, (query_z, image_z)) in enumerate(zip(found, judged, strict=True), 1)
    ]


def _reasons(one: Candidate, *, looks: bool, filters: bool) -> tuple[Reason, ...]:
    reasons = {Reason.LOOKS: looks, Reason.SAYS: bool(one.lines), Reason.NAME: one.named, Reason.FILTERS: filters}
    return tuple(reason for reason, holds in reasons.items() if holds)


def _strong(query_z: float | None, image_z: float | None, known: ScoreCalibration, encoded: QueryVector) -> bool:
    """Tell whether an image is a hit for what it looks like."""
    if encoded.noise or not len(encoded.vector):
        return False
    return query_z is None or image_z is None or known.above_cutoff(query_z, image_z)
