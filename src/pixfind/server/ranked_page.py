"""
A page of the best hits: which of them it shows, and how it becomes a response.

Owns cursors in a ranked list and what a query over HTTP may contain. Must not know whether one library is searched or several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Unpack

from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.search import dates
from pixfind.search import query as language
from pixfind.search.filters import Filters
from pixfind.search.query import Query, TermKind
from pixfind.search.question import SearchOptions
from pixfind.search.ranking import MAX_SORTED
from pixfind.search.results import Hit, SearchResult
from pixfind.server import date_in_query, responses, schemas
from pixfind.server.cursors import Cursor, Order
from pixfind.types import Sort

_MAX_DEPTH_FACTOR: Final = 3
"""A page is filled from at most this many times its number of the best hits, where many are below the cut-off."""


_ORDERS: Final = {Sort.SCORE: Order.BEST, Sort.DATE: Order.BY_DATE, Sort.ADDED: Order.BY_ADDED}


@dataclass(frozen=True, slots=True, eq=False)
class RankedRequest:
    """Which of the best hits for which query are asked for."""

    query: Query
    page: schemas.Page
    pictures: Sequence[bytes] = ()
    """contents of image files, added to the query"""
    vectors: Sequence[NDArray[float32]] = ()
    """unit rows [d], added likewise"""
    without: int | None = None
    """an image that is left out"""

    def options(self) -> SearchOptions:
        """Return which hits of a search are shown, and what is added to its query."""
        page = self.page
        return {
            "distinct": page.distinct,
            "each_file": page.each_file,
            "include_weak": page.include_weak,
            "sort": page.sort or Sort.SCORE,
            "files": self.pictures,
            "vectors": self.vectors,
        }


class Search(Protocol):
    """`Searcher.search`, or that of a collection."""

    def __call__(self, query: Query, k: int, filters: Filters, /, **options: Unpack[SearchOptions]) -> SearchResult: ...


@dataclass(frozen=True, slots=True)
class RankedPage:
    """The hits of one page."""

    asked: RankedRequest
    result: SearchResult
    shown: Sequence[Hit]
    before: int
    """hits on the pages before"""
    more: bool


def parse(q: str, *, allow_empty: bool) -> Query:
    """
    Parse a query from an HTTP request; `allow_empty` for one that goes with an uploaded picture.

    Raises InvalidQuery, and PathNotAllowed for a term that names a file.
    """
    if allow_empty and not q.strip():
        return Query((), q)
    query = language.parse(q, require_positive=not allow_empty)
    for term in query.terms:
        if term.kind is TermKind.FILE:
            raise errors.PathNotAllowed(value=term.value, at=term.at)
    return query


def check_cursor(page: schemas.Page) -> None:
    """Raise InvalidRequest for two positions at once."""
    if page.cursor and page.offset:
        raise errors.InvalidRequest(detail="cursor and offset exclude each other: a cursor is a position itself")


def filled(asked: RankedRequest, search: Search) -> RankedPage:
    """Return the page that is asked for, of what `search` finds. Raises InvalidRequest, and what `search` raises."""
    page = asked.page
    sort = page.sort or Sort.SCORE
    cursor = Cursor.parse(page.cursor, _ORDERS[sort]) if page.cursor else None
    before = cursor.count if cursor else page.offset
    if before > schemas.MAX_OFFSET:
        raise errors.InvalidRequest(
            detail=f"a ranked list is not continued behind its {schemas.MAX_OFFSET:,} best hits"
        )
    filters, options = page.filters(), asked.options()
    # One more to know whether there is another page, and one that may be left out.
    depth = before + page.k + 2
    if sort is not Sort.SCORE:
        # All that are sorted: newer pictures that arrive between two pages stand before the cursor, however many they are.
        depth = max(depth, MAX_SORTED)
    max_depth = _MAX_DEPTH_FACTOR * depth
    while True:
        result = search(asked.query, depth, filters, **options)
        hits = [hit for hit in result.hits if hit.image_id != asked.without]
        start = cursor.end_in(hits) if cursor else page.offset
        more = len(hits) > start + page.k
        # Hits below the cut-off may be ranked between those above it, and new ones before the cursor: search deeper while that can fill the page.
        exhausted = len(result.hits) + result.below_cutoff < depth
        if more or exhausted or not result.hits or depth >= max_depth or sort is not Sort.SCORE:
            return RankedPage(asked, result, hits[start : start + page.k], before, more)
        depth = max_depth


def response(found: RankedPage, known: Mapping[int, schemas.HitMetadata], generation: str) -> schemas.SearchResponse:
    """Return the response with the hits of a page and what is known of each."""
    result, shown, before = found.result, found.shown, found.before
    count = before + len(shown)
    query, page = found.asked.query, found.asked.page
    sort = page.sort or Sort.SCORE
    following = Cursor.at(shown[-1], _ORDERS[sort], count) if shown and found.more else None
    return schemas.SearchResponse(
        query=query.source,
        hits=responses.hits(known, shown, before),
        offset=before,
        more=found.more,
        next=str(following) if following and count <= schemas.MAX_OFFSET else None,
        previous=None,
        hidden=result.below_cutoff,
        cutoff=result.cutoff,
        remark=_remark(result),
        unknown=list(result.unknown),
        ignored=list(result.ignored),
        date=None if page.filters().dated else date_in_query.find(query, dates.now()),
        rows=result.rows,
        seconds=result.seconds,
        generation=generation,
        missing=[schemas.Missing(library=one.library, why=one.why) for one in result.missing],
    )


def _remark(result: SearchResult) -> str | None:
    message = result.message()
    return None if message is None else message.replace("Use --include-weak", 'Use "all"')
