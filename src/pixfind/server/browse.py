"""
Looking through a library without a query: its images from the newest to the oldest, or from the one that was registered last, and how many each month has.

Owns the order and its pages in both directions. Must not know HTTP.
"""

import calendar
import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pixfind.images import suffixes
from pixfind.library.library import Library
from pixfind.search import filter_checks, moments, shots, where
from pixfind.search.filters import Filters
from pixfind.search.query import Query
from pixfind.search.results import Hit
from pixfind.server import count_schemas, responses, schemas
from pixfind.server.columns import Columns
from pixfind.server.cursors import Cursor, Order
from pixfind.types import Sort

_LAST: Final = 2**63 - 1

_FORWARD: Final = {Sort.DATE: Order.NEWEST, Sort.ADDED: Order.LAST_ADDED}
_BACK: Final = {Sort.DATE: Order.NEWER, Sort.ADDED: Order.ADDED_BEFORE}

_STATEMENTS: Final = {
    Order.NEWEST: "browsed",
    Order.NEWER: "browsed_back",
    Order.LAST_ADDED: "last_added",
    Order.ADDED_BEFORE: "last_added_back",
}
"""of search.sql"""

_STARTS: Final = {Order.NEWEST: (_LAST, 0), Order.LAST_ADDED: (0, _LAST)}
"""time and id before those of any image"""

_DAY: Final = 86_400
_FOREVER: Final = 2**62
"""seconds: beyond every time that a file can have"""
_YEARS: Final = (1, 9998)
"""that a date can have; EXIF may name any number of seconds"""

_Row = tuple[int, int, str, int, tuple[str, ...]]
"""row, image id, path, time, paths of the same shot"""


def newest(library: Library, page: schemas.Page, filters: Filters, generation: str) -> schemas.SearchResponse:
    """
    Return the newest images that pass the filters, or those that a cursor names; with cursors all of them can be reached.

    Those that were registered last, where that is the `sort` of the page.
    """
    filters = filter_checks.checked(library.catalogue, filters)
    forward, backward = (orders[page.sort or Sort.DATE] for orders in (_FORWARD, _BACK))
    cursor = Cursor.parse(page.cursor, forward, backward) if page.cursor else None
    back = cursor is not None and cursor.order is backward
    browsed = _browse(library, page, cursor or Cursor(forward, 0, *_STARTS[forward]), filters)
    rows = _first(browsed, page.offset + page.k + 1)[page.offset :]
    more = len(rows) > page.k
    rows = rows[: page.k]
    before = cursor.count if cursor else page.offset
    if back:
        rows.reverse()
        # What was added since moves the numbers; no picture is shown twice for it.
        before = max(0, before - len(rows))
    hits = [
        Hit(0, path, math.nan, image_id, row, same_shot=others, because=(), time=suffixes.frame_time(path))
        for row, image_id, path, _, others in rows
    ]
    merged = library.merged_rows
    known = responses.hit_metadata(library, [hit.image_id for hit in hits])
    return responses.empty(Query(()), page).model_copy(
        update={
            "hits": [hit.model_copy(update={"score": None}) for hit in responses.hits(known, hits, before)],
            "offset": before,
            "more": more or back,
            "next": str(Cursor(forward, before + len(rows), rows[-1][3], rows[-1][1]))
            if rows and (more or back)
            else None,
            "previous": str(Cursor(backward, before, rows[0][3], rows[0][1]))
            if rows and (more if back else cursor is not None)
            else None,
            "remark": None if rows else "No image passes the filters." if merged else "Nothing is embedded yet.",
            "rows": merged,
            "generation": generation,
        }
    )


def months(library: Library) -> count_schemas.Timeline:
    """Return the months that have images, the newest first."""
    return _timeline(_months(library))


def timeline(library: Library, filters: Filters, columns: Columns | None) -> count_schemas.Timeline:
    """Return the months that have images that pass the filters, the newest first; raises InvalidFilter for a field that no list keeps."""
    return _timeline(_days(library, filters, columns))


