"""
Search over a collection: every library is asked at the same time, and their exact scores are merged.

Owns how the answers of libraries become one, the limit of time, and which libraries are missing from an answer.
Must not know how a library is asked (`member`, `remote`), or how a query becomes an embedding (`search.query_vector`).
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self, TypeVar, Unpack

from numpy import float16
from numpy.typing import NDArray

from pixfind import errors
from pixfind.collection import ids
from pixfind.collection.config import CollectionConfig
from pixfind.collection.lanes import Lane
from pixfind.collection.member import LocalMember, Member, MemberState, NoAnswerError
from pixfind.collection.remote import RemoteMember
from pixfind.index.header import IndexKind
from pixfind.library.library import ModelIdentity
from pixfind.search import filter_checks, pooling, ranking
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.encoders import Encoders
from pixfind.search.filters import NO_FILTERS, Filters
from pixfind.search.query import Query
from pixfind.search.question import Question, SearchOptions
from pixfind.search.ranking import Candidate, Wanted
from pixfind.search.results import Missing, SearchResult
from pixfind.search.snapshot import SnapshotCache

T = TypeVar("T")

_ATTEMPTS: Final = 3
"""A library that changes during a search makes it begin again, at most so often."""

_CLOSING_SECONDS: Final = 1.0

_MODELS: Final = 2
"""whose encoders are kept"""


class CollectionSearcher:
    """
    Several libraries that are open for many searches. One thread at a time.

    `search` takes and returns what `Searcher.search` does; a library that does not answer within `timeout` seconds is named in `missing`.
    """

    def __init__(
        self,
        config: CollectionConfig,
        encoders: "ModelEncoders | None" = None,
        snapshots: Sequence[SnapshotCache] | None = None,
    ) -> None:
        self.config = config
        self.members: list[Member] = [
            RemoteMember(each)
            if each.path is None
            else LocalMember(each.name, each.path, None if snapshots is None else snapshots[position])
            for position, each in enumerate(config.members)
        ]
        self._lanes = [Lane(member.name) for member in self.members]
        self._states: dict[int, MemberState] = {}
        self._pooled: tuple[object, ScoreCalibration | None] = ((), None)
        self._encoders = encoders or ModelEncoders(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; a library that hangs is left to the end of the process."""
        for lane, member in zip(self._lanes, self.members, strict=True):
            lane.close(member.close, _CLOSING_SECONDS)

    @property
    def encoders(self) -> Encoders:
        """The encoders of the model that the libraries have now; raises what `model` raises."""
        return self._encoders.of(self.model())

    def search(
        self, query: Query | str, k: int = 10, filters: Filters = NO_FILTERS, **options: Unpack[SearchOptions]
    ) -> SearchResult:
        """
        Return the k best hits of all libraries that answer, best first, as `Searcher.search` would of one library with all their images.

        Raises what that raises, LibrariesDiffer for two models, CollectionUnavailable where no library answers, or not that
        of an image in the query.
        """
        question = Question.of(query, k, filters, **options)
        if not question.asks_for_looks:
            alone = (
                "words of names alone are searched for"
                if question.query.terms
                else "pictures without a query are listed"
            )
            raise errors.NotForCollections(
                detail=f"{alone} in one library",
                instead="Add what the pictures show, choose one library (pixfind --library LIBRARY search ...), or look at the page of `pixfind serve`.",
            )
        loading = 0.0
        for _ in range(_ATTEMPTS):
            asked = _Asked(self)
            # Kept at once: `model` is asked for it.
            self._states = states = asked.states(self._states)
            known = self._calibration(states)
            encoders = self.encoders
            loaded_before = encoders.loading_seconds
            encoded = question.encode(_CollectionImages(asked), encoders, known)
            loading += encoders.loading_seconds - loaded_before
            find = asked.finder(question.wanted(encoded, known))
            rows = sum(state.rows for state in states.values())
            kind, problem = _indexed(states)
            result = question.result(find, encoded, known, rows, kind, problem)
            answered = {place: states[place] for place in states if place not in asked.lost}
            self._states = {} if asked.changed else answered
            if not asked.changed:
                break
        return replace(
            result,
            rows=sum(state.rows for state in answered.values()),
            problem=result.problem or asked.problem,
            missing=asked.missing(),
            loading_seconds=loading,
        )

    def states(self) -> tuple[dict[int, MemberState], tuple[Missing, ...]]:
        """Return what each library holds now, by its position, and those that do not answer; raises CollectionUnavailable, LibrariesDiffer."""
        asked = _Asked(self)
        self._states = asked.states({})
        return self._states, asked.missing()

    def model(self) -> ModelIdentity:
        """Return the model of all libraries; raises NotEmbedded, LibrariesDiffer, CollectionUnavailable."""
        found = _common_model(self.config, self._states or self.states()[0])
        if found is None:
            raise errors.NotEmbedded(path=self.config.names)
        return found

    @property
    def tag(self) -> str:
        """What differs whenever the answer to the same search may."""
        return " ".join(f"{place} {state.tag}" for place, state in sorted(self._states.items()))

    def open_folders(self) -> "list[Future[MemberState]]":
        """Begin to open the libraries in folders, however long that takes: a search would wait for it within its limit."""
        folders = [position for position, each in enumerate(self.config.members) if each.path is not None]
        return [self.submit(position, lambda member: member.state(math.inf)) for position in folders]

    def is_elsewhere(self, image_id: int) -> bool:
        """Tell whether an image of a hit lies on another machine: a file here that has its path is a different one."""
        return self.config.members[ids.split(image_id)[0]].path is None

    def thumbnail(self, image_id: int, side: int) -> bytes | None:
        """Return what the server of an image that lies elsewhere has as its thumbnail, at least `side` pixels long; None where none comes."""
        place, local = ids.split(image_id)
        member, seconds = self.members[place], self.config.timeout
        assert isinstance(member, RemoteMember), "the image lies elsewhere"
        asked = self._lanes[place].submit(lambda: member.thumbnail(local, side, seconds))
        try:
            return asked.result(seconds)
        except (NoAnswerError, TimeoutError):
            return None

    def submit(self, position: int, work: Callable[[Member], T]) -> "Future[T]":
        """Ask one library in its own thread."""
        member = self.members[position]
        return self._lanes[position].submit(lambda: work(member))

    def _calibration(self, states: dict[int, MemberState]) -> ScoreCalibration:
        with_rows = {place: state for place, state in states.items() if state.calibration is not None}
        if not with_rows:
            raise errors.NotEmbedded(path=self.config.names)
        key = tuple((place, state.tag) for place, state in sorted(with_rows.items()))
        if self._pooled[0] != key or self._pooled[1] is None:
            calibrations = [state.calibration for state in with_rows.values() if state.calibration is not None]
            made = pooling.pooled(calibrations, [state.rows for state in with_rows.values()])
            self._pooled = (key, made)
            return made
        return self._pooled[1]


