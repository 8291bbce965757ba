"""
The result of a search: its hits, and how to interpret them.

Plain data, made by `search.searcher` and shown by the command line, the server and Python programs.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pixfind.index.header import IndexKind
from pixfind.search.query import Query, TermKind
from pixfind.types import TextLine, iso_time


class Reason(StrEnum):
    """Why an image is a hit."""

    LOOKS = "looks"
    """what it shows is near to the query"""
    SAYS = "says"
    """words of the query stand in the picture"""
    NAME = "name"
    """words of the query stand in its name"""
    FILTERS = "filters"
    """it passes the filters, and nothing else was asked for"""


@dataclass(frozen=True, slots=True)
class Stacked:
    """An image that stands behind a hit."""

    image_id: int
    path: str
    kind: str
    """near (nearly the same picture) or burst (by the same camera within seconds)"""


@dataclass(frozen=True, slots=True)
class Hit:
    """One image of a search result."""

    rank: int
    """from 1"""
    path: str
    score: float
    """exact cosine between the query and the image; for a query of words alone how well they match, 0 to the sum of their weights; 0 for filters alone"""
    image_id: int
    embedding_index: int
    """row of embeddings.npy"""
    query_z: float | None = None
    """z-score of `score` among the scores of this query over the library; None for queries with images"""
    image_z: float | None = None
    """z-score of `score` among the scores of everyday texts on this image; None for queries with images"""
    also: tuple[str, ...] = ()
    """paths of files with the same bytes"""
    same_shot: tuple[str, ...] = ()
    """paths of the other files of the same shot, such as the RAW file beside a JPEG"""
    folded: int = 0
    """images that stand behind this hit and are not shown; 0 unless distinct hits were asked for"""
    stack: tuple[Stacked, ...] = ()
    """these images, the best first: near-duplicates of the hit, and pictures of its burst"""
    because: tuple[Reason, ...] = (Reason.LOOKS,)
    """why it is a hit; none for one that is below the cut-off"""
    lines: tuple[TextLine, ...] = ()
    """lines of text in the picture in which words of the query stand"""
    time: float | None = None
    """of a frame of a video: seconds from its start"""
    same_video: tuple[str, ...] = ()
    """paths of frames of the same video that were found as well and are not as good, in the order of their times"""
    library: str | None = None
    """name of the library in a collection; None where one library was searched"""
    date: int | None = None
    """when it was taken, by the clock of the camera, or where that is not known, when its file was changed; seconds since 1970"""
    added: int | None = None
    """when it was registered, seconds since 1970; None: by a version that did not keep it"""

    def values(self) -> dict[str, Any]:
        """Return the JSON of a hit, the former names of the z-scores included."""
        values = {**asdict(self), "unusual": self.query_z, "fitting": self.image_z}
        values |= {"date": iso_time(self.date), "added": iso_time(self.added)}
        if self.library is None:
            del values["library"]
        return values


@dataclass(frozen=True, slots=True)
class Missing:
    """A library of a collection that did not answer."""

    library: str
    """its name"""
    why: str

    def __str__(self) -> str:
        return f"{self.library} did not answer: {self.why}"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one search, best first, and how to interpret them."""

    query: Query
    hits: tuple[Hit, ...]
    below_cutoff: int
    """how many of the best k are left out because they are below the cut-off"""
    cutoff: float | None
    """lowest `query_z` of a hit, unless its `image_z` is high; None when no cut-off was applied"""
    unknown: tuple[str, ...]
    """words of the query that the model does not know"""
    ignored: tuple[str, ...]
    """texts of which it knows no word; they are left out unless no other positive term is left"""
    rows: int
    """embeddings that were searched"""
    kind: IndexKind
    problem: str | None
    """why the index was not used; the result is complete without it, only slower"""
    seconds: float
    """from the question to the hits, `loading_seconds` included"""
    in_names: tuple[str, ...] = ()
    """those of the unknown words that stand in the name of an image, where no hit was found by its name"""
    missing: tuple["Missing", ...] = ()
    """the libraries of a collection that did not answer, so that their images are not among the hits"""
    loading_seconds: float = 0.0
    """of `seconds`, what the first search spends on loading the model and opening the index; of a collection the model alone"""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def explanation(self) -> dict[str, Any] | None:
        """Return for programs what `message` says, with what it is made of; None when there is nothing to explain."""
        if (message := self.message()) is None:
            return None
        facts = ("unknown", "ignored", "in_names", "below_cutoff", "rows")
        return {"message": message, **{name: getattr(self, name) for name in facts}}

    def message(self) -> str | None:
        """Return a sentence to show when there are no hits or words are unknown; None when there is nothing to explain."""
        names = ", ".join(f'"{word}"' for word in self.unknown)
        unknown = f"The model of this library does not know {names}"
        wanted = [term for term in self.query.terms if term.weight > 0]
        if wanted and all(term.kind is TermKind.TEXT and term.value in self.ignored for term in wanted):
            # Words that no model knows may stand in a picture all the same.
            sentences = [f"{unknown}." if not self.hits else f"{unknown}; these pictures have the words."]
        else:
            sentences = [f"{unknown}; ignored."] if self.unknown else []
            if not self.hits:
                sentences.append(self._why_empty())
        sentences += [f'"{word}" stands in names of pictures: search for name:{word}.' for word in self.in_names]
        return " ".join(sentences) or None

    def _why_empty(self) -> str:
        if self.below_cutoff:
            return "No good match. Use --include-weak to see the nearest images anyway."
        if self.rows and self.query.of_words():
            return "No image that passes the filters has these words."
        return "No image passes the filters." if self.rows else "Nothing is embedded yet."
