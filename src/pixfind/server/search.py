"""
Searching for many clients at once: a request becomes a query, its answer becomes JSON.

Owns the searchers (one a thread, all of one index and one model) and what a query may say over HTTP.
Must not know HTTP. The work is done in `search`.
"""

import collections
import json
import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search import query as language
from pixfind.search.filters import Filters
from pixfind.search.query import Query, Shows
from pixfind.search.query_vector import texts_of
from pixfind.search.results import Hit, SearchResult
from pixfind.search.searcher import Searcher
from pixfind.search.snapshot import SnapshotCache
from pixfind.server import schemas
from pixfind.server.batched_encoder import BatchedEncoder
from pixfind.server.resource_pool import Threads

_SEARCHERS = 2
"""More would wait for each other: most of a search holds Python's lock."""

_MOST_WAITING = 200

_MOST_ANSWERS = 512
"""Remembered, of some 20 kB each."""

_DEEPEST = 3
"""How many times as far as the page is long is looked for hits above the cut-off."""


class Finder:
    """All searches of one server. Its methods belong to the event loop."""

    def __init__(self, path: Path, took: Callable[[float], None] = lambda seconds: None) -> None:
        self._took = took
        self._renewing = threading.Lock()
        self._share(Library.open(path))
        searchers = [self._searcher() for _ in range(_SEARCHERS)]
        self.threads = Threads("search", searchers, most_waiting=_MOST_WAITING, renewed=self._renewed)
        self._answers: collections.OrderedDict[object, bytes] = collections.OrderedDict()
        self._answered_at: object = None
        self.remembered = 0
        """answers that were given a second time"""

    async def answer(self, asked: schemas.Search) -> bytes:
        """
        Return the answer as JSON, again as it was where nothing has changed since.

        A page asks for the same again and again: a letter typed and deleted, a view closed. Raises what `search` raises.
        """
        now = self._state()
        if now != self._answered_at:
            self._answers.clear()
            self._answered_at = now
        key = tuple(asked.__dict__.values())
        known = self._answers.get(key)
        if known is not None:
            self._answers.move_to_end(key)
            self.remembered += 1
            return known
        found = (await self.search(asked)).model_dump_json().encode()
        if self._answered_at == now:
            self._answers[key] = found
            if len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)
        return found

    async def search(self, asked: schemas.Search, picture: bytes | None = None) -> schemas.Found:
        """Answer; raises QueryWrong, PathRefused, Busy, and what `Searcher.search` raises."""
        filters = asked.filters()
        if picture is None and not asked.q.strip() and filters:
            return await self.threads.run(lambda searcher: _browsed(searcher, asked, filters))
        query = parse(asked.q, alone=picture is None)
        return await self._search(query, asked, () if picture is None else (picture,))

    async def similar(self, image_id: int, page: schemas.Page) -> schemas.Found:
        """Answer with pictures that look like one of the library, and leave out that one itself."""
        return await self._search(language.image(f"id:{image_id}"), page, (), without=image_id)

    def warm(self) -> None:
        """Load the model and the index, so that the first search is as fast as the next; raises what loading raises."""
        page = schemas.Page.model_validate({})
        try:
            for searcher in self.threads.things:
                for words in ("a photo", "a photo +snow"):
                    _found(searcher, language.parse(words), page, page.filters(), (), None).model_dump_json()
        except errors.NotEmbedded:
            return

    def close(self) -> None:
        self.threads.close()
        self.encoders.close()
        for searcher in self.threads.things:
            searcher.library.close()
        self._library.close()

    def _state(self) -> object:
        """What changes with every change of the catalogue, the embeddings or the index."""
        library = self._library
        version = library.catalogue.data_version()
        return library.generation, library.superseded(), version, self.snapshots.state(library)

    def _share(self, library: Library) -> None:
        """What all searchers share: the encoders and the index of one generation."""
        self._library = library
        self.encoders, self.snapshots = BatchedEncoder(library), SnapshotCache()

    def _searcher(self) -> Searcher:
        # The generation by its name: another one may be active since the encoders were opened.
        return Searcher(
            Library.open(self._library.path, generation=self._library.generation), self.encoders, self.snapshots
        )

    def _renewed(self, searcher: Searcher) -> Searcher:
        """Return a searcher of the model that answers now; the one that is given while it does."""
        if not searcher.library.superseded():
            return searcher
        with self._renewing:
            if self._library.superseded():
                # The old encoders are not closed: texts of requests that began before may be in them.
                self._share(Library.open(self._library.path))
            after = self._searcher()
        searcher.library.close()
        return after

    async def _search(
        self, query: Query, page: schemas.Page, pictures: Sequence[bytes], without: int | None = None
    ) -> schemas.Found:
        filters = page.filters()
        try:
            await self.encoders.ready(texts_of(query.terms))
            for picture in pictures:
                await self.encoders.file_ready(picture)
            found = await self.threads.run(lambda searcher: _found(searcher, query, page, filters, pictures, without))
        except errors.NotEmbedded:
            return _nothing(query, page)
        self._took(found.seconds)
        return found