@dataclass(frozen=True, slots=True)
class CollectionModel:
    """The model of a collection, for its encoders."""

    path: Path
    """where the collection is described, for messages"""
    identity: ModelIdentity

    def model(self) -> ModelIdentity:
        return self.identity

    def remember_model(self, model: ModelIdentity) -> None:
        known = self.identity
        if (known.hash, known.dimension) != (model.hash, model.dimension):
            ours, theirs = (f"{one.name} (files {one.hash[:12]})" for one in (known, model))
            raise errors.OtherModel(library_model=ours, asked_model=theirs, asked_name=model.name)


class ModelEncoders:
    """
    The encoders of a collection, for the models that its libraries had last. Thread-safe, so that several searchers may share them.

    For two: a searcher that has not noticed a switch yet would load those of the former model again, and in turns with the others.
    """

    def __init__(self, config: CollectionConfig, make: Callable[[CollectionModel], Encoders] = Encoders) -> None:
        self._path = config.file or Path(config.names)
        self._make = make
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], Encoders] = {}
        """hash and dimension of a model -> its encoders; those that were asked for last come last"""

    def of(self, model: ModelIdentity) -> Encoders:
        """Return the encoders of a model."""
        key = (model.hash, model.dimension)
        with self._lock:
            found = self._known.pop(key, None) or self._make(CollectionModel(self._path, model))
            self._known[key] = found
            if len(self._known) > _MODELS:
                self._known.pop(next(iter(self._known))).close()
            return found

    @property
    def latest(self) -> Encoders | None:
        """The encoders that were asked for last; None before any were."""
        with self._lock:
            return next(reversed(self._known.values()), None)

    def close(self) -> None:
        """Close all encoders."""
        with self._lock:
            while self._known:
                self._known.popitem()[1].close()


