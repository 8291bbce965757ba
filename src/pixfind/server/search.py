"""
Searches of one library for many clients at the same time.

Owns the searchers (one for each thread, with a shared index and model) and the cache of responses. Must not know HTTP. The package `search`
does the work, and `ranked_lists` keeps what later pages of a list show.
"""

import collections
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic import BaseModel

from pixfind import errors
from pixfind.collection.member import LibraryOnDemand
from pixfind.library import albums
from pixfind.library.library import Library, ModelIdentity
from pixfind.search import dates
from pixfind.search import query as language
from pixfind.search.searcher import Searcher
from pixfind.search.snapshot import SnapshotCache
from pixfind.server import browse, count_schemas, ranked_page, responses, schemas
from pixfind.server.batched_encoder import BatchedEncoder
from pixfind.server.ranked_lists import RankedLists
from pixfind.server.ranked_page import RankedRequest, Search
from pixfind.server.resource_pool import ResourcePool
from pixfind.server.searches import Searches
from pixfind.worker.decoders import DecoderPool

_SEARCHERS = 2
"""More would wait for each other: most of a search holds the GIL."""

_MAX_QUEUE = 200

_MAX_CACHED_RESPONSES = 512
"""of some 20 kB each"""


class SearchService(Searches):
    """See `searches.Searches`."""

    def __init__(
        self, path: Path, decoders: DecoderPool, observe_seconds: Callable[[float], None] = lambda seconds: None
    ) -> None:
        super().__init__(observe_seconds)
        self._decoders = decoders
        self._refresh_lock = threading.Lock()
        self._open_shared(Library.open(path))
        searchers = [self._searcher() for _ in range(_SEARCHERS)]
        self.searchers = ResourcePool("search", searchers, max_queue=_MAX_QUEUE, refresh=self._refreshed)
        # In a thread: a drive that hangs must not hold up the event loop.
        self._watched = ResourcePool("changes", [LibraryOnDemand(path)], max_queue=_MAX_QUEUE)
        self._cached: collections.OrderedDict[object, bytes] = collections.OrderedDict()
        self._cached_state: object = None
        self._lists = RankedLists()

    async def model(self) -> ModelIdentity | None:
        return await self.searchers.run(lambda searcher: searcher.library.model())

    async def encoders_now(self) -> BatchedEncoder:
        return self.encoders

    async def model_and_encoders(self) -> tuple[ModelIdentity, BatchedEncoder]:
        def of(searcher: Searcher) -> tuple[ModelIdentity, BatchedEncoder]:
            model = searcher.library.model()
            if model is None:
                raise errors.NotEmbedded(path="this library")
            assert isinstance(searcher.encoders, BatchedEncoder)
            return model, searcher.encoders

        return await self.searchers.run(of)

    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        filters = page.filters()
        return await self.searchers.run(
            lambda searcher: browse.newest(searcher.library, page, filters, searcher.snapshots.etag)
        )

    async def ranked(self, asked: RankedRequest) -> schemas.SearchResponse:
        # Before the search: what changes during it is found out by the next one.
        state = await self._watched.run(_state)

        def page(searcher: Searcher) -> schemas.SearchResponse:
            return _response(searcher, asked, self._lists.search_for(asked, state, searcher.search))

        return await self.searchers.run(page)

    async def remembered(self, key: object, make: Callable[[], Awaitable[BaseModel]]) -> bytes:
        now = await self._watched.run(_state)
        if now != self._cached_state:
            self._cached.clear()
            self._cached_state = now
        cached = self._cached.get(key)
        if cached is not None:
            self._cached.move_to_end(key)
            self.cache_hits += 1
            return cached
        made = await make()
        response = made.model_dump_json().encode()
        # Counts of a moment ago are counted again.
        is_current = not isinstance(made, count_schemas.Counted) or made.current
        if is_current and self._cached_state == now:
            self._cached[key] = response
            if len(self._cached) > _MAX_CACHED_RESPONSES:
                self._cached.popitem(last=False)
        return response

    def warm(self) -> None:
        """Load the model and the index, so that the first search is as fast as the others; raises what loading raises."""
        page = schemas.Page.model_validate({})
        try:
            for searcher in self.searchers.resources:
                for words in ("a photo", "a photo +snow"):
                    asked = RankedRequest(language.parse(words), page)
                    _response(searcher, asked, searcher.search).model_dump_json()
        except errors.NotEmbedded:
            return

    @property
    def waiting(self) -> int:
        return self.searchers.waiting

    @property
    def completed(self) -> int:
        return self.searchers.completed

    def close(self) -> None:
        self._watched.close()
        for watched in self._watched.resources:
            watched.close()
        self.searchers.close()
        self.encoders.close()
        for searcher in self.searchers.resources:
            searcher.library.close()
        self._library.close()

    def _open_shared(self, library: Library) -> None:
        """Open what all searchers share: the encoders and the index of one generation."""
        self._library = library
        self.encoders, self.snapshots = BatchedEncoder(library, self._decoders), SnapshotCache()

    def _searcher(self) -> Searcher:
        # The generation by its name: a different one may be active since the encoders were opened.
        return Searcher(
            Library.open(self._library.path, generation=self._library.generation), self.encoders, self.snapshots
        )

    def _refreshed(self, searcher: Searcher) -> Searcher:
        """Return `searcher` while its model is the active one, else a new searcher of the active model."""
        if not searcher.library.superseded():
            return searcher
        with self._refresh_lock:
            if self._library.superseded():
                # The old encoders stay open: requests that began before the switch may still use them.
                self._open_shared(Library.open(self._library.path))
            replacement = self._searcher()
        searcher.library.close()
        return replacement


def _state(opened: LibraryOnDemand) -> object:
    """Return a value that differs after every change of the catalogue, the embeddings, the index or the albums, and each day: a query may say "yesterday"."""
    library = opened.get()
    return opened.version(), SnapshotCache.state(library), albums.version(library.path), dates.now().date()


def _response(searcher: Searcher, asked: RankedRequest, search: Search) -> schemas.SearchResponse:
    found = ranked_page.filled(asked, search)
    known = responses.hit_metadata(searcher.library, responses.ids_of(found.shown))
    return ranked_page.response(found, known, searcher.snapshots.etag)
