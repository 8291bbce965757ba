"""
Search: from a query to hits.

Owns how results stay exact with filters and with images that are gone, and which hits are shown.
Must not know how rows are found (`index`), how terms are combined (`query_vector`) or how the result is shown.
"""

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, Unpack

import numpy as np
from numpy import float32, int64
from numpy.typing import NDArray

from pixfind.images import suffixes
from pixfind.index import exact
from pixfind.library.library import Library
from pixfind.search import bursts, filter_checks, moments, shots, where, words
from pixfind.search.bursts import Taken
from pixfind.search.encoders import Encoders
from pixfind.search.filters import NO_FILTERS, Filters, kilometres
from pixfind.search.query import Query, TermKind
from pixfind.search.query_vector import LibraryImages
from pixfind.search.question import Question, SearchOptions
from pixfind.search.ranking import NO_LIFT, Candidate, Find, Lift, Wanted
from pixfind.search.results import Reason, SearchResult
from pixfind.search.snapshot import Snapshot, SnapshotCache
from pixfind.search.words import Lifts, WordMatches
from pixfind.types import Sort

_MARGIN = 100
"""Candidates beyond four times k, when some of the best k are gone."""

_FILTER_DEPTHS = (200, 2_000)
"""Filters are tried on so many of the best rows before the catalogue lists all allowed rows: mostly enough of them pass."""


