"""
What a collection asks of each of its libraries, and the library in a folder of this machine.

Owns the questions (`Member`) and their answers. Must not know how answers are joined. `remote` asks the same over HTTP.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from numpy import float16
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index.header import IndexKind
from pixfind.library.library import Library, ModelIdentity
from pixfind.search import filter_checks
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.encoders import Encoders
from pixfind.search.query_vector import LibraryImages
from pixfind.search.ranking import Candidate, Wanted
from pixfind.search.searcher import Searcher
from pixfind.search.snapshot import Snapshot, SnapshotCache


@dataclass(frozen=True, slots=True, eq=False)
class MemberState:
    """What a library holds now."""

    tag: str
    """differs whenever an answer may"""
    model: ModelIdentity | None = None
    """None before anything was embedded"""
    rows: int = 0
    calibration: ScoreCalibration | None = None
    """None without rows"""
    kind: IndexKind = IndexKind.EXACT
    problem: str | None = None
    """why the index was not used"""
    takes_reach: bool = False
    """whether its server knows `reach` and `unknown` of a question: an older one refuses them"""


@dataclass(frozen=True, slots=True)
class Found:
    """The best hits of one library, best first."""

    tag: str
    """of the state from which they were found"""
    candidates: list[Candidate]
    problem: str | None = None
    """why the words of the query lift nothing although text was read"""
    unknown: tuple[str, ...] = ()
    """labels with a minus that it does not have: all of its images pass"""


class NoAnswerError(Exception):
    """A library does not answer; its text says why."""


class Member(Protocol):
    """
    One library of a collection, used by one thread.

    Every method raises NoAnswerError where the library does not answer within `seconds`.
    """

    name: str

    def state(self, seconds: float) -> MemberState:
        """Return what the library holds."""

    def nearest(self, wanted: Wanted, k: int, seconds: float) -> Found:
        """Return at least the k best hits, fewer only when there are no more."""

    def of_content(self, content: bytes, seconds: float) -> NDArray[float16] | None:
        """Return the embedding [d] of an image with this hash; None where there is none."""

    def of_id(self, image_id: int, seconds: float) -> NDArray[float16] | None:
        """Return the embedding [d] of an image; None where there is none."""

    def close(self) -> None:
        """Close what is open."""


class LibraryOnDemand:
    """A library in a folder that is opened when it is first asked for, and again after a model switch or when its drive is back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: Library | None = None
        self._openings = 0

    def get(self) -> Library:
        """Return the library of the model that answers now; raises what opening one raises."""
        try:
            if self._opened is not None and self._opened.superseded():
                self.close()
        except errors.LibraryNotFound:
            self.close()
            raise
        if self._opened is None:
            self._opened = Library.open(self.path)
            self._openings += 1
        return self._opened

    def version(self) -> tuple[object, ...]:
        """
        Return what differs after every change of the catalogue: the generation first, then which change of which connection. Raises as `get`.

        Nobody else may use this object: each connection counts changes for itself.
        """
        library = self.get()
        return library.generation, self._openings, library.catalogue.data_version()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


class LocalMember:
    """A library in a folder."""

    def __init__(self, name: str, path: Path, snapshots: SnapshotCache | None = None) -> None:
        self.name = name
        self._library = LibraryOnDemand(path)
        self._snapshots = snapshots or SnapshotCache()
        self._searcher: Searcher | None = None

    def state(self, seconds: float) -> MemberState:  # noqa: ARG002  a file answers, or its system call hangs
        return state_of(self._searching())

    def nearest(self, wanted: Wanted, k: int, seconds: float) -> Found:  # noqa: ARG002  as `state`
        return nearest_of(self._searching(), wanted, k)

    def of_content(self, content: bytes, seconds: float) -> NDArray[float16] | None:  # noqa: ARG002  as `state`
        return content_of(self._searching(), content)

    def of_id(self, image_id: int, seconds: float) -> NDArray[float16] | None:  # noqa: ARG002  as `state`
        return image_of(self._searching(), image_id)

    def close(self) -> None:
        self._searcher = None
        self._library.close()

    def _searching(self) -> Searcher:
        library = self._library.get()
        if self._searcher is None or self._searcher.library is not library:
            self._searcher = Searcher(library, Encoders(library), self._snapshots)
        return self._searcher


def state_of(searcher: Searcher) -> MemberState:
    """Return what a library holds now."""
    if (snapshot := _snapshot(searcher)) is None:
        return MemberState("")
    index = snapshot.index
    return MemberState(
        _tag(searcher, snapshot),
        searcher.library.model(),
        len(index.embeddings),
        snapshot.calibration,
        index.header.kind,
        index.problem,
    )


def nearest_of(searcher: Searcher, wanted: Wanted, k: int) -> Found:
    """Return at least the k best hits of a library, fewer only when there are no more."""
    if (snapshot := _snapshot(searcher)) is None:
        return Found("", [])
    if len(wanted.vector) != snapshot.index.embeddings.shape[1]:
        # The model was switched since: the tag tells.
        return Found(_tag(searcher, snapshot), [])
    filters, unknown = filter_checks.without_unknown(searcher.library.catalogue, wanted.filters)
    found = searcher.finder(snapshot, replace(wanted, filters=filters))
    candidates = found.find(min(k, len(snapshot.index.embeddings)))
    return Found(_tag(searcher, snapshot), found.explain(candidates), found.problem, unknown)


def content_of(searcher: Searcher, content: bytes) -> NDArray[float16] | None:
    """Return the embedding [d] of an image of a library with this hash; None where there is none."""
    snapshot = _snapshot(searcher)
    return None if snapshot is None else LibraryImages(searcher.library, snapshot).of_content(content)


def image_of(searcher: Searcher, image_id: int) -> NDArray[float16] | None:
    """Return the embedding [d] of an image of a library; None where there is none."""
    if (snapshot := _snapshot(searcher)) is None:
        return None
    try:
        return LibraryImages(searcher.library, snapshot).of_id(image_id)
    except errors.ImageNotFound:
        return None


def _snapshot(searcher: Searcher) -> Snapshot | None:
    try:
        return searcher.snapshots.get(searcher.library)
    except errors.NotEmbedded:
        return None


def _tag(searcher: Searcher, snapshot: Snapshot) -> str:
    return f"{searcher.library.generation} {snapshot.etag}"
