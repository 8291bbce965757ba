"""
Where the images of a library were taken, for a map: those that lie close together on the screen as one place.

Owns what stands for each place. Must not know HTTP or how a map is drawn.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library.library import Library
from pixfind.search.filters import Filters
from pixfind.server import clusters, columns, count_schemas
from pixfind.server.columns import Columns, kilometres

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
    Return the places in a part of the world: what lies close together on the screen is one.

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


def _pixels(latitudes: _Floats, longitudes: _Floats, zoom: int) -> _Floats:
    """Return where points lie on the map of the whole world in pixels [n, 2]."""
    world = float(clusters.WORLD_PIXELS * 2**zoom)
    bounded = np.radians(np.clip(latitudes, -_MAX_LATITUDE, _MAX_LATITUDE))
    down = (1 - np.arcsinh(np.tan(bounded)) / math.pi) / 2
    points: _Floats = np.stack([(longitudes + 180) / 360, down], axis=1) * world
    return points


def _places(read: Columns, images: NDArray[np.int64], coordinates: _Floats, zoom: int) -> list[count_schemas.Place]:
    """Return the places with the most images; the newest image stands for each."""
    if not len(images):
        return []
    latitudes, longitudes = coordinates.T
    places = clusters.clusters(_pixels(latitudes, longitudes, zoom), zoom)
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
    points = _pixels(
        np.array([place.latitude for place in ordered]), np.array([place.longitude for place in ordered]), zoom
    )
    kept: list[count_schemas.Place] = []
    at: list[int] = []
    for number, place in enumerate(ordered[: clusters.MAX_CLUSTERS]):
        near = np.flatnonzero(np.hypot(*(points[at] - points[number]).T) < clusters.APART_PIXELS)
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