@dataclass(frozen=True, slots=True)
class Finder:
    """How the hits of one query are found in one library."""

    find: Find
    explain: Callable[[Sequence[Candidate]], list[Candidate]]
    """adds why each candidate is a hit, but for its looks"""
    problem: str | None
    """why the words of the query lift nothing although text was read"""


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
        self, query: Query | str, k: int = 10, filters: Filters = NO_FILTERS, **options: Unpack[SearchOptions]
    ) -> SearchResult:
        """
        Return the k best hits, best first.

        The files of one shot, such as RAW and JPEG, are one hit, the best of them, and so are the frames of one video, unless `each_file`. A query that asks for nothing shows the newest images that pass the filters. Raises
        InvalidQuery, InvalidQueryImage, ImageNotFound, QueryCancelsOut, InvalidCount, NotEmbedded, WordsNotIndexed, and what loading a model raises.
        """
        question = Question.of(query, k, filters, **options)
        self._follow_switch()
        began, loaded_before = time.perf_counter(), self.encoders.loading_seconds
        snapshot = self.snapshots.get(self.library)
        loading = time.perf_counter() - began
        known, index = snapshot.calibration, snapshot.index
        encoded = question.encode(LibraryImages(self.library, snapshot), self.encoders, known)
        found = self.finder(snapshot, question.wanted(encoded, known), question.sort)
        problem = index.problem or found.problem
        rows = len(index.embeddings)
        result = question.result(found.find, encoded, known, rows, index.header.kind, problem, explain=found.explain)
        result = replace(result, loading_seconds=loading + self.encoders.loading_seconds - loaded_before)
        if result.unknown and not any(Reason.NAME in hit.because for hit in result.hits):
            result = replace(result, in_names=words.in_names(self.library, result.unknown))
        return result

    def finder(self, snapshot: Snapshot, wanted: Wanted, sort: Sort = Sort.SCORE) -> Finder:
        """Return what finds the best images, one for each shot and video unless each file is wanted; raises WordsNotIndexed."""
        wanted = replace(wanted, filters=filter_checks.checked(self.library.catalogue, wanted.filters))
        filters, matching = wanted.filters, words.matches(self.library, wanted.query.of_words())
        lifted = words.lifts(self.library, wanted.query, wanted.unknown)
        find: Find
        if len(wanted.vector):
            find = functools.partial(self._nearest, snapshot, wanted.vector, filters=filters, matching=matching)
            if lifted.of_images:
                find = functools.partial(self._lifted, find, snapshot, wanted, matching, lifted)
        elif wanted.query.terms:
            find = functools.partial(self._by_words, snapshot, filters, matching)
        else:
            find = functools.partial(self._newest, snapshot, filters, sort)
        if not wanted.each_file:
            find = functools.partial(self._one_a_shot, find, filters)
        return Finder(find, functools.partial(self._explained, wanted.query, lifted), lifted.problem)

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

    def _one_a_shot(self, find: Find, filters: Filters, k: int) -> list[Candidate]:
        """Return the k best shots and videos: the best file or frame of each, and the paths of its others."""
        want = k
        while True:
            found = find(want)
            folded = self._fold(found[:want], filters)
            if len(folded) >= k or len(found) < want:
                return folded
            want *= 2

    def _fold(self, found: Sequence[Candidate], filters: Filters) -> list[Candidate]:
        paths = [path for one in found for path in (one.path, *one.also)]
        files = shots.beside(self.library.catalogue, paths, filters)
        videos = {path: video for path in paths if (video := moments.video_of(path))}
        if not files and not videos:
            return list(found)
        best: list[Candidate] = []
        places: dict[str, int] = {}
        for one in found:
            ours = [one.path, *one.also]
            names = {*ours, *(videos[path] for path in ours if path in videos)}
            names.update(file.path for path in ours for file in files.get(path, ()))
            place = next((places[name] for name in names if name in places), len(best))
            if place == len(best):
                best.append(one)
            places.update(dict.fromkeys(names, place))
            best[place] = _joined(best[place], names, videos)
        return best

    def _nearest(
        self, snapshot: Snapshot, vector: NDArray[float32], k: int, *, filters: Filters, matching: WordMatches
    ) -> list[Candidate]:
        """Return the k best images that are there, pass the filters and have the words; fewer only when the library has no more."""
        depths: list[int] = []
        if matching.wanted is None:
            narrowed = bool(filters) or bool(matching.unwanted)
            depths = [max(k, depth) for depth in _FILTER_DEPTHS] if narrowed else [k, 4 * k + _MARGIN]
        for depth in depths:
            found = self._candidates(snapshot, vector, depth, filters, matching)
            if len(found) >= k or depth >= len(snapshot.index.embeddings):
                return found[:k]
        # Too few pass: list all allowed rows from the catalogue, and score only those.
        allowed = np.fromiter(self._allowed_rows(filters, matching), dtype=int64)
        return self._candidates(snapshot, vector, k, filters, matching, allowed)[:k]

    def _allowed_rows(self, filters: Filters, matching: WordMatches) -> Iterator[int]:
        catalogue, parameters = self.library.catalogue, filters.parameters()
        if matching.wanted is not None:
            for row, _, _ in self._images_with_words(filters, matching):
                yield row
        elif (candidates := where.candidates(catalogue, filters.where)) is not None:
            for row, image_id, _ in catalogue.rows("images_with_ids", "search.sql", ids=candidates, **parameters):
                if matching.allows(image_id):
                    yield row
        elif matching.unwanted:
            for row, image_id in catalogue.rows("allowed_images", "search.sql", **parameters):
                if matching.allows(image_id):
                    yield row
        else:
            for (row,) in catalogue.rows("allowed_rows", "search.sql", **parameters):
                yield row

    def _lifted(
        self, find: Find, snapshot: Snapshot, wanted: Wanted, matching: WordMatches, lifted: Lifts, k: int
    ) -> list[Candidate]:
        """
        Return the k best images by score and lift: exact, as all that are lifted are scored, and of the others the k best.

        A lift is in standard deviations of the scores of the query, so that it is worth the same for each query.
        """
        filters, ids = wanted.filters, json.dumps(list(lifted.of_images))
        rows: dict[int, Lift] = {}
        for row, image_id, _ in self.library.catalogue.rows(
            "images_with_ids", "search.sql", ids=ids, **filters.parameters()
        ):
            if row < len(snapshot.index.embeddings) and matching.allows(image_id):
                rows[row] = max(rows.get(row, NO_LIFT), lifted.of_images[image_id])
        by_looks = find(k)
        if not rows:
            return by_looks
        allowed = np.array(sorted(rows), dtype=int64)
        with_words = self._candidates(snapshot, wanted.vector, len(rows), filters, matching, allowed)
        every = {
            one.row: replace(one, lift=wanted.lift(one.score, rows.get(one.row, NO_LIFT)))
            for one in (*by_looks, *with_words)
        }
        return sorted(every.values(), key=lambda one: -one.standing(wanted.unit))[:k]

    def _explained(self, query: Query, lifted: Lifts, found: Sequence[Candidate]) -> list[Candidate]:
        """Say of each candidate whether its name has words of the query, in which lines of its text they stand, and its times."""
        asked_name = any(term.kind is TermKind.NAME and term.weight > 0 for term in query.terms)
        ids = [one.image_id for one in found]
        said = words.lines(self.library, query, ids)
        rows = self.library.catalogue.rows("times", "search.sql", ids=json.dumps(ids))
        times = {image_id: (date, added, Taken(*taken)) for image_id, date, added, *taken in rows}
        # Not by a word such as "on" alone, which is no reason to lift an image.
        asked_words = bool(query.of_words())
        return [
            replace(
                one,
                named=asked_name or one.image_id in lifted.named,
                lines=said.get(one.image_id, ()) if asked_words or one.image_id in lifted.of_images else (),
                date=date,
                added=added,
                taken=taken,
            )
            for one in found
            for date, added, taken in (times.get(one.image_id, (None, None, bursts.UNKNOWN)),)
        ]

    def _by_words(self, snapshot: Snapshot, filters: Filters, matching: WordMatches, k: int) -> list[Candidate]:
        """Return the k images whose words match best, of a query that asks for nothing else."""
        assert matching.wanted is not None, "a query without looks has a wanted word"
        images: dict[int, list[tuple[float, int, str]]] = {}
        for row, image_id, path in self._images_with_words(filters, matching):
            if row < len(snapshot.index.embeddings):
                images.setdefault(row, []).append((matching.wanted[image_id], image_id, path))
        best = [(row, *max(same, key=lambda one: (one[0], -one[1])), same) for row, same in images.items()]
        best.sort(key=lambda one: (-one[1], one[2]))
        return [
            Candidate(
                row,
                score,
                image_id,
                path,
                snapshot.index.embeddings[row],
                also=tuple(other[2] for other in same if other[1] != image_id),
            )
            for row, score, image_id, path, same in best[:k]
        ]

    def _newest(self, snapshot: Snapshot, filters: Filters, sort: Sort, k: int) -> list[Candidate]:
        """Return the k newest images that pass the filters, or those that were registered last, of a query that asks for nothing."""
        last, rows = 2**63 - 1, len(snapshot.index.embeddings)
        candidates = where.candidates(self.library.catalogue, filters.where)
        parameters = {**filters.parameters(), "candidates": candidates, "limit": k + _MARGIN}
        if sort is Sort.ADDED:
            found = self.library.catalogue.rows("last_added", "search.sql", id=last, **parameters)
        else:
            found = self.library.catalogue.rows("browsed", "search.sql", key=last, id=0, **parameters)
        merged = [(row, image_id, path) for row, image_id, path, _ in found if row < rows]
        return [
            Candidate(row, 0.0, image_id, path, snapshot.index.embeddings[row]) for row, image_id, path in merged[:k]
        ]

    def _images_with_words(self, filters: Filters, matching: WordMatches) -> Iterator[tuple[int, int, str]]:
        """Yield (row, image id, path) of the images that have the wanted words and pass the filters."""
        ids = json.dumps(list(matching.wanted or ()))
        yield from self.library.catalogue.rows("images_with_ids", "search.sql", ids=ids, **filters.parameters())

    def _candidates(
        self,
        snapshot: Snapshot,
        vector: NDArray[float32],
        depth: int,
        filters: Filters,
        matching: WordMatches,
        allowed: NDArray[int64] | None = None,
    ) -> list[Candidate]:
        """Return those of the `depth` best rows that are images passing the filters, best first."""
        rows = snapshot.index.search(vector[None], depth, allowed)[0][0]
        images = self._images_of(rows[rows >= 0], filters, matching)
        found = np.array(sorted(images), dtype=int64)
        embeddings = snapshot.index.embeddings[found]
        # Again, by the one formula that does not depend on how many rows are scored together: a score is the same in every library.
        scores = exact.scores(embeddings, vector)
        best: list[Candidate] = []
        for place in np.argsort(-scores, kind="stable").tolist():
            row, score = int(found[place]), float(scores[place])
            image_id, path, content = images[row][0]
            also = tuple(other for _, other, _ in images[row][1:])
            best.append(Candidate(row, score, image_id, path, embeddings[place], content, also))
        return best

    def _images_of(
        self, rows: NDArray[int64], filters: Filters, matching: WordMatches
    ) -> dict[int, list[tuple[int, str, bytes | None]]]:
        """Return the images (id, path, hash) of each row that has any."""
        images: dict[int, list[tuple[int, str, bytes | None]]] = {}
        parameters = {"rows": json.dumps(rows.tolist()), **filters.parameters()}
        for row, image_id, path, content in self.library.catalogue.rows("hits", "search.sql", **parameters):
            if matching.allows(image_id):
                images.setdefault(row, []).append((image_id, path, content))
        return images


def _joined(shown: Candidate, names: set[str], videos: Mapping[str, str]) -> Candidate:
    """Return a hit with the names that belong to it: files of its shot, and frames of its video."""
    others = {*shown.same_shot, *shown.same_video, *names} - {shown.path, *shown.also, *videos.values()}
    frames = {path for path in others if path in videos}
    return replace(
        shown,
        same_shot=tuple(sorted(others - frames)),
        same_video=tuple(sorted(frames, key=lambda path: (videos[path], suffixes.frame_time(path)))),
    )


def search(
    library: Library, query: Query | str, k: int = 10, filters: Filters = NO_FILTERS, **options: Unpack[SearchOptions]
) -> SearchResult:
    """Search once; see `Searcher.search`."""
    with Searcher(library) as searcher:
        return searcher.search(query, k, filters, **options)
