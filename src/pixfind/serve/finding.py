"""
Searching for many clients at once: a request becomes a query, its answer becomes JSON.

Owns the searchers (one a thread, all of one index and one model) and what a query may say over HTTP.
Must not know HTTP. The work is done in `search`.
"""

import json
import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pixfind import errors
from pixfind import query as language
from pixfind.filters import Filters
from pixfind.library import Library
from pixfind.query import Query, Shows
from pixfind.search import Answer, Hit, Opened, Searcher, texts_of
from pixfind.serve import forms
from pixfind.serve.threads import Threads
from pixfind.serve.towers import SharedTowers

_SEARCHERS = 2
"""More would wait for each other: most of a search holds Python's lock."""

_MOST_WAITING = 200


class Finder:
    """All searches of one server."""

    def __init__(self, path: Path, took: Callable[[float], None] = lambda seconds: None) -> None:
        self._took = took
        self._renewing = threading.Lock()
        self._share(Library.open(path))
        searchers = [self._searcher() for _ in range(_SEARCHERS)]
        self.threads = Threads("search", searchers, most_waiting=_MOST_WAITING, renewed=self._renewed)

    async def search(self, asked: forms.Search, picture: bytes | None = None) -> forms.Found:
        """Answer; raises QueryWrong, PathRefused, Busy, and what `Searcher.search` raises."""
        filters = asked.filters()
        if picture is None and not asked.q.strip() and filters:
            return await self.threads.run(lambda searcher: _browsed(searcher, asked, filters))
        query = parse(asked.q, alone=picture is None)
        return await self._search(query, asked, () if picture is None else (picture,))

    async def similar(self, image_id: int, page: forms.Page) -> forms.Found:
        """Answer with pictures that look like one of the library, and leave out that one itself."""
        return await self._search(language.image(f"id:{image_id}"), page, (), without=image_id)

    def warm(self) -> None:
        """Load the model and the index, so that the first search is as fast as the next; raises what loading raises."""
        try:
            for searcher in self.threads.things:
                searcher.search("a photo", 1)
        except errors.NotEmbedded:
            return

    def close(self) -> None:
        self.threads.close()
        self.towers.close()
        for searcher in self.threads.things:
            searcher.library.close()

    def _share(self, library: Library) -> None:
        """What all searchers share: the towers and the index of the model in one home."""
        self._library = library
        self.towers, self.opened = SharedTowers(library), Opened()

    def _searcher(self) -> Searcher:
        # The home by its name: another one may answer since the towers were opened.
        return Searcher(Library.open(self._library.path, home=self._library.home), self.towers, self.opened)

    def _renewed(self, searcher: Searcher) -> Searcher:
        """Return a searcher of the model that answers now; the one that is given while it does."""
        if not searcher.library.superseded():
            return searcher
        with self._renewing:
            if self._library.superseded():
                # The old towers are not closed: texts of requests that began before may be in them.
                self._share(Library.open(self._library.path))
            after = self._searcher()
        searcher.library.close()
        return after

    async def _search(
        self, query: Query, page: forms.Page, pictures: Sequence[bytes], without: int | None = None
    ) -> forms.Found:
        filters = page.filters()
        try:
            await self.towers.ready(texts_of(query.terms))
            for picture in pictures:
                await self.towers.seen(picture)
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
    page: forms.Page,
    filters: Filters,
    pictures: Sequence[bytes],
    without: int | None,
) -> forms.Found:
    last = page.offset + page.k
    # Hits below the cut-off lie between those above it: look further than the page is long.
    answer = searcher.search(
        query, last + page.k + 1, filters, distinct=page.distinct, everything=page.everything, pictures=pictures
    )
    hits = [hit for hit in answer.hits if hit.image_id != without]
    shown = hits[page.offset : last]
    return forms.Found(
        query=query.source,
        hits=_hits(searcher.library, shown, page.offset),
        offset=page.offset,
        more=len(hits) > last,
        hidden=answer.hidden,
        cutoff=answer.cutoff,
        remark=_remark(answer),
        unknown=list(answer.unknown),
        rows=answer.rows,
        seconds=answer.seconds,
        generation=searcher.opened.generation,
    )


def _remark(answer: Answer) -> str | None:
    said = answer.remark()
    return None if said is None else said.replace("with --all", 'with "all"')


def _hits(library: Library, hits: Sequence[Hit], offset: int) -> list[forms.Hit]:
    ids = json.dumps([hit.image_id for hit in hits])
    facts = {image_id: rest for image_id, *rest in library.catalogue.rows("facts", "search.sql", ids=ids)}
    made = []
    for rank, hit in enumerate(hits, offset + 1):
        width, height, taken_at = facts.get(hit.image_id, (0, 0, None))
        made.append(
            forms.Hit(
                rank=rank,
                image_id=hit.image_id,
                path=forms.shown(hit.path),
                name=forms.shown(os.path.basename(hit.path)),  # noqa: PTH119  names may hold any bytes
                score=hit.score,
                unusual=hit.unusual,
                fitting=hit.fitting,
                width=width or None,
                height=height or None,
                taken=forms.instant(taken_at),
                folded=hit.folded,
                also=[forms.shown(path) for path in hit.also],
            )
        )
    return made


def _browsed(searcher: Searcher, page: forms.Page, filters: Filters) -> forms.Found:
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
            "remark": None if rows else "no image passes the filters" if merged else "nothing is embedded yet",
            "rows": merged,
            "generation": searcher.opened.generation,
        }
    )


def _nothing(query: Query, page: forms.Page) -> forms.Found:
    """The answer of a library without embeddings."""
    return forms.Found(
        query=query.source,
        hits=[],
        offset=page.offset,
        more=False,
        hidden=0,
        cutoff=None,
        remark="nothing is embedded yet",
        unknown=[],
        rows=0,
        seconds=0.0,
        generation="",
    )
