"""
Where the images of a library were taken, for a map: those that lie close together on the screen as one place.

Owns the cells and what stands for each. Must not know HTTP or how a map is drawn.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search.filters import Filters
from pixfind.server import columns, count_schemas
from pixfind.server.columns import Columns, kilometres

_MAX_PLACES: Final = 1_000
"""that one response has, those with the most images"""

_CELL_PIXELS: Final = 80
_APART_PIXELS: Final = 60
"""between two places, whose pictures are 56 pixels wide"""
_WORLD_PIXELS: Final = 256
"""what the world is wide at zoom 0, as every map on the web has it"""
_MAX_LATITUDE: Final = 85.05112878
"""degrees at which Mercator's map ends"""
_MIN_KM: Final = 0.05
"""of a place: cameras do not know it better"""
_SLACK: Final = 1.001
"""so that images at the edge of a place are in the circle around it"""

_Floats = NDArray[np.float64]


def places(
    library: Library, filters: Filters, view: count_schemas.MapView, read: Columns | None
) -> count_schemas.Places:
    """
    Return the places in a part of the world, at most one for each cell of 80 pixels of the map.

    Raises InvalidFilter for a field that no list keeps, and LibraryTooLargeForMap.
    """
    if read is None:
        raise errors.LibraryTooLargeForMap(limit=columns.MAX_IMAGES)
    passing = read.passing(library, filters)
    chosen = np.ones(len(read.located), np.bool_) if passing is None else passing[read.located]
    coordinates = read.coordinates[chosen]
    located = read.located[chosen]
    bounds = None
    if len(located):
        (south, west), (north, east) = coordinates.min(axis=0).tolist(), coordinates.max(axis=0).tolist()
        bounds = count_schemas.Bounds(west=west, south=south, east=east, north=north)
    latitudes, longitudes = coordinates.T
    seen = (latitudes >= view.south) & (latitudes <= view.north) & (longitudes >= view.west) & (longitudes <= view.east)
    return count_schemas.Places(
        count=len(located),
        bounds=bounds,
        in_view=int(seen.sum()),
        places=_places(read, located[seen], coordinates[seen], view.zoom),
    )


def _cells(latitudes: _Floats, longitudes: _Floats, zoom: int) -> tuple[NDArray[np.int64], _Floats]:
    """
    Return the number of the cell in which each point lies [n], and where the points lie on the map in pixels [n, 2].

    Cells are those of the whole world, so that moving a map moves no place.
    """
    world = float(_WORLD_PIXELS * 2**zoom)
    bounded = np.radians(np.clip(latitudes, -_MAX_LATITUDE, _MAX_LATITUDE))
    points = np.stack(
        [(longitudes + 180) / 360 * world, (1 - np.arcsinh(np.tan(bounded)) / math.pi) / 2 * world], axis=1
    )
    across, down = np.floor(points / _CELL_PIXELS).astype(np.int64).T
    cells: NDArray[np.int64] = down * (math.ceil(world / _CELL_PIXELS) + 1) + across
    return cells, points


def _merged(cells: NDArray[np.int64], points: _Floats) -> NDArray[np.int64]:
    """
    Return the place of each point [n], from 0 on; -1 for those in no place, because there are too many.

    Cells whose middles are so close that their pictures would lie over each other are one place: that of the larger one.
    """
    _, places, counts = np.unique(cells, return_inverse=True, return_counts=True)
    middles = np.stack([np.bincount(places, weights=part) / counts for part in points.T], axis=1)
    merged = np.full(len(counts), -1, np.int64)
    kept = np.zeros((0, 2))
    for cell in np.argsort(-counts, kind="stable")[:_MAX_PLACES].tolist():
        near = np.flatnonzero(np.hypot(*(kept - middles[cell]).T) < _APART_PIXELS)
        if len(near):
            merged[cell] = near[0]
        else:
            merged[cell] = len(kept)
            kept = np.vstack([kept, middles[cell]])
    return merged[places]


def _places(read: Columns, images: NDArray[np.int64], coordinates: _Floats, zoom: int) -> list[count_schemas.Place]:
    """Return the places with the most images; the newest image stands for each."""
    if not len(images):
        return []
    latitudes, longitudes = coordinates.T
    places = _merged(*_cells(latitudes, longitudes, zoom))
    images, coordinates, places = images[places >= 0], coordinates[places >= 0], places[places >= 0]
    counts = np.bincount(places)
    middle = np.stack([np.bincount(places, weights=part) / counts for part in coordinates.T], axis=1)
    km = np.zeros(len(counts))
    np.maximum.at(km, places, kilometres(coordinates, middle[places]))
    # The last of each place in the order of times.
    newest = np.zeros(len(counts), np.int64)
    order = np.argsort(read.times[images], kind="stable")
    newest[places[order]] = read.ids[images[order]]
    return [
        count_schemas.Place(
            latitude=round(float(middle[place, 0]), 6),
            longitude=round(float(middle[place, 1]), 6),
            km=round(max(_MIN_KM, float(km[place]) * _SLACK), 4),
            count=int(counts[place]),
            image_id=int(newest[place]),
        )
        for place in np.argsort(-counts, kind="stable")
    ]


def joined(several: Sequence[count_schemas.Place], zoom: int) -> list[count_schemas.Place]:
    """Return the places of several libraries as one list, in which those that would lie over each other are one; the newest image of the larger stands for it."""
    ordered = sorted(several, key=lambda place: -place.count)
    if not ordered:
        return []
    _, points = _cells(
        np.array([place.latitude for place in ordered]), np.array([place.longitude for place in ordered]), zoom
    )
    kept: list[count_schemas.Place] = []
    at: list[int] = []
    for number, place in enumerate(ordered[:_MAX_PLACES]):
        near = np.flatnonzero(np.hypot(*(points[at] - points[number]).T) < _APART_PIXELS)
        if not len(near):
            kept.append(place)
            at.append(number)
            continue
        larger = kept[near[0]]
        away = kilometres(np.array([[larger.latitude, larger.longitude]]), np.array([place.latitude, place.longitude]))
        kept[near[0]] = larger.model_copy(
            update={"count": larger.count + place.count, "km": max(larger.km, float(away[0]) + place.km)}
        )
    return sorted(kept, key=lambda place: -place.count)


def around(several: Sequence[count_schemas.Bounds]) -> count_schemas.Bounds | None:
    """Return the part of the world that has all of several; None for none."""
    if not several:
        return None
    return count_schemas.Bounds(
        west=min(each.west for each in several),
        south=min(each.south for each in several),
        east=max(each.east for each in several),
        north=max(each.north for each in several),
    )