class _Asked:
    """The questions of one search: how long it may still wait, and who has not answered."""

    def __init__(self, searcher: CollectionSearcher) -> None:
        self._searcher = searcher
        self._left = searcher.config.timeout
        self._present = set(range(len(searcher.members)))
        self._missing: dict[int, str] = {}
        self._tags: dict[int, str] = {}
        self.changed = False
        """whether a library answered from another state than the one that the search began with"""
        self.problem: str | None = None
        """why words lift nothing in a library although text was read there"""

    @property
    def lost(self) -> frozenset[int]:
        """Positions of the libraries that have not answered."""
        return frozenset(self._missing)

    def missing(self) -> tuple[Missing, ...]:
        names = [member.name for member in self._searcher.members]
        return tuple(Missing(names[place], why) for place, why in sorted(self._missing.items()))

    def states(self, known: dict[int, MemberState]) -> dict[int, MemberState]:
        """Return the states of those that answer; of those that are `known`, without a question. Raises CollectionUnavailable, LibrariesDiffer."""
        unknown = self._present - set(known)
        states = {**known, **self._ask(lambda member, seconds: member.state(seconds), unknown)}
        if not states:
            lines = "\n  ".join(f"{one.library}: {one.why}" for one in self.missing())
            raise errors.CollectionUnavailable(libraries=lines)
        _common_model(self._searcher.config, states)
        self._tags = {place: state.tag for place, state in states.items()}
        return states

    def finder(self, wanted: Wanted) -> ranking.Find:
        """Return a function from k to the k best of all libraries."""
        names = [member.name for member in self._searcher.members]

        def find(k: int) -> list[Candidate]:
            want = k
            while True:
                found = self._nearest(wanted, want)
                everything = all(len(each) < want for each in found.values())
                # Behind the first `want` a library may have better ones than those that are here.
                folded = _merged(found, None if everything else want, names, wanted.unit)
                if everything or len(folded) >= k:
                    return folded
                want *= 2

        return find

    def one(self, place: int, question: Callable[[Member, float], T]) -> T:
        """Ask one library; raises CollectionUnavailable."""
        found = {} if place in self._missing else self._ask(question, {place})
        if place not in found:
            name = self._searcher.members[place].name
            raise errors.CollectionUnavailable(libraries=f"{name}: {self._missing[place]}")
        return found[place]

    def all(self, question: Callable[[Member, float], T]) -> dict[int, T]:
        """Ask all libraries that have answered so far."""
        return self._ask(question, self._present)

    def _nearest(self, wanted: Wanted, k: int) -> dict[int, list[Candidate]]:
        found = self.all(lambda member, seconds: member.nearest(wanted, k, seconds))
        # Of a library that is silent, or has refused another label, nobody knows.
        for label in wanted.filters.labels if len(found) == len(self._searcher.members) else ():
            if all(label in each.unknown for each in found.values()):
                raise errors.InvalidFilter(option="--label", value=label, detail="no library has this label")
        self.changed = self.changed or any(each.tag != self._tags.get(place) for place, each in found.items())
        self.problem = self.problem or next((each.problem for each in found.values() if each.problem), None)
        return {place: each.candidates for place, each in found.items()}

    def _ask(self, question: Callable[[Member, float], T], places: set[int]) -> dict[int, T]:
        """Ask these libraries at the same time; who fails or is late is missing from now on. Raises InvalidFilter where none has what a filter names; one that lacks it has no answer."""
        # Half of what is left: one library that is late must leave the others time for the next question.
        seconds, began = self._left / 2, time.monotonic()
        futures = {
            place: self._searcher.submit(place, lambda member: question(member, seconds)) for place in sorted(places)
        }
        wait(futures.values(), timeout=seconds)
        answers = {}
        refused: errors.InvalidFilter | None = None
        for place, future in futures.items():
            if not future.done():
                future.cancel()
                self._lose(place, f"no answer within {seconds:.1f} s")
                continue
            try:
                answers[place] = future.result()
            except NoAnswerError as error:
                self._lose(place, str(error))
            except (errors.TooManyHits, errors.InvalidCollection):
                raise
            except errors.InvalidFilter as error:
                refused = error
                if not filter_checks.finds_nothing(error):
                    raise
            except errors.OperationError as error:
                self._lose(place, str(error).partition("\n")[0].rstrip("."))
        self._left = max(self._left - (time.monotonic() - began), 0.0)
        if refused is not None and not answers:
            raise refused
        return answers

    def _lose(self, place: int, why: str) -> None:
        self._present.discard(place)
        self._missing[place] = why


