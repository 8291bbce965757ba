"""
The images of a library with their embeddings, for other programs: one by one, as arrays, as a table.

Owns the names of the columns. Reads only, in constant memory but for what is returned. Files for other programs: `export_file`.
"""

import dataclasses
import datetime as dt
import itertools
import json
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float16, int64
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.library import fields
from pixfind.library.library import Library

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image that has an embedding."""

    image_id: int
    """never changes, and is never given to another image"""
    path: str
    embedding: NDArray[float16]
    """[d], unit length"""
    duplicate: bool
    """another image has the same bytes and shares the embedding"""
    size: int
    """bytes"""
    modified: dt.datetime
    """of the file, UTC"""
    width: int | None
    """pixels, upright"""
    height: int | None
    taken: dt.datetime | None
    """EXIF: local time of the camera where it named no offset, else UTC; without a time zone"""
    camera: str | None
    latitude: float | None
    """degrees, north positive"""
    longitude: float | None
    """degrees, east positive"""
    added: dt.datetime | None
    """when it was registered, UTC; None: by a version that did not keep it"""
    labels: tuple[str, ...]
    """in the order in which their owner has written them"""
    fields: Mapping[str, str] = field(default_factory=dict)
    """what lists say of it, in the columns that they keep"""


COLUMNS = tuple(column.name for column in dataclasses.fields(ImageRecord) if column.name not in ("embedding", "fields"))
"""Of a table; `embedding` is one more where it was asked for, and so is each field of the lists (`field_columns`)."""


def field_columns(library: Library) -> dict[str, str]:
    """Return the columns of a table for the fields of the lists: column -> name of the field."""
    return {f"field.{name}": name for name in fields.names(library.catalogue)}


def images(library: Library) -> Iterator[ImageRecord]:
    """Yield the images that are there and whose embedding is merged, in the order of their ids; raises NotEmbedded."""
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    embeddings = library.embeddings()
    said = _fields(library)
    for image_id, path, row, outcome, size, mtime_ns, width, height, taken_at, *place in library.catalogue.rows(
        "exported_images", "export.sql", rows=len(embeddings)
    ):
        camera, latitude, longitude, added_at, labelled = place
        yield ImageRecord(
            image_id=image_id,
            path=path,
            embedding=np.array(embeddings[row]),
            duplicate=outcome == "duplicate",
            size=size,
            modified=dt.datetime.fromtimestamp(mtime_ns / 1e9, dt.UTC),
            width=width or None,
            height=height or None,
            taken=_instant(taken_at),
            camera=camera or None,
            latitude=latitude,
            longitude=longitude,
            added=None if added_at is None else dt.datetime.fromtimestamp(added_at, dt.UTC),
            labels=tuple(json.loads(labelled)),
            fields=said(image_id),
        )


def _fields(library: Library) -> Callable[[int], dict[str, str]]:
    """Return a function from image ids, given in their order, to the fields of the image."""
    rows = itertools.groupby(library.catalogue.rows("all", "fields.sql"), key=operator.itemgetter(0))
    found: tuple[int, dict[str, str]] = (0, {})

    def of(image_id: int) -> dict[str, str]:
        nonlocal found
        while found[0] < image_id:
            following, group = next(rows, (sys.maxsize, ()))
            found = following, {name: value for _, name, value in group}
        return found[1] if found[0] == image_id else {}

    return of


def to_numpy(library: Library) -> tuple[NDArray[int64], list[str], NDArray[float16]]:
    """Return the ids [n], the paths and the embeddings [n, d] of the images; raises NotEmbedded."""
    records = list(images(library))
    ids = np.array([record.image_id for record in records], dtype=int64)
    rows = np.array([record.embedding for record in records], dtype=float16).reshape(len(records), library.dimension)
    return ids, [record.path for record in records], rows


def to_pandas(library: Library, *, embeddings: bool = True) -> "pd.DataFrame":
    """
    Return a data frame with a row for each image, indexed by `image_id`.

    The column `embedding` holds one array [d] a row. Raises NotEmbedded, ExtraNotInstalled without pandas.
    """
    pandas = machine.optional_package("pandas", "pandas", "a data frame")
    columns = field_columns(library)
    table = pandas.DataFrame(
        (_values(record, columns, embeddings=embeddings) for record in images(library)),
        columns=[*COLUMNS, *columns, *(["embedding"] if embeddings else [])],
    )
    return table.set_index("image_id")


def _values(record: ImageRecord, columns: Mapping[str, str], *, embeddings: bool) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in COLUMNS}
    values |= {column: record.fields.get(name) for column, name in columns.items()}
    return {**values, "embedding": record.embedding} if embeddings else values


def _instant(seconds: int | None) -> dt.datetime | None:
    if seconds is None:
        return None
    try:
        return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)  # noqa: DTZ001  cameras know no zone
    except OverflowError:
        return None