def parse(q: str, *, alone: bool) -> Query:
    """
    Read a query that came over HTTP; an empty one is fine when it does not stand alone.

    Raises QueryWrong, and PathRefused for a term that names a file.
    """
    if not alone and not q.strip():
        return Query((), q)
    query = language.parse(q, alone=alone)
    for term in query.terms:
        if term.shows is Shows.FILE:
            raise errors.PathRefused(value=term.value, at=term.at)
    return query


def _found(
    searcher: Searcher,
    query: Query,
    page: schemas.Page,
    filters: Filters,
    pictures: Sequence[bytes],
    without: int | None,
) -> schemas.Found:
    last = page.offset + page.k
    # One more tells whether there is another page, and one may be left out.
    depth = last + 2
    while True:
        answer = searcher.search(
            query, depth, filters, distinct=page.distinct, include_weak=page.include_weak, files=pictures
        )
        # Hits below the cut-off may lie between those above it: look further while that can fill the page.
        if len(answer.hits) > last or not answer.below_cutoff or not answer.hits or depth >= _DEEPEST * last:
            break
        depth = _DEEPEST * last + 2
    hits = [hit for hit in answer.hits if hit.image_id != without]
    shown = hits[page.offset : last]
    return schemas.Found(
        query=query.source,
        hits=_hits(searcher.library, shown, page.offset),
        offset=page.offset,
        more=len(hits) > last,
        hidden=answer.below_cutoff,
        cutoff=answer.cutoff,
        remark=_remark(answer),
        unknown=list(answer.unknown),
        rows=answer.rows,
        seconds=answer.seconds,
        generation=searcher.snapshots.etag,
    )


def _remark(answer: SearchResult) -> str | None:
    said = answer.message()
    return None if said is None else said.replace("Use --all", 'Use "all"')


def _hits(library: Library, hits: Sequence[Hit], offset: int) -> list[schemas.Hit]:
    ids = json.dumps([hit.image_id for hit in hits])
    facts = {image_id: rest for image_id, *rest in library.catalogue.rows("facts", "search.sql", ids=ids)}
    made = []
    for rank, hit in enumerate(hits, offset + 1):
        width, height, taken_at = facts.get(hit.image_id, (0, 0, None))
        made.append(
            schemas.Hit(
                rank=rank,
                image_id=hit.image_id,
                path=schemas.shown(hit.path),
                name=schemas.shown(os.path.basename(hit.path)),  # noqa: PTH119  names may hold any bytes
                score=hit.score,
                query_z=hit.query_z,
                image_z=hit.image_z,
                unusual=hit.query_z,
                fitting=hit.image_z,
                width=width or None,
                height=height or None,
                taken=schemas.instant(taken_at),
                folded=hit.folded,
                also=[schemas.shown(path) for path in hit.also],
            )
        )
    return made


def _browsed(searcher: Searcher, page: schemas.Page, filters: Filters) -> schemas.Found:
    """The newest images that pass the filters."""
    merged = searcher.library.merged_rows
    rows = list(
        searcher.library.catalogue.rows(
            "browsed", "search.sql", limit=page.k + 1, offset=page.offset, **filters.parameters()
        )
    )
    shown = [Hit(0, path, math.nan, image_id, row) for row, image_id, path in rows[: page.k]]
    return _nothing(Query(()), page).model_copy(
        update={
            "hits": [hit.model_copy(update={"score": None}) for hit in _hits(searcher.library, shown, page.offset)],
            "more": len(rows) > page.k,
            "remark": None if rows else "No image passes the filters." if merged else "Nothing is embedded yet.",
            "rows": merged,
            "generation": searcher.snapshots.etag,
        }
    )


def _nothing(query: Query, page: schemas.Page) -> schemas.Found:
    """The answer of a library without embeddings."""
    return schemas.Found(
        query=query.source,
        hits=[],
        offset=page.offset,
        more=False,
        hidden=0,
        cutoff=None,
        remark="Nothing is embedded yet.",
        unknown=[],
        rows=0,
        seconds=0.0,
        generation="",
    )
