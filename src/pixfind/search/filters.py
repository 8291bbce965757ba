"""
Filters: which images may be hits, whatever the query.

Owns the meaning of the options and how they become parameters of the statements in sql/search.sql.
Pure: it opens no library. A filter on metadata that is unknown (no EXIF, never decoded) excludes the image.
"""

import calendar
import datetime as dt
import json
import math
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, TypedDict

from pixfind.errors import InvalidFilter
from pixfind.images import source
from pixfind.images.source import archives
from pixfind.library import path_text
from pixfind.search import dates
from pixfind.search.where import Condition, like
from pixfind.search.where import parse as parse_where

EARTH_KM = 6371.0088
"""mean radius of the Earth (IUGG)"""

MAX_LABELS: Final = 20
"""that one search asks for"""

_HALF_CIRCUMFERENCE_KM = 20_016.0


class Shape(StrEnum):
    """The aspect of a picture; up to 5 % more width than height, or the reverse, counts as square."""

    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"
    SQUARE = "square"


@dataclass(frozen=True, slots=True)
class GeoCircle:
    """A circle on the Earth."""

    latitude: float
    """degrees, north positive"""
    longitude: float
    """degrees, east positive"""
    km: float
    """radius"""


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that a hit must all meet. None: no such condition."""

    inside: str | None = None
    """path, or glob of paths; `*` matches across folders"""
    after: int | None = None
    """seconds since 1970, inclusive"""
    before: int | None = None
    """seconds since 1970, exclusive"""
    added_after: int | None = None
    """registered in the library: seconds since 1970, inclusive"""
    added_before: int | None = None
    """exclusive"""
    min_size: int | None = None
    """pixels that the shorter side has at least"""
    max_size: int | None = None
    """pixels that the longer side has at most"""
    shape: Shape | None = None
    camera: str | None = None
    """part of EXIF make and model, in any case"""
    near: GeoCircle | None = None
    where: tuple[Condition, ...] = ()
    """conditions on the fields that lists keep"""
    labels: tuple[str, ...] = ()
    """names of labels that a hit has, or with a minus before it, has not"""
    album: str | None = None
    """an album that the picture was put into"""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) not in (None, ()) for field in fields(self))

    @property
    def dated(self) -> bool:
        """Whether images are chosen by the time at which they were taken."""
        return self.after is not None or self.before is not None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the filters in sql/search.sql; `candidates`, those of `where.candidates`, may be set for a walk over all images."""
        near = self.near
        inside = None if self.inside is None else path_text.readable(self.inside)
        return {
            "inside": inside,
            "inside_folder": None if inside is None else inside.rstrip("/") + "/*",
            "inside_archive": None if inside is None else f"{inside}{archives.MARK}*",
            "after": self.after,
            "before": self.before,
            "added_after": self.added_after,
            "added_before": self.added_before,
            "min_size": self.min_size,
            "max_size": self.max_size,
            "shape": None if self.shape is None else str(self.shape),
            "camera": None if self.camera is None else f"%{like(self.camera)}%",
            "latitude": near and near.latitude,
            "longitude": near and near.longitude,
            "km": near and near.km,
            "candidates": None,
            "labels": json.dumps([[name.removeprefix("-"), name.startswith("-")] for name in self.labels])
            if self.labels
            else None,
            "album": self.album,
            "where": json.dumps([condition.values() for condition in self.where]) if self.where else None,
        }


NO_FILTERS = Filters()


class SearchFilters(TypedDict, total=False):
    """Which images may be hits; all must hold. The units are those of `search.filters.parse`."""

    inside: str
    """path, or glob of paths; `*` matches across folders"""
    after: str
    """taken on or after: "2021", "2021-05", "2021-05-17", "yesterday", "last summer" """
    before: str
    """taken before"""
    added_after: str
    """registered on or after"""
    added_before: str
    """registered before"""
    min_size: int
    """pixels that the shorter side has at least"""
    max_size: int
    """pixels that the longer side has at most"""
    shape: Shape | str
    """landscape, portrait or square"""
    camera: str
    """part of EXIF make and model, in any case"""
    near: str
    """"LATITUDE,LONGITUDE,KM" """
    where: str | Sequence[str]
    """conditions on fields that lists keep: "license=cc0", "width>1000" """
    label: str | Sequence[str]
    """labels that an image has, or with a minus has not: "beach", "-people" """
    album: str
    """an album that the image was put into"""


