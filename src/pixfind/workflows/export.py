"""
The images of a library with their embeddings, for other programs: one by one, as arrays, as a table.

Owns the names of the columns. Reads only, in constant memory but for what is returned. Files for other programs: `export_file`.
"""

import datetime as dt
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float16, int64
from numpy.typing import NDArray

from pixfind import errors
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


COLUMNS = tuple(field.name for field in fields(ImageRecord) if field.name != "embedding")
"""Of a table; `embedding` is one more where it was asked for."""


def images(library: Library) -> Iterator[ImageRecord]:
    """Yield the images that are there and whose embedding is merged, in the order of their ids; raises NotEmbedded."""
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    embeddings = library.embeddings()
    for image_id, path, row, outcome, size, mtime_ns, width, height, taken_at, *place in library.catalogue.rows(
        "exported_images", "export.sql", rows=len(embeddings)
    ):
        camera, latitude, longitude = place
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
        )


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
    pandas = optional_package("pandas", "pandas", "a data frame")
    table = pandas.DataFrame(
        (_values(record, embeddings=embeddings) for record in images(library)),
        columns=[*COLUMNS, *(["embedding"] if embeddings else [])],
    )
    return table.set_index("image_id")


def _values(record: ImageRecord, *, embeddings: bool) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in COLUMNS}
    return {**values, "embedding": record.embedding} if embeddings else values


def _instant(seconds: int | None) -> dt.datetime | None:
    if seconds is None:
        return None
    try:
        return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)  # noqa: DTZ001  cameras know no zone
    except OverflowError:
        return None


def optional_package(package: str, extra: str, what: str) -> Any:
    """Import the package of an extra; raises ExtraNotInstalled."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise errors.ExtraNotInstalled(what=what, package=package, extra=extra) from error
