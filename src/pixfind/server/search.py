"""
Searches for many clients at the same time: from a request to a response in JSON.

Owns the searchers (one for each thread, with a shared index and model), the cache of responses, and what a query over HTTP may contain.
Must not know HTTP. The package `search` does the work.
"""

import collections
import itertools
import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search import query as language
from pixfind.search import shots
from pixfind.search.filters import Filters
from pixfind.search.query import Query, TermKind
from pixfind.search.query_vector import texts_of
from pixfind.search.results import Hit, SearchResult
from pixfind.search.searcher import Searcher
from pixfind.search.snapshot import SnapshotCache
from pixfind.server import schemas
from pixfind.server.batched_encoder import BatchedEncoder
from pixfind.server.cursors import Cursor, Order
from pixfind.server.decoders import DecoderPool
from pixfind.server.resource_pool import ResourcePool

_SEARCHERS = 2
"""More would wait for each other: most of a search holds the GIL."""

_MAX_QUEUE = 200

_MAX_CACHED_RESPONSES = 512
"""of some 20 kB each"""

_MAX_DEPTH_FACTOR = 3
"""A page is filled from at most this many times its number of the best hits, where many are below the cut-off."""


class SearchService:
    """All searches of one server. Call its methods on the event loop."""

    def __init__(
        self, path: Path, decoders: DecoderPool, observe_seconds: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._decoders = decoders
        self._observe_seconds = observe_seconds
        self._refresh_lock = threading.Lock()
        self._open_shared(Library.open(path))
        searchers = [self._searcher() for _ in range(_SEARCHERS)]
        self.searchers = ResourcePool("search", searchers, max_queue=_MAX_QUEUE, refresh=self._refreshed)
        self._cached: collections.OrderedDict[object, bytes] = collections.OrderedDict()
        self._cached_state: object = None
        self.cache_hits = 0
        """responses that came from the cache"""

    async def response_json(self, request: schemas.SearchRequest) -> bytes:
        """
        Return the response as JSON, from the cache where the library has not changed since; raises what `search` raises.

        The page repeats many requests: when a letter is typed and deleted, or a view is closed.
        """
        now = self._state()
        if now != self._cached_state:
            self._cached.clear()
            self._cached_state = now
        key = tuple(request.__dict__.values())
        cached = self._cached.get(key)
        if cached is not None:
            self._cached.move_to_end(key)
            self.cache_hits += 1
            return cached
        response = (await self.search(request)).model_dump_json().encode()
        if self._cached_state == now:
            self._cached[key] = response
            if len(self._cached) > _MAX_CACHED_RESPONSES:
                self._cached.popitem(last=False)
        return response

    async def search(self, request: schemas.SearchRequest, picture: bytes | None = None) -> schemas.SearchResponse:
        """
        Search by words, by an uploaded picture, or with filters alone.

        Raises InvalidFilter, InvalidQuery, PathNotAllowed for a query that names a file, Overloaded, and what `Searcher.search` raises.
        """
        filters = request.filters()
        _check_cursor(request)
        if picture is None and not request.q.strip() and filters:
            return await self.searchers.run(lambda searcher: _newest(searcher, request, filters))
        query = parse(request.q, allow_empty=picture is not None)
        return await self._search(query, request, () if picture is None else (picture,))

    async def nearest(
        self, query: Query, page: schemas.Page, picture: bytes | None = None, vector: NDArray[float32] | None = None
    ) -> schemas.SearchResponse:
        """Search by a parsed query, to which an uploaded picture and a unit row [d] are added; raises as `search`."""
        pictures = () if picture is None else (picture,)
        return await self._search(query, page, pictures, vectors=() if vector is None else (vector,))

    async def similar(self, image_id: int, page: schemas.Page) -> schemas.SearchResponse:
        """Return pictures that look like one of the library, without that one; raises as `search`."""
        _check_cursor(page)
        return await self._search(language.image(f"id:{image_id}"), page, (), without=image_id)

    def warm(self) -> None:
        """Load the model and the index, so that the first search is as fast as the others; raises what loading raises."""
        page = schemas.Page.model_validate({})
        try:
            for searcher in self.searchers.resources:
                for words in ("a photo", "a photo +snow"):
                    _response(searcher, language.parse(words), page, page.filters(), (), None).model_dump_json()
        except errors.NotEmbedded:
            return

    def close(self) -> None:
        """End the threads and close the libraries."""
        self.searchers.close()
        self.encoders.close()
        for searcher in self.searchers.resources:
            searcher.library.close()
        self._library.close()

    def _state(self) -> object:
        """Return a value that differs after every change of the catalogue, the embeddings or the index."""
        library = self._library
        version = library.catalogue.data_version()
        return library.generation, library.superseded(), version, self.snapshots.state(library)

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

    async def _search(
        self,
        query: Query,
        page: schemas.Page,
        pictures: Sequence[bytes],
        without: int | None = None,
        vectors: Sequence[NDArray[float32]] = (),
    ) -> schemas.SearchResponse:
        filters = page.filters()
        try:
            await self.encoders.ready(texts_of(query.terms))
            for picture in pictures:
                await self.encoders.file_ready(picture)
            response = await self.searchers.run(
                lambda searcher: _response(searcher, query, page, filters, pictures, without, vectors)
            )
        except errors.NotEmbedded:
            return _empty_response(query, page)
        self._observe_seconds(response.seconds)
        return response


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


def _check_cursor(page: schemas.Page) -> None:
    if page.cursor and page.offset:
        raise errors.InvalidRequest(detail="cursor and offset exclude each other: a cursor is a position itself")


def _response(
    searcher: Searcher,
    query: Query,
    page: schemas.Page,
    filters: Filters,
    pictures: Sequence[bytes],
    without: int | None,
    vectors: Sequence[NDArray[float32]] = (),
) -> schemas.SearchResponse:
    cursor = Cursor.parse(page.cursor, Order.BEST) if page.cursor else None
    before = cursor.count if cursor else page.offset
    if before > schemas.MAX_OFFSET:
        raise errors.InvalidRequest(
            detail=f"a ranked list is not continued behind its {schemas.MAX_OFFSET:,} best hits"
        )
    # One more to know whether there is another page, and one that may be left out.
    depth = before + page.k + 2
    max_depth = _MAX_DEPTH_FACTOR * depth
    while True:
        result = searcher.search(
            query,
            depth,
            filters,
            distinct=page.distinct,
            each_file=page.each_file,
            include_weak=page.include_weak,
            files=pictures,
            vectors=vectors,
        )
        hits = [hit for hit in result.hits if hit.image_id != without]
        start = cursor.end_in(hits) if cursor else page.offset
        more = len(hits) > start + page.k
        # Hits below the cut-off may be ranked between those above it, and new ones before the cursor: search deeper while that can fill the page.
        exhausted = len(result.hits) + result.below_cutoff < depth
        if more or exhausted or not result.hits or depth >= max_depth:
            break
        depth = max_depth
    shown = hits[start : start + page.k]
    count = before + len(shown)
    following = Cursor(Order.BEST, count, shown[-1].score, shown[-1].image_id) if more else None
    return schemas.SearchResponse(
        query=query.source,
        hits=_hits(searcher.library, shown, before),
        offset=before,
        more=more,
        next=str(following) if following and count <= schemas.MAX_OFFSET else None,
        hidden=result.below_cutoff,
        cutoff=result.cutoff,
        remark=_remark(result),
        unknown=list(result.unknown),
        ignored=list(result.ignored),
        rows=result.rows,
        seconds=result.seconds,
        generation=searcher.snapshots.etag,
    )


def _remark(result: SearchResult) -> str | None:
    message = result.message()
    return None if message is None else message.replace("Use --include-weak", 'Use "all"')


def _hits(library: Library, hits: Sequence[Hit], offset: int) -> list[schemas.Hit]:
    ids = json.dumps([hit.image_id for hit in hits])
    metadata = {image_id: rest for image_id, *rest in library.catalogue.rows("facts", "search.sql", ids=ids)}
    made = []
    for rank, hit in enumerate(hits, offset + 1):
        width, height, taken_at = metadata.get(hit.image_id, (0, 0, None))
        made.append(
            schemas.Hit(
                rank=rank,
                image_id=hit.image_id,
                path=schemas.display_path(hit.path),
                name=schemas.display_path(os.path.basename(hit.path)),  # noqa: PTH119  names may hold any bytes
                score=hit.score,
                query_z=hit.query_z,
                image_z=hit.image_z,
                unusual=hit.query_z,
                fitting=hit.image_z,
                width=width or None,
                height=height or None,
                taken=schemas.iso_time(taken_at),
                folded=hit.folded,
                also=[schemas.display_path(path) for path in hit.also],
                same_shot=[schemas.display_path(path) for path in hit.same_shot],
            )
        )
    return made


def _newest(searcher: Searcher, page: schemas.Page, filters: Filters) -> schemas.SearchResponse:
    """Return the newest images that pass the filters; with cursors all of them can be reached."""
    merged = searcher.library.merged_rows
    cursor = Cursor.parse(page.cursor, Order.NEWEST) if page.cursor else None
    before = cursor.count if cursor else page.offset
    rows = list(
        itertools.islice(_browse(searcher.library, page, cursor, filters), page.offset, page.offset + page.k + 1)
    )
    shown = [
        Hit(0, path, math.nan, image_id, row, same_shot=same_shot)
        for row, image_id, path, _, same_shot in rows[: page.k]
    ]
    more = len(rows) > page.k
    following = Cursor(Order.NEWEST, before + page.k, rows[page.k - 1][3], shown[-1].image_id) if more else None
    return _empty_response(Query(()), page).model_copy(
        update={
            "hits": [hit.model_copy(update={"score": None}) for hit in _hits(searcher.library, shown, before)],
            "offset": before,
            "more": more,
            "next": str(following) if following else None,
            "remark": None if rows else "No image passes the filters." if merged else "Nothing is embedded yet.",
            "rows": merged,
            "generation": searcher.snapshots.etag,
        }
    )


def _browse(
    library: Library, page: schemas.Page, cursor: Cursor | None, filters: Filters
) -> Iterator[tuple[int, int, str, int, tuple[str, ...]]]:
    """Yield (row, image id, path, time, paths of the same shot) of the images that pass the filters, the newest first."""
    key, last = (cursor.key, cursor.image_id) if cursor else (None, None)
    # Of a shot with RAW and JPEG one is left out.
    limit = (page.offset + page.k + 1) * (1 if page.each_file else 2)
    while True:
        rows = list(
            library.catalogue.rows("browsed", "search.sql", limit=limit, key=key, id=last, **filters.parameters())
        )
        paths = () if page.each_file else (path for _, _, path, _ in rows)
        shots_of = shots.beside(library.catalogue, paths, filters)
        for row, image_id, path, time in rows:
            others = [file for file in shots_of.get(path, ()) if file.image_id != image_id]
            # The first file of a shot, in this order, stands for all of it, on whatever page.
            if all((-time, image_id) < (-file.time, file.image_id) for file in others):
                yield row, image_id, path, time, tuple(file.path for file in others)
        if len(rows) < limit:
            return
        key, last = rows[-1][3], rows[-1][1]


def _empty_response(query: Query, page: schemas.Page) -> schemas.SearchResponse:
    """Return the response of a library without embeddings."""
    return schemas.SearchResponse(
        query=query.source,
        hits=[],
        offset=page.offset,
        more=False,
        next=None,
        hidden=0,
        cutoff=None,
        remark="Nothing is embedded yet.",
        unknown=[],
        ignored=[],
        rows=0,
        seconds=0.0,
        generation="",
    )