class _CollectionImages:
    """The images of all libraries that answer."""

    def __init__(self, asked: _Asked) -> None:
        self._asked = asked

    def of_content(self, content: bytes) -> NDArray[float16] | None:
        found = self._asked.all(lambda member, seconds: member.of_content(content, seconds))
        return next((found[place] for place in sorted(found) if found[place] is not None), None)

    def of_id(self, image_id: int) -> NDArray[float16]:
        place, local = ids.split(image_id)
        members = self._asked._searcher.members  # noqa: SLF001  one module, one search
        found = None
        if place < len(members):
            found = self._asked.one(place, lambda member, seconds: member.of_id(local, seconds))
        if found is None:
            raise errors.ImageNotFound(image_id=image_id, path=self._asked._searcher.config.names)  # noqa: SLF001  as above
        return found


def _merged(found: dict[int, list[Candidate]], want: int | None, names: Sequence[str], unit: float) -> list[Candidate]:
    """Return the `want` best of all lists (None: all), images with the same bytes as one; equal scores by library and row, as in one list."""
    everything = [(-one.standing(unit), place, one.row, one) for place, each in found.items() for one in each]
    everything.sort(key=lambda entry: entry[:3])
    best: list[Candidate] = []
    places: dict[bytes, int] = {}
    for rank, (_, place, _, one) in enumerate(everything):
        first = None if one.content is None else places.get(one.content)
        if first is not None:
            also = (*best[first].also, one.path, *one.also)
            best[first] = replace(best[first], also=also)
        elif want is None or rank < want:
            if one.content is not None:
                places[one.content] = len(best)
            best.append(replace(one, image_id=ids.joined(place, one.image_id), library=names[place]))
    return best


def _common_model(config: CollectionConfig, states: dict[int, MemberState]) -> ModelIdentity | None:
    """Return the model of all libraries that have one; raises LibrariesDiffer."""
    models = [
        (config.members[place], state.model) for place, state in sorted(states.items()) if state.model is not None
    ]
    if not models:
        return None
    first, model = models[0]
    for other, its in models[1:]:
        if (its.hash, its.dimension) != (model.hash, model.dimension):
            raise errors.LibrariesDiffer(
                first=first.name,
                second=other.name,
                first_name=model.name,
                first_model=f"{model.name} (files {model.hash[:12]})",
                second_model=f"{its.name} (files {its.hash[:12]})",
            )
    return model


def _indexed(states: dict[int, MemberState]) -> tuple[IndexKind, str | None]:
    """Return the kind of the largest index, and why the first index was not used that is not."""
    largest = max(states.values(), key=lambda state: state.rows)
    return largest.kind, next((state.problem for state in states.values() if state.problem is not None), None)
