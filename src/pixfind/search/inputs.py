"""
What a program may hand over as a query or a picture: texts, paths, bytes, Pillow images, pixels, embeddings.

Owns the checks and how each becomes an embedding. Must not know the library.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy import float32, uint8
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pixfind import errors
from pixfind.images import decode, source
from pixfind.images.decode.problems import check_size
from pixfind.search import query
from pixfind.search.encoders import Encoders, unit_rows
from pixfind.search.query import Query
from pixfind.search.query_vector import valid_unicode
from pixfind.types import Sort

PathLike = str | os.PathLike[str]

Picture = PathLike | bytes | Image.Image | NDArray[uint8]
"""A file's name, a file's bytes, a picture, or its pixels: [height, width, 3], [height, width, 4] with opacity, or grey [height, width]."""

Wanted = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any] | Query
"""
What a hit should show: a query (the language of docs/reference/query-language.md), the path object of an image file, a file's bytes, a
picture, pixels of uint8 ([height, width, 3] or grey [height, width]), or an embedding [d] of floats.
"""

NOTHING = Query(())
"""The query that asks for nothing: the newest images that pass the filters. None is a mistake of a program."""

_MAX_PIXELS = int(decode.DEFAULT_MEGAPIXELS * 1e6)
"""as for files: what is larger takes gigabytes while it is converted"""

_CHANNELS = {3, 4}
"""of an array of pixels that is not grey"""


@dataclass(slots=True)
class QueryParts:
    """The parts of a query, sorted by kind."""

    queries: list[Query] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    vectors: list[NDArray[Any]] = field(default_factory=list)

    @classmethod
    def of(cls, wanted: Wanted | Iterable[Wanted]) -> "QueryParts":
        """Sort one part, or several; raises InvalidQuery, for an empty list too."""
        parts = cls()
        listed = (
            [wanted]
            if isinstance(wanted, str | os.PathLike | bytes | Image.Image | np.ndarray | Query)
            else as_list(wanted, "query")
        )
        for each in listed:
            match each:
                case Query():
                    parts.queries.append(each)
                case str():
                    parts.queries.append(query.parse(each))
                case np.ndarray() if each.ndim != 3 and not (each.ndim == 2 and each.dtype == uint8):  # noqa: PLR2004  pixels
                    parts.vectors.append(each)
                case _:
                    parts.pictures.append(each)
        if not listed:
            query.parse("")  # which refuses it in its own words
        return parts

    def query(self) -> Query:
        terms = tuple(term for each in self.queries for term in each.terms)
        return Query(terms, " ".join(filter(None, (each.source for each in self.queries))))

    def vectors_with(self, encoders: Callable[[], Encoders]) -> list[NDArray[float32]]:
        """Return the unit rows [d] of its embeddings and pictures; `encoders` is asked where there are any. Raises InvalidVector, ImageProblem."""
        if not self.vectors and not self.pictures:
            return []
        using = encoders()
        rows = [unit_row(vector, using.dimension) for vector in self.vectors]
        return rows + [encode_picture(using, picture) for picture in self.pictures]


def encode_texts(encoders: Callable[[], Encoders], texts: str | Iterable[str]) -> NDArray[float32]:
    """Return the unit embedding [d] of a text, [n, d] of several; `encoders` is asked once they are known to be texts."""
    rows = encoders().encode_texts([valid_unicode(text) for text in as_texts(texts, "text")])
    return rows[0] if isinstance(texts, str) else rows


def to_sort(name: Sort | str) -> Sort:
    """Return an order by its name; raises InvalidFilter."""
    try:
        return Sort(name)
    except ValueError:
        raise errors.InvalidFilter(option="sort", value=name, detail=f"there are {', '.join(Sort)}") from None


def as_list(several: object, what: str) -> list[Any]:
    if not isinstance(several, Iterable):
        message = f"{type(several).__name__} is no {what}, and no list of them"
        raise TypeError(message)
    return list(several)


def as_texts(given: str | Iterable[str], what: str) -> list[str]:
    """Return one text as a list, and several as they are; raises TypeError for anything else."""
    listed = [given] if isinstance(given, str) else as_list(given, what)
    for each in listed:
        if not isinstance(each, str):
            message = f"{type(each).__name__} is no {what}"
            raise TypeError(message)
    return listed


def unit_row(vector: NDArray[Any], dimension: int) -> NDArray[float32]:
    """Return an embedding of a program as unit row [d]; raises InvalidVector."""
    numbers = np.issubdtype(vector.dtype, np.integer) or np.issubdtype(vector.dtype, np.floating)
    if not numbers or vector.shape != (dimension,) or not np.isfinite(vector).all() or not np.any(vector):
        raise errors.InvalidVector(shape=list(vector.shape), dimension=dimension)
    # Numbers of any size: float32 and the square of a length end long before float64 does.
    wide = vector.astype(np.float64)
    return unit_rows((wide / np.abs(wide).max()).astype(float32))


def encode_picture(encoders: Encoders, picture: Picture) -> NDArray[float32]:
    """Return the unit row [d] of one picture; raises ImageProblem, TooLarge for one with more pixels than a file may have."""
    match picture:
        case bytes():
            return encoders.encode_file(picture)
        case Image.Image():
            check_size(picture.size, _MAX_PIXELS)
            return encoders.encode_images([_rgb(picture)])[0]  # type: ignore[no-any-return]
        case np.ndarray():
            return encoders.encode_images([_rgb(_from_pixels(picture))])[0]  # type: ignore[no-any-return]
        case str() | os.PathLike():
            return encoders.encode_file(source.read(str(to_path(picture))).data)
    message = (
        f"{type(picture).__name__} is no picture: give a path, a file's bytes, a Pillow image or an array of uint8"
    )
    raise TypeError(message)


def _from_pixels(pixels: NDArray[Any]) -> Image.Image:
    """Return an array as picture; raises InvalidPixels, TooLarge."""
    grey = pixels.ndim == 2  # noqa: PLR2004  [height, width]
    fits = grey or (pixels.ndim == 3 and pixels.shape[2] in _CHANNELS)  # noqa: PLR2004  [height, width, channels]
    if pixels.dtype != uint8 or not fits or not pixels.size:
        raise errors.InvalidPixels(shape=list(pixels.shape), kind=pixels.dtype)
    check_size((pixels.shape[1], pixels.shape[0]), _MAX_PIXELS)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _rgb(picture: Image.Image) -> Image.Image:
    """Return a picture upright and in colour; raises Damaged for what Pillow cannot make of it."""
    if not all(picture.size):
        raise errors.Damaged(detail="a picture without pixels")
    try:
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise errors.Damaged(detail=str(error)) from error


def to_path(path: PathLike) -> Path:
    if not os.fspath(path):
        # Path("") is the working directory, which nobody means who writes it.
        message = "an empty string is no path; write '.' for the working directory"
        raise ValueError(message)
    return Path(path).expanduser()
