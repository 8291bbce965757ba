"""
The searches of a server: from a request to a response in JSON.

Owns which kind of search a request asks for. Must not know HTTP, or whether one library is searched (`search`) or several (`collection_search`).
"""

import abc
from collections.abc import Awaitable, Callable

from numpy import float32
from numpy.typing import NDArray
from pydantic import BaseModel

from pixfind import errors
from pixfind.library.library import ModelIdentity
from pixfind.search import query as language
from pixfind.search.query import Query
from pixfind.search.query_vector import texts_of
from pixfind.server import count_schemas, ranked_page, responses, schemas
from pixfind.server.batched_encoder import BatchedEncoder
from pixfind.server.library_view import LibraryView
from pixfind.server.ranked_page import RankedRequest
from pixfind.types import Sort


class Searches(abc.ABC):
    """All searches of one server. Call its methods on the event loop."""

    cache_hits = 0
    """responses that came from a cache"""

    def __init__(self, observe_seconds: Callable[[float], None] = lambda seconds: None) -> None:
        """Prepare; `observe_seconds` receives how long each search took."""
        self._observe_seconds = observe_seconds

    @abc.abstractmethod
    async def model(self) -> ModelIdentity | None:
        """Return the model that answers now; None before anything was embedded."""

    @abc.abstractmethod
    async def encoders_now(self) -> BatchedEncoder:
        """Return the encoders of the model that answers now; raises NotEmbedded where a collection has none."""

    @abc.abstractmethod
    async def model_and_encoders(self) -> tuple[ModelIdentity, BatchedEncoder]:
        """Return the model that answers now, and the encoders of this very one; raises NotEmbedded."""

    @abc.abstractmethod
    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        """Return the newest images that pass the filters of a page."""

    @abc.abstractmethod
    async def ranked(self, asked: RankedRequest) -> schemas.SearchResponse:
        """Return a page of the best hits; raises what `Searcher.search` raises."""

    @abc.abstractmethod
    async def remembered(self, key: object, make: Callable[[], Awaitable[BaseModel]]) -> bytes:
        """Return what `make` returns as JSON, from a cache where that is still true."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the threads and close the libraries."""

    @property
    @abc.abstractmethod
    def waiting(self) -> int:
        """Searches that are running or queued."""

    @property
    @abc.abstractmethod
    def completed(self) -> int:
        """Searches that have ended."""

    async def response_json(self, request: schemas.SearchRequest) -> bytes:
        """
        Return the response as JSON, from the cache where the library has not changed since; raises what `search` raises.

        The page repeats many requests: when a letter is typed and deleted, or a view is closed.
        """
        # The filters beside the words for them: "two hours ago" is a different one each minute.
        key = (request.filters(), *request.__dict__.values())
        return await self.remembered(key, lambda: self.search(request))

    async def timeline_json(self, page: schemas.Page, view: LibraryView) -> bytes:
        """Return the timeline of the images that pass the filters as JSON, from the cache as `response_json`; raises InvalidFilter and Overloaded."""
        return await self.remembered(("timeline", page.filters()), lambda: view.timeline(page))

    async def facets_json(self, request: schemas.SearchRequest, view: LibraryView) -> bytes:
        """
        Return the facets of a result as JSON, from the cache as `response_json`; raises what `search` raises.

        Counted by `view`: searches have no thread to spare.
        """
        filters = request.filters()
        best = request.model_copy(update={"k": schemas.MAX_HITS, "cursor": None, "offset": 0, "sort": None})

        async def make() -> count_schemas.Facets:
            if not request.q.strip():
                return await view.facets(request, None)
            found = await self.search(best)
            counted = await view.facets(request, [hit.image_id for hit in found.hits])
            return counted.model_copy(update={"missing": found.missing or counted.missing})

        return await self.remembered(("facets", filters, *best.__dict__.values()), make)

    async def folders_json(self, page: schemas.Page, below: str | None, view: LibraryView) -> bytes:
        """Return the folders in a folder as JSON, from the cache as `response_json`; raises InvalidFilter and Overloaded."""
        return await self.remembered(("folders", below, page.filters()), lambda: view.folders(page, below))

    async def places_json(self, view: count_schemas.MapView, library: LibraryView) -> bytes:
        """Return the places in a part of the world as JSON, from the cache as `response_json`; raises InvalidFilter, LibraryTooLargeForMap and Overloaded."""
        key = ("places", view.filters(), view.west, view.south, view.east, view.north, view.zoom)
        return await self.remembered(key, lambda: library.places(view))

    async def search(self, request: schemas.SearchRequest, picture: bytes | None = None) -> schemas.SearchResponse:
        """
        Search by words, by an uploaded picture, or with filters alone.

        Raises InvalidFilter, InvalidQuery, PathNotAllowed for a query that names a file, Overloaded, and what `Searcher.search` raises.
        """
        filters = request.filters()
        ranked_page.check_cursor(request)
        if picture is None and not request.q.strip() and filters:
            # No score orders what no query asks for.
            by_score = request.sort is Sort.SCORE
            return await self.newest(request.model_copy(update={"sort": None}) if by_score else request)
        query = ranked_page.parse(request.q, allow_empty=picture is not None)
        return await self._search(RankedRequest(query, request, () if picture is None else (picture,)))

    async def nearest(
        self, query: Query, page: schemas.Page, picture: bytes | None = None, vector: NDArray[float32] | None = None
    ) -> schemas.SearchResponse:
        """Search by a parsed query, to which an uploaded picture and a unit row [d] are added; raises as `search`."""
        pictures = () if picture is None else (picture,)
        return await self._search(RankedRequest(query, page, pictures, () if vector is None else (vector,)))

    async def similar(self, image_id: int, page: schemas.Page) -> schemas.SearchResponse:
        """Return pictures that look like one of the library, without that one; raises as `search`."""
        ranked_page.check_cursor(page)
        return await self._search(RankedRequest(language.image(f"id:{image_id}"), page, without=image_id))

    async def _search(self, asked: RankedRequest) -> schemas.SearchResponse:
        asked.page.filters()
        try:
            encoders = await self.encoders_now()
            await encoders.ready(texts_of(asked.query.terms))
            for picture in asked.pictures:
                await encoders.file_ready(picture)
            response = await self.ranked(asked)
        except errors.NotEmbedded:
            return responses.empty(asked.query, asked.page)
        self._observe_seconds(response.seconds)
        return response
