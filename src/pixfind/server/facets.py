"""
What the images of a result have in common: cameras, shapes, years, kinds, folders, with counts.

Owns how they are counted: by the columns in memory, or in the catalogue of a library that is too large for them. Must not know HTTP.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixfind.library import labels, path_text
from pixfind.library.library import Library
from pixfind.search import filter_checks
from pixfind.search.filters import NO_FILTERS, Filters
from pixfind.server import count_schemas
from pixfind.server.columns import SHAPES, Columns

_MAX_VALUES: Final = 50
"""of each facet: a list that nobody reads to its end"""

_Row = tuple[str, str, str, str, int]
"""camera, shape, year, suffix, count"""


def count(library: Library, filters: Filters, columns: Columns | None) -> count_schemas.Facets:
    """Count the images that pass the filters; raises InvalidFilter for a field that no list keeps."""
    filters = filter_checks.checked(library.catalogue, filters)
    if columns is None:
        rows = library.catalogue.rows("facets", "search.sql", **filters.parameters())
        return _facets(rows, _labels(library, filters, None), ranked=False)
    passing = columns.passing(library, filters)
    return count_schemas.Facets(
        count=len(columns.ids) if passing is None else int(passing.sum()),
        ranked=False,
        cameras=_named(columns.camera_names, columns.count(columns.cameras, passing, len(columns.camera_names))),
        shapes=_named(SHAPES, columns.count(columns.shapes, passing, len(SHAPES))),
        years=_years(*columns.days(passing)),
        labels=_labels(library, filters, None),
        kinds=_named(columns.kind_names, columns.count(columns.kinds, passing, len(columns.kind_names))),
    )


def count_of(library: Library, ids: Sequence[int]) -> count_schemas.Facets:
    """Count some images."""
    rows = library.catalogue.rows("facets_of", "search.sql", ids=json.dumps(ids))
    return _facets(rows, _labels(library, NO_FILTERS, ids), ranked=True)


def _labels(library: Library, filters: Filters, ids: Sequence[int] | None) -> list[count_schemas.FacetValue]:
    """Return how many images that pass the filters have which label, or those of `ids`."""
    if not labels.names(library.catalogue):
        return []
    named = None if ids is None else json.dumps(ids)
    return _values(
        Counter(dict(library.catalogue.all_rows("label_facet", "search.sql", ids=named, **filters.parameters())))
    )


def _facets(rows: Iterable[_Row], labelled: list[count_schemas.FacetValue], *, ranked: bool) -> count_schemas.Facets:
    cameras: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    years: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    total = 0
    for camera, shape, year, suffix, number in rows:
        total += number
        for counter, value in ((cameras, camera), (shapes, shape), (years, year), (kinds, _kind(suffix))):
            if value:
                counter[value] += number
    return count_schemas.Facets(
        count=total,
        ranked=ranked,
        cameras=_values(cameras),
        shapes=_values(shapes),
        years=_values(years),
        labels=labelled,
        kinds=_values(kinds),
    )


def folders(library: Library, filters: Filters, below: str | None, columns: Columns | None) -> count_schemas.Folders:
    """
    Return the folders that lie in `below` and have images that pass the filters, or the roots. Paths are texts as in `path_text`.

    Raises InvalidFilter for a field that no list keeps.
    """
    if below is None:
        found = _roots(library, filters, columns)
        return count_schemas.Folders(
            folders=[count_schemas.Folder(path=path, name=path, count=number) for path, number in found]
        )
    parent = below.rstrip("/") + "/"
    first, last = path_text.range_below(path_text.from_text(parent))
    if columns is None:
        filters = filter_checks.checked(library.catalogue, filters)
        rows = library.catalogue.all_rows(
            "folders_below", "search.sql", first=first, last=last, start=len(first) + 1, **filters.parameters()
        )
    else:
        rows = _below(columns, columns.passing(library, filters), first)
    return count_schemas.Folders(
        folders=[count_schemas.Folder(path=parent + name, name=name, count=number) for name, number in rows]
    )


def _roots(library: Library, filters: Filters, columns: Columns | None) -> list[tuple[str, int]]:
    """Return the roots that have images that pass the filters, and how many each has."""
    if columns is None:
        filters = filter_checks.checked(library.catalogue, filters)
        rows = library.catalogue.all_rows("folders_of_roots", "search.sql", **filters.parameters())
        return [(path, number) for path, number in rows if number]
    roots = library.catalogue.all_rows("roots", "scan.sql")
    size = max((root[0] for root in roots), default=0) + 1
    counts = columns.count(columns.roots, columns.passing(library, filters), size)
    return sorted((path, int(counts[root_id])) for root_id, path, *_ in roots if counts[root_id])


def _below(columns: Columns, passing: NDArray[Any] | None, parent: str) -> list[tuple[str, int]]:
    """Return the folders in `parent`, a text that ends with its separator, and how many passing images lie below each."""
    counts = columns.count(columns.folders, passing, len(columns.folder_names))
    found: Counter[str] = Counter()
    for place in np.flatnonzero(counts).tolist():
        path = columns.folder_names[place]
        if path.startswith(parent) and (name := path[len(parent) :].partition("/")[0]):
            found[name] += int(counts[place])
    return sorted(found.items())


def _named(names: Sequence[str], counts: NDArray[Any]) -> list[count_schemas.FacetValue]:
    return _values(Counter({name: int(counts[place]) for place, name in enumerate(names) if name and counts[place]}))


def _years(days: NDArray[Any], counts: NDArray[Any]) -> list[count_schemas.FacetValue]:
    found: Counter[str] = Counter()
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    for year, number in zip(years.tolist(), counts.tolist(), strict=True):
        # As in SQLite, whose dates have no others.
        if 0 <= year <= 9999:  # noqa: PLR2004
            found[f"{year:04}"] += number
    return _values(found)


def joined(several: Iterable[Sequence[count_schemas.FacetValue]]) -> list[count_schemas.FacetValue]:
    """Return the values of several libraries as one list. Of a value that is rare in one of them its images there may be left out: each names its most frequent ones."""
    counter: Counter[str] = Counter()
    for values in several:
        for each in values:
            counter[each.value] += each.count
    return _values(counter)


def _kind(suffix: str) -> str:
    """Return a suffix; nothing for a file without one, where a folder's dot was the last."""
    return "" if os.sep in suffix or "/" in suffix else suffix


def _values(counter: Counter[str]) -> list[count_schemas.FacetValue]:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return [count_schemas.FacetValue(value=value, count=number) for value, number in ordered[:_MAX_VALUES]]
