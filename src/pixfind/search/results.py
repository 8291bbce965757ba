"""
The result of a search: its hits, and how to interpret them.

Plain data, made by `search.searcher` and shown by the command line, the server and Python programs.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pixfind.index.header import IndexKind
from pixfind.search.query import Query, TermKind


@dataclass(frozen=True, slots=True)
class Hit:
    """One image of a search result."""

    rank: int
    """from 1"""
    path: str
    score: float
    """exact cosine between the query and the image"""
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
    """near-duplicates of this hit that are not shown; 0 unless distinct hits were asked for"""

    def values(self) -> dict[str, Any]:
        """Return the JSON of a hit, the former names of the z-scores included."""
        return {**asdict(self), "unusual": self.query_z, "fitting": self.image_z}


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

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def message(self) -> str | None:
        """Return a sentence to show when there are no hits or words are unknown; None when there is nothing to explain."""
        names = ", ".join(f'"{word}"' for word in self.unknown)
        unknown = f"The model of this library does not know {names}"
        wanted = [term for term in self.query.terms if term.weight > 0]
        if wanted and all(term.kind is TermKind.TEXT and term.value in self.ignored for term in wanted):
            return f"{unknown}."
        sentences = [f"{unknown}; ignored."] if self.unknown else []
        if not self.hits:
            sentences.append(self._why_empty())
        return " ".join(sentences) or None

    def _why_empty(self) -> str:
        if self.below_cutoff:
            return "No good match. Use --include-weak to see the nearest images anyway."
        return "No image passes the filters." if self.rows else "Nothing is embedded yet."