def _timeline(counts: Mapping[tuple[int, int], int]) -> count_schemas.Timeline:
    found: list[count_schemas.Month] = []
    before = 0
    for (year, month), count in sorted(counts.items(), reverse=True):
        # Behind the last id of the instant at which the month has ended.
        end = _FOREVER if year == _YEARS[1] else _start_of(year, month + 1)
        cursor = Cursor(Order.NEWEST, before, end, schemas.MAX_ID)
        found.append(count_schemas.Month(month=f"{year:04}-{month:02}", count=count, cursor=str(cursor)))
        before += count
    return count_schemas.Timeline(count=before, months=found)


def _months(library: Library) -> dict[tuple[int, int], int]:
    """Count the images of each month, from one month that has some to the next: a million take 0.2 s so, and 2 s one by one."""
    found: dict[tuple[int, int], int] = {}
    catalogue = library.catalogue
    end = _FOREVER
    while (time := catalogue.value("newest_before", "search.sql", before=end)) is not None:
        year, month = _month_of(time // _DAY)
        start = -_FOREVER if year == _YEARS[0] else _start_of(year, month)
        found[year, month] = catalogue.value("count_between", "search.sql", **{"from": start, "to": end})
        end = start
    return found


def _days(library: Library, filters: Filters, columns: Columns | None) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    days: Iterable[tuple[int, int]]
    if columns is None:
        filters = filter_checks.checked(library.catalogue, filters)
        days = library.catalogue.rows("days", "search.sql", **_parameters(library, filters))
    else:
        days = zip(*(part.tolist() for part in columns.days(columns.passing(library, filters))), strict=True)
    for day, count in days:
        found[_month_of(day)] += count
    return found


def _parameters(library: Library, filters: Filters) -> dict[str, Any]:
    return {**filters.parameters(), "candidates": where.candidates(library.catalogue, filters.where)}


def _month_of(day: int) -> tuple[int, int]:
    """Return year and month of a day since 1970; of one that no date can have, those of the nearest."""
    first, last = dt.date(_YEARS[0], 1, 1), dt.date(_YEARS[1], 12, 31)
    epoch = dt.date(1970, 1, 1).toordinal()
    date = dt.date.fromordinal(min(max(day + epoch, first.toordinal()), last.toordinal()))
    return date.year, date.month


def _start_of(year: int, month: int) -> int:
    """Return the first second of a month since 1970; month 13 is January of the next year."""
    return calendar.timegm((year + (month - 1) // 12, (month - 1) % 12 + 1, 1, 0, 0, 0))


def _first(rows: Iterator[_Row], count: int) -> list[_Row]:
    return [row for row, _ in zip(rows, range(count), strict=False)]


def _browse(library: Library, page: schemas.Page, cursor: Cursor, filters: Filters) -> Iterator[_Row]:
    """Yield the images that pass the filters behind a cursor, in its order."""
    key, last = cursor.key, cursor.image_id
    statement, by_time = _STATEMENTS[cursor.order], cursor.order in (Order.NEWEST, Order.NEWER)
    # Of a shot with RAW and JPEG one is left out, of a video all frames but one.
    limit = (page.offset + page.k + 1) * (1 if page.each_file else 2)
    parameters = _parameters(library, filters)
    while True:
        rows = list(library.catalogue.rows(statement, "search.sql", limit=limit, key=key, id=last, **parameters))
        paths = [] if page.each_file else [path for _, _, path, _ in rows]
        shots_of = shots.beside(library.catalogue, paths, filters)
        first_frames = moments.first_frames(library.catalogue, paths, filters)
        for row, image_id, path, time in rows:
            if first_frames.get(path, image_id) != image_id:
                continue
            others = [file for file in shots_of.get(path, ()) if file.image_id != image_id]
            # The first file of a shot, in this order, stands for all of it, on whatever page.
            if all(
                (-time, image_id) < (-file.time, file.image_id) if by_time else image_id > file.image_id
                for file in others
            ):
                yield row, image_id, path, time, tuple(file.path for file in others)
        if len(rows) < limit:
            return
        key, last = rows[-1][3], rows[-1][1]
