"""
Answers of another `pixfind serve`, read and checked.

Owns what an answer must be beyond its types, so that whoever joins it with others meets nothing that fails: any server may be at an address.
Every function raises ValueError. Must not know how an answer came.
"""

import datetime as dt
import math
from typing import Final, TypeVar

import pydantic_core
from pydantic import BaseModel

from pixfind import errors
from pixfind.collection import ids
from pixfind.server import count_schemas, schemas, status_schemas
from pixfind.server.cursors import Cursor, Order

M = TypeVar("M", bound=BaseModel)

_NORTH, _EAST = 90.0, 180.0
_MAX_COUNT: Final = 2**63 - 1


def read(model: type[M], data: bytes) -> M:
    """Return an answer of this model."""
    made = model.model_validate_json(data)
    match made:
        case schemas.SearchResponse():
            for hit in made.hits:
                _check_hit(hit)
        case schemas.Failures():
            _check_ids(*(each.image_id for each in made.failures))
        case schemas.Selection():
            _check_ids(*(each.image_id for each in made.unavailable))
        case count_schemas.Timeline():
            for month in made.months:
                _check_month(month)
        case count_schemas.Places():
            for place in made.places:
                _check_place(place)
            if made.bounds is not None:
                _check_degrees(made.bounds.south, made.bounds.west)
                _check_degrees(made.bounds.north, made.bounds.east)
    return made


def status(data: bytes) -> status_schemas.Status:
    """Return a status. What a newer pixfind adds to it is left out."""
    # Not the parser of the standard library, which lets surrogates through that no answer of ours may have.
    values = pydantic_core.from_json(data)
    if not isinstance(values, dict):
        raise ValueError("a status is an object")  # noqa: TRY004  one error for all that is wrong
    # An older server does not tell its images apart from its rows.
    values.setdefault("searchable_images", values.get("searchable_rows"))
    made = status_schemas.Status.model_validate(
        {name: values[name] for name in status_schemas.Status.model_fields if name in values}
    )
    _check_counts(*made.images.values(), *made.failures.values(), made.merged_rows, made.index_rows)
    _check_counts(made.searchable_rows, made.searchable_images, made.bytes, made.free_bytes)
    return made


def _check_hit(hit: schemas.Hit) -> None:
    _check_ids(hit.image_id, *(one.image_id for one in hit.stack))
    if hit.date is not None and dt.datetime.fromisoformat(hit.date).tzinfo is not None:
        raise ValueError("the date of a hit has a time zone")


def _check_ids(*image_ids: int) -> None:
    if not all(ids.is_of_library(each) for each in image_ids):
        raise ValueError("an id is out of range")


def _check_counts(*counts: int) -> None:
    if not all(0 <= count <= _MAX_COUNT for count in counts):
        raise ValueError("a count is out of range")


def _check_month(month: count_schemas.Month) -> None:
    _check_counts(month.count)
    try:
        Cursor.parse(month.cursor, Order.NEWEST)
    except errors.InvalidRequest as error:
        raise ValueError(str(error)) from error


def _check_place(place: count_schemas.Place) -> None:
    _check_ids(place.image_id)
    _check_degrees(place.latitude, place.longitude)
    if not 0 <= place.km < math.inf:
        raise ValueError("a radius is out of range")


def _check_degrees(latitude: float, longitude: float) -> None:
    if not (abs(latitude) <= _NORTH and abs(longitude) <= _EAST):
        raise ValueError("a place is not in this world")