def parse(
    *,
    inside: str | None = None,
    after: str | None = None,
    before: str | None = None,
    added_after: str | None = None,
    added_before: str | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    shape: Shape | str | None = None,
    camera: str | None = None,
    near: str | None = None,
    where: str | Sequence[str] = (),
    label: str | Sequence[str] = (),
    album: str | None = None,
    now: dt.datetime | None = None,
) -> Filters:
    """
    Parse the values of the options; raises InvalidFilter, which names the option and what it accepts.

    Dates in words are counted from `now`, by the clock on the wall; None: from this moment.
    """
    for option, text in (
        ("--in", inside),
        ("--after", after),
        ("--before", before),
        ("--added-after", added_after),
        ("--added-before", added_before),
        ("--camera", camera),
        ("--near", near),
        ("--in-album", album),
    ):
        if not isinstance(text, str | None):
            raise InvalidFilter(option=option, value=text, detail="it takes a text")
    now = now or dates.now()
    made = Filters(
        inside=None if inside is None else _glob(inside),
        after=None if after is None else _taken("--after", after, now),
        before=None if before is None else _taken("--before", before, now),
        added_after=None if added_after is None else _happened("--added-after", added_after, now),
        added_before=None if added_before is None else _happened("--added-before", added_before, now),
        min_size=_pixels("--min-size", min_size),
        max_size=_pixels("--max-size", max_size),
        shape=None if shape is None else _shape(shape),
        camera=None if camera is None else _words("--camera", camera),
        near=None if near is None else _near(near),
        where=parse_where(_several("--where", where)),
        labels=_labels(_several("--label", label)),
        album=None if album is None else path_text.readable(album),
    )
    if made.after is not None and made.before is not None and made.after >= made.before:
        raise InvalidFilter(option="--before", value=before, detail=f"that is not later than --after {after}")
    if made.added_after is not None and made.added_before is not None and made.added_after >= made.added_before:
        detail = f"that is not later than --added-after {added_after}"
        raise InvalidFilter(option="--added-before", value=added_before, detail=detail)
    if made.min_size is not None and made.max_size is not None and made.min_size > made.max_size:
        raise InvalidFilter(option="--max-size", value=max_size, detail=f"that is under --min-size {min_size}")
    return made


def kilometres(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """
    Return the great-circle distance between two points, all in degrees, by the haversine formula.

    The formula takes the Earth for a sphere (Sinnott, "Virtues of the Haversine", 1984): the error is at most 0.5 %.
    """
    one, two = math.radians(latitude), math.radians(other_latitude)
    across = math.radians(other_longitude - longitude)
    half = math.sin((two - one) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(across / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def _glob(pattern: str) -> str:
    """Return an absolute pattern or an address as it is, any other for anywhere in a path: `2021` means every folder or file of that name."""
    if not pattern.strip():
        raise InvalidFilter(
            option="--in", value=pattern, detail="it takes a folder or a pattern such as '*/2021/*.jpg'"
        )
    pattern = pattern.replace("\\", "/") if re.match(r"[A-Za-z]:\\", pattern) else pattern
    is_whole = pattern.startswith(("/", "*")) or source.is_address(pattern)
    return pattern if is_whole else f"*/{pattern.removeprefix('./')}"


def _start(option: str, value: str, now: dt.datetime) -> dt.datetime:
    """Return the beginning of what a date names."""
    span = dates.parse(value, now)
    if span is None:
        detail = "it takes a date such as 2021, 2021-05, 2021-05-17, yesterday, two weeks ago, may 2021, last summer"
        raise InvalidFilter(option=option, value=value, detail=detail)
    return span.start


def _taken(option: str, value: str, now: dt.datetime) -> int:
    """
    Return seconds since 1970 of a moment by the clock of the camera, which the catalogue keeps as if it were UTC.

    How many hours that clock lies off this machine's is not known, nor whether there is one: what has no EXIF has the time of its file.
    """
    moment = _start(option, value, now)
    if dates.is_in_words(value) and moment.time() != dt.time():
        detail = f"hours before now cannot be told by the clocks of cameras; write a day, or {option.replace('--', '--added-')}"
        raise InvalidFilter(option=option, value=value, detail=detail)
    return calendar.timegm(moment.timetuple())


def _happened(option: str, value: str, now: dt.datetime) -> int:
    """Return seconds since 1970 of a moment by the clock of this machine."""
    try:
        return int(_start(option, value, now).timestamp())
    except (ValueError, OverflowError):
        raise InvalidFilter(option=option, value=value, detail="no clock has this time") from None


def _pixels(option: str, value: int | None) -> int | None:
    if value is None:
        return None
    try:
        pixels = operator.index(value)
    except TypeError:
        pixels = 0
    if isinstance(value, bool) or not 0 < pixels < 1_000_000_000:  # noqa: PLR2004  no picture has more
        raise InvalidFilter(option=option, value=value, detail="it takes a whole number of pixels above 0")
    return pixels


def _shape(value: Shape | str) -> Shape:
    try:
        return Shape(value)
    except ValueError:
        detail = f"there are {', '.join(Shape)}"
        raise InvalidFilter(option="shape", value=value, detail=detail) from None


def _words(option: str, value: str) -> str:
    if not value.strip():
        raise InvalidFilter(option=option, value=value, detail="it takes a part of the name, such as canon")
    return path_text.readable(value.strip())


def _several(option: str, given: str | Sequence[str]) -> list[str]:
    """Return one text as a list, and several as they are."""
    if not isinstance(given, Iterable):
        raise InvalidFilter(option=option, value=given, detail="it takes a text, or several")
    return [given] if isinstance(given, str) else list(given)


def _labels(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if not isinstance(name, str) or not name.removeprefix("-").strip():
            raise InvalidFilter(option="--label", value=name, detail="it takes the name of a label, such as beach")
    if len(names) > MAX_LABELS:
        raise InvalidFilter(option="--label", value=len(names), detail=f"at most {MAX_LABELS} labels")
    return tuple(path_text.readable(name.strip()) for name in names)


def _near(value: str) -> GeoCircle:
    try:
        latitude, longitude, km = (float(part) for part in value.split(","))
    except ValueError:
        latitude = longitude = km = math.nan
    if -90 <= latitude <= 90 and -180 <= longitude <= 180 and 0 < km <= _HALF_CIRCUMFERENCE_KM:  # noqa: PLR2004  degrees
        return GeoCircle(latitude, longitude, km)
    raise InvalidFilter(option="--near", value=value, detail="it takes LATITUDE,LONGITUDE,KM such as 52.52,13.405,10")
