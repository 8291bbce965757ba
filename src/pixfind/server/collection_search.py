"""
Searches of several libraries as one, for many clients at the same time.

Owns the searchers (one for each thread, with shared indices and model). Nothing is cached: what a library at an address holds may change at any
moment. Must not know HTTP. The package `collection` does the work.
"""

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from typing import Final

from pydantic import BaseModel

from pixfind import errors
from pixfind.collection.config import CollectionConfig
from pixfind.collection.searcher import CollectionSearcher, ModelEncoders
from pixfind.library.library import ModelIdentity
from pixfind.search.encoders import Encoders
from pixfind.search.snapshot import SnapshotCache
from pixfind.server import ranked_page, responses, schemas
from pixfind.server.batched_encoder import BatchedEncoder
from pixfind.server.library_view import LibraryView
from pixfind.server.ranked_page import RankedPage, RankedRequest
from pixfind.server.resource_pool import ResourcePool
from pixfind.server.searches import Searches
from pixfind.worker.decoders import DecoderPool

_SEARCHERS: Final = 2
"""each with a thread for every library"""

_MAX_QUEUE: Final = 200

_OPENING_SECONDS: Final = 60.0
"""that libraries in folders may take before the first search; after that those that are still being opened count as missing"""


class CollectionSearches(Searches):
    """See `searches.Searches`."""

    def __init__(
        self,
        config: CollectionConfig,
        view: LibraryView,
        decoders: DecoderPool,
        observe_seconds: Callable[[float], None],
    ) -> None:
        """Prepare; `view` knows what is shown with hits."""
        super().__init__(observe_seconds)
        self._view = view
        self._encoders = ModelEncoders(config, lambda owner: BatchedEncoder(owner, decoders))
        snapshots = [SnapshotCache() for _ in config.members]
        searchers = [CollectionSearcher(config, self._encoders, snapshots) for _ in range(_SEARCHERS)]
        self._searchers = ResourcePool("search", searchers, max_queue=_MAX_QUEUE)

    async def model(self) -> ModelIdentity | None:
        try:
            return await self._searchers.run(_model_now)
        except errors.NotEmbedded:
            return None

    async def model_and_encoders(self) -> tuple[ModelIdentity, BatchedEncoder]:
        def of(searcher: CollectionSearcher) -> tuple[ModelIdentity, BatchedEncoder]:
            return _model_now(searcher), _batched(searcher.encoders)

        return await self._searchers.run(of)

    async def encoders_now(self) -> BatchedEncoder:
        # Those of a model before the present one cost a text that is encoded in vain: a search itself takes the right ones.
        found = self.encoders
        if found is None:
            found = _batched(await self._searchers.run(lambda searcher: searcher.encoders))
        return found

    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        return await self._view.newest(page)

    async def ranked(self, asked: RankedRequest) -> schemas.SearchResponse:
        def search(searcher: CollectionSearcher) -> tuple[RankedPage, str]:
            return ranked_page.filled(asked, searcher.search), searcher.tag

        found, tag = await self._searchers.run(search)
        known = await self._view.hit_metadata(responses.ids_of(found.shown))
        return ranked_page.response(found, known, hashlib.blake2b(tag.encode(), digest_size=8).hexdigest())

    async def remembered(self, key: object, make: Callable[[], Awaitable[BaseModel]]) -> bytes:  # noqa: ARG002  as the class says
        return (await make()).model_dump_json().encode()

    def warm(self) -> None:
        """Open the libraries and load the model, so that the first search is as fast as the others; raises LibrariesDiffer, and what loading a model raises."""
        for searcher in self._searchers.resources:
            wait(searcher.open_folders(), timeout=_OPENING_SECONDS)
            with contextlib.suppress(errors.NotEmbedded, errors.CollectionUnavailable):
                searcher.search("a photo", 1)

    @property
    def waiting(self) -> int:
        return self._searchers.waiting

    @property
    def completed(self) -> int:
        return self._searchers.completed

    @property
    def encoders(self) -> BatchedEncoder | None:
        """The encoders that were used last; None before the first search."""
        found = self._encoders.latest
        return None if found is None else _batched(found)

    def close(self) -> None:
        self._searchers.close()
        self._encoders.close()
        for searcher in self._searchers.resources:
            searcher.close()


def _batched(encoders: Encoders) -> BatchedEncoder:
    assert isinstance(encoders, BatchedEncoder), "the server makes no others"
    return encoders


def _model_now(searcher: CollectionSearcher) -> ModelIdentity:
    """Return the model of all libraries, of those that answered last where none does now; raises as `CollectionSearcher.model`."""
    # All are asked: that one has switched would else be noticed by the next search alone.
    with contextlib.suppress(errors.CollectionUnavailable):
        searcher.states()
    return searcher.model()
