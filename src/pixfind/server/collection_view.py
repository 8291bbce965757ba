"""
The pictures of several libraries as one.

Owns how answers of libraries are joined. Must not know how one is asked; whom to ask, and who is missing, is `collection_fan_out`.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pixfind import errors
from pixfind.collection import ids as joined_ids
from pixfind.collection.config import CollectionConfig
from pixfind.search.query import Query
from pixfind.server import (
    collection_status,
    count_schemas,
    facets,
    places,
    responses,
    schemas,
    selection,
    status_schemas,
)
from pixfind.server.collection_fan_out import FanOut
from pixfind.server.cursors import Cursor, Order
from pixfind.server.library_view import LibraryView, Original
from pixfind.types import Sort

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  as `schemas.iso_time` has it
_MAX_LOCAL_ID: Final = (1 << 40) - 1


class CollectionView:
    """See `library_view.LibraryView`; raises CollectionUnavailable where no library answers."""

    def __init__(self, config: CollectionConfig, views: Sequence[LibraryView]) -> None:
        self._config = config
        self._views = views
        self._fan_out = FanOut(config, views)

    @property
    def waiting(self) -> int:
        return sum(view.waiting for view in self._views)

    @property
    def completed(self) -> int:
        return sum(view.completed for view in self._views)

    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        if page.sort is Sort.ADDED:
            # Each library orders by its own ids.
            raise errors.InvalidRequest(detail="several libraries have no common order of registration; sort by date")
        cursor = Cursor.parse(page.cursor, Order.NEWEST, Order.NEWER) if page.cursor else None
        back = cursor is not None and cursor.order is Order.NEWER
        end = page.offset + page.k
        # Each library may have all of the page; an offset is counted in the joined list.
        found, missing = await self._fan_out.filtered(
            page, lambda place, view, its: _first(view, its, cursor and _cursor_at(cursor, place), end + 1)
        )
        hits = [(_key(hit), hit) for place, each in found.items() for hit in self._named(place, each.hits)]
        hits.sort(key=lambda entry: entry[0], reverse=back)
        more = len(hits) > end
        shown = hits[page.offset : end]
        before = cursor.count if cursor else page.offset
        if back:
            shown.reverse()
            before = max(0, before - len(shown))
        rows = sum(each.rows for each in found.values())
        made = responses.empty(Query(()), page)
        return made.model_copy(
            update={
                "hits": [hit.model_copy(update={"rank": rank}) for rank, (_, hit) in enumerate(shown, before + 1)],
                "offset": before,
                "more": more or back,
                "next": _cursor_of(Order.NEWEST, before + len(shown), shown[-1]) if shown and (more or back) else None,
                "previous": _cursor_of(Order.NEWER, before, shown[0])
                if shown and (more if back else cursor is not None)
                else None,
                "remark": None if shown else "No image passes the filters." if rows else made.remark,
                "rows": rows,
                "missing": missing,
            }
        )

    async def timeline(self, page: schemas.Page) -> count_schemas.Timeline:
        found, missing = await self._fan_out.filtered(page, lambda place, view, its: view.timeline(its))
        counts: Counter[str] = Counter()
        ends: dict[str, Cursor] = {}
        for each in found.values():
            for month in each.months:
                counts[month.month] += month.count
                ends[month.month] = Cursor.parse(month.cursor, Order.NEWEST)
        months: list[count_schemas.Month] = []
        before = 0
        for name in sorted(counts, reverse=True):
            cursor = Cursor(Order.NEWEST, before, ends[name].key, schemas.MAX_ID)
            months.append(count_schemas.Month(month=name, count=counts[name], cursor=str(cursor)))
            before += counts[name]
        return count_schemas.Timeline(count=before, months=months, missing=missing, current=_is_current(found))

    async def facets(self, page: schemas.Page, ids: Sequence[int] | None) -> count_schemas.Facets:
        by_place = None if ids is None else _by_place(ids)
        found, missing = await self._fan_out.filtered(
            page, lambda place, view, its: view.facets(its, None if by_place is None else by_place[place]), by_place
        )
        return count_schemas.Facets(
            count=sum(each.count for each in found.values()),
            ranked=ids is not None,
            cameras=facets.joined(each.cameras for each in found.values()),
            shapes=facets.joined(each.shapes for each in found.values()),
            years=facets.joined(each.years for each in found.values()),
            labels=facets.joined(each.labels for each in found.values()),
            kinds=facets.joined(each.kinds for each in found.values()),
            missing=missing,
            current=_is_current(found),
        )

    async def folders(self, page: schemas.Page, below: str | None) -> count_schemas.Folders:
        found, missing = await self._fan_out.filtered(page, lambda place, view, its: view.folders(its, below))
        known: dict[str, count_schemas.Folder] = {}
        for each in found.values():
            for folder in each.folders:
                count = known[folder.path].count if folder.path in known else 0
                known[folder.path] = folder.model_copy(update={"count": folder.count + count})
        ordered = sorted(known.values(), key=lambda folder: folder.path)
        return count_schemas.Folders(folders=ordered, missing=missing, current=_is_current(found))

    async def places(self, view: count_schemas.MapView) -> count_schemas.Places:
        found, missing = await self._fan_out.filtered(view, lambda place, library, its: library.places(its))
        named = [
            each.model_copy(update={"image_id": joined_ids.joined(place, each.image_id)})
            for place, its in found.items()
            for each in its.places
        ]
        return count_schemas.Places(
            count=sum(each.count for each in found.values()),
            in_view=sum(each.in_view for each in found.values()),
            bounds=places.around([each.bounds for each in found.values() if each.bounds is not None]),
            places=places.joined(named, view.zoom),
            missing=missing,
            current=_is_current(found),
        )

    async def similarity(self, view: count_schemas.SimilarityView) -> count_schemas.SimilarityGroups:
        view.filters()
        raise errors.NoSimilarityMap(
            detail="several libraries have none in common", advice="Serve one of them: pixfind --library LIBRARY serve"
        )

    async def warm(self) -> None:
        await asyncio.gather(*(view.warm() for view in self._views))

    async def hit_metadata(self, ids: Sequence[int]) -> dict[int, schemas.HitMetadata]:
        by_place = _by_place(ids)
        try:
            found, _ = await self._fan_out.all(lambda place, view: view.hit_metadata(by_place[place]), by_place)
        except errors.CollectionUnavailable:
            # Their hits have come; what is shown beside them can be done without.
            return {}
        return {
            joined_ids.joined(place, image_id): metadata
            for place, each in found.items()
            for image_id, metadata in each.items()
        }

    async def status(self) -> status_schemas.Status:
        found, missing = await self._fan_out.all(lambda place, view: view.status(), may_be_none=True)
        why = {one.library: one.why for one in missing}
        members = self._config.members
        states = [
            collection_status.of_member(member, found.get(place), why.get(member.name))
            for place, member in enumerate(members)
        ]
        return collection_status.joined(self._config, list(found.values()), states)

    async def failures(self, reason: str | None, offset: int, k: int) -> schemas.Failures:
        states, missing = await self._fan_out.all(lambda place, view: view.status())
        made: list[schemas.Failure] = []
        more = False
        for place, state in states.items():
            count = sum(number for why, number in state.failures.items() if reason in (None, why))
            if offset < count:
                if more or len(made) == k:
                    more = True
                    break
                found, silent = await self._failures_at(place, reason, offset, k - len(made))
                missing += silent
                made += found.failures
                more = found.more
            offset = max(0, offset - count)
        return schemas.Failures(failures=made, more=more, missing=missing)

    async def _failures_at(
        self, place: int, reason: str | None, offset: int, k: int
    ) -> tuple[schemas.Failures, list[schemas.Missing]]:
        asked, missing = await self._fan_out.all(
            lambda _, view: view.failures(reason, offset, k), [place], may_be_none=True
        )
        if place not in asked:
            return schemas.Failures(failures=[], more=False), missing
        found = asked[place]
        named = [
            each.model_copy(update={"image_id": joined_ids.joined(place, each.image_id)}) for each in found.failures[:k]
        ]
        return schemas.Failures(failures=named, more=found.more), missing

    async def metadata(self, image_id: int) -> schemas.Metadata:
        place, local = self._fan_out.place_of(image_id)
        try:
            found = await self._fan_out.one(image_id, lambda view: view.metadata(local))
        except errors.FileUnavailable as error:
            raise errors.ImageNotFound(image_id=image_id, path=self._config.members[place].name) from error
        # Of the orders of a list only that of time is common to all libraries.
        its = found.cursors.get(Sort.DATE)
        at = {Sort.DATE.value: str(replace(Cursor.parse(its, Order.NEWEST), image_id=image_id - 1))} if its else {}
        library = self._config.members[place].name
        return found.model_copy(update={"image_id": image_id, "library": library, "cursors": at})

    async def thumbnail(self, image_id: int, side: int) -> bytes:
        local = self._fan_out.place_of(image_id)[1]
        return await self._fan_out.one(image_id, lambda view: view.thumbnail(local, side))

    async def file(self, request: Request, image_id: int) -> Response:
        local = self._fan_out.place_of(image_id)[1]
        return await self._fan_out.one(image_id, lambda view: view.file(request, local))

    async def original(self, image_id: int) -> Original:
        place, local = self._fan_out.place_of(image_id)
        # Without a limit for the whole: a video that comes from another machine takes as long as it does.
        return await self._fan_out.answer(image_id, self._views[place].original(local))

    async def selection(self, ids: Sequence[int]) -> schemas.Selection:
        by_place = _by_place(ids)
        for image_id in ids:
            self._fan_out.place_of(image_id)
        found, missing = await self._fan_out.all(
            lambda place, view: view.selection(by_place[place]), by_place, may_be_none=True
        )
        unavailable = [
            each.model_copy(update={"image_id": joined_ids.joined(place, each.image_id)})
            for place, its in found.items()
            for each in its.unavailable
        ]
        why = {one.library: str(one.why) for one in missing}
        for place in by_place.keys() - found.keys():
            name = self._config.members[place].name
            unavailable += [
                schemas.Unavailable(
                    image_id=joined_ids.joined(place, local), detail=f"{name} did not answer: {why[name]}"
                )
                for local in by_place[place]
            ]
        total = sum(its.bytes for its in found.values())
        return selection.selection_of(len(ids), total, unavailable)

    def close(self) -> None:
        for view in self._views:
            view.close()

    def _named(self, place: int, hits: Iterable[schemas.Hit]) -> list[schemas.Hit]:
        name = self._config.members[place].name
        return [
            hit.model_copy(update={"image_id": joined_ids.joined(place, hit.image_id), "library": name}) for hit in hits
        ]


def _by_place(ids: Iterable[int]) -> dict[int, list[int]]:
    """Return the ids that images have in their libraries, by the positions of these."""
    found: dict[int, list[int]] = {}
    for image_id in ids:
        place, local = joined_ids.split(image_id)
        found.setdefault(place, []).append(local)
    return found


# --- the newest first -----------------------------------------------------------------------------


def _cursor_at(cursor: Cursor, place: int) -> Cursor:
    """Return where a list continues in one library: of equal times the libraries before that of the cursor have been shown whole, those behind it not at all."""
    its, local = joined_ids.split(cursor.image_id)
    last = _MAX_LOCAL_ID if place < its else local if place == its else 0
    return Cursor(cursor.order, cursor.count, cursor.key, last)


async def _first(view: LibraryView, page: schemas.Page, cursor: Cursor | None, count: int) -> schemas.SearchResponse:
    """Return the first `count` images of one library behind a cursor, fewer when there are no more; read towards the beginning they are its last."""
    back = cursor is not None and cursor.order is Order.NEWER
    at = None if cursor is None else str(cursor)
    hits: list[schemas.Hit] = []
    while True:
        k = min(count - len(hits), schemas.MAX_HITS)
        found = await view.newest(page.model_copy(update={"k": k, "offset": 0, "cursor": at}))
        hits = [*found.hits, *hits] if back else [*hits, *found.hits]
        at = found.previous if back else found.next
        if at is None or len(hits) >= count or not found.hits:
            return found.model_copy(update={"hits": hits})


def _cursor_of(order: Order, count: int, entry: tuple[tuple[int, int], schemas.Hit]) -> str:
    (time, image_id), _ = entry
    return str(Cursor(order, count, -time, image_id))


def _key(hit: schemas.Hit) -> tuple[int, int]:
    """Return what orders hits: the newest first, of equal times by library and id."""
    time = 0 if hit.date is None else int((dt.datetime.fromisoformat(hit.date) - _EPOCH).total_seconds())
    return -time, hit.image_id


def _is_current(found: Mapping[int, count_schemas.Counted]) -> bool:
    return all(each.current for each in found.values())
