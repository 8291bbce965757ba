"""
The similarity map of a library, for the screen: images that lie close together there as one group.

Owns what stands for each group. Must not know HTTP, how a map is drawn, or how it was made.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search.filters import Filters
from pixfind.server import clusters, columns, count_schemas
from pixfind.server.columns import Columns

_DECIMALS: Final = 6


def groups(
    library: Library, filters: Filters, view: count_schemas.SimilarityView, read: Columns | None
) -> count_schemas.SimilarityGroups:
    """
    Return the groups in a part of the map, of the images that pass the filters.

    Raises InvalidFilter for a field that no list keeps, LibraryTooLargeForMap, and NoSimilarityMap.
    """
    if read is None:
        raise errors.LibraryTooLargeForMap(limit=columns.MAX_IMAGES)
    if read.points is None:
        raise errors.NoSimilarityMap(
            detail="none has been made for this library yet",
            advice=f"It is made with the index, of at least ten images: pip install 'pixfind[map]', then pixfind --library {library.path} index",
        )
    chosen = ~np.isnan(read.points[:, 0])
    passing = read.passing(library, filters)
    if passing is not None:
        chosen &= passing
    images = np.flatnonzero(chosen)
    points = read.points[images].astype(np.float64)
    bounds = None
    if len(images):
        (left, top), (right, bottom) = (
            corner.round(_DECIMALS).tolist() for corner in (points.min(axis=0), points.max(axis=0))
        )
        bounds = count_schemas.Box(left=left, top=top, right=right, bottom=bottom)
    across, down = points.T
    seen = (across >= view.left) & (across <= view.right) & (down >= view.top) & (down <= view.bottom)
    return count_schemas.SimilarityGroups(
        count=len(images),
        in_view=int(seen.sum()),
        bounds=bounds,
        groups=_groups(read.ids[images[seen]], points[seen], view.zoom),
    )


def _groups(ids: NDArray[np.int64], points: NDArray[np.float64], zoom: int) -> list[count_schemas.SimilarityGroup]:
    """Return the groups with the most images; the image nearest to the middle stands for each."""
    if not len(ids):
        return []
    found = clusters.clusters(points * clusters.WORLD_PIXELS * 2**zoom, zoom)
    ids, points, found = ids[found >= 0], points[found >= 0], found[found >= 0]
    counts = np.bincount(found)
    middles = np.stack([np.bincount(found, weights=part) / counts for part in points.T], axis=1)
    away = np.hypot(*(points - middles[found]).T)
    # The nearest of each group comes first.
    order = np.lexsort((ids, away, found))
    _, firsts = np.unique(found[order], return_index=True)
    typical = order[firsts]
    reach = np.zeros(len(counts))
    np.maximum.at(reach, found, away)
    return [
        count_schemas.SimilarityGroup(
            x=round(float(middles[group, 0]), _DECIMALS),
            y=round(float(middles[group, 1]), _DECIMALS),
            reach=round(float(reach[group]), _DECIMALS),
            count=int(counts[group]),
            image_id=int(ids[typical[group]]),
        )
        for group in np.argsort(-counts, kind="stable").tolist()
    ]
