"""
Filters: which images may be hits, whatever the query.

Owns the meaning of the options and how they become parameters of the statements in sql/search.sql.
Pure: it opens no library. A filter on metadata that is unknown (no EXIF, never decoded) excludes the image.
"""

import calendar
import datetime as dt
import math
import operator
import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from pixfind.errors import InvalidFilter
from pixfind.images.source import archives
from pixfind.library import path_text

EARTH_KM = 6371.0088
"""mean radius of the Earth (IUGG)"""

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
    """glob of paths; `*` matches across folders"""
    after: int | None = None
    """seconds since 1970, inclusive"""
    before: int | None = None
    """seconds since 1970, exclusive"""
    min_size: int | None = None
    """pixels that the shorter side has at least"""
    max_size: int | None = None
    """pixels that the longer side has at most"""
    shape: Shape | None = None
    camera: str | None = None
    """part of EXIF make and model, in any case"""
    near: GeoCircle | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements `hits`, `allowed_rows`, `passing` and `browsed`."""
        near = self.near
        inside = None if self.inside is None else path_text.readable(self.inside)
        return {
            "inside": inside,
            "inside_folder": None if inside is None else inside.rstrip("/") + "/*",
            "inside_archive": None if inside is None else f"{inside}{archives.MARK}*",
            "after": self.after,
            "before": self.before,
            "min_size": self.min_size,
            "max_size": self.max_size,
            "shape": None if self.shape is None else str(self.shape),
            "camera": None if self.camera is None else f"%{_like(self.camera)}%",
            "latitude": near and near.latitude,
            "longitude": near and near.longitude,
            "km": near and near.km,
        }


NO_FILTERS = Filters()


def parse(
    *,
    inside: str | None = None,
    after: str | None = None,
    before: str | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    shape: Shape | str | None = None,
    camera: str | None = None,
    near: str | None = None,
) -> Filters:
    """Parse the values of the options; raises InvalidFilter, which names the option and what it accepts."""
    for option, text in (
        ("--in", inside),
        ("--after", after),
        ("--before", before),
        ("--camera", camera),
        ("--near", near),
    ):
        if not isinstance(text, str | None):
            raise InvalidFilter(option=option, value=text, detail="it takes a text")
    made = Filters(
        inside=None if inside is None else _glob(inside),
        after=None if after is None else _parse_time("--after", after),
        before=None if before is None else _parse_time("--before", before),
        min_size=_pixels("--min-size", min_size),
        max_size=_pixels("--max-size", max_size),
        shape=None if shape is None else _shape(shape),
        camera=None if camera is None else _words("--camera", camera),
        near=None if near is None else _near(near),
    )
    if made.after is not None and made.before is not None and made.after >= made.before:
        raise InvalidFilter(option="--before", value=before, detail=f"that is not later than --after {after}")
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
    """Return an absolute pattern as it is, any other for anywhere in a path: `2021` means every folder or file of that name."""
    if not pattern.strip():
        raise InvalidFilter(
            option="--in", value=pattern, detail="it takes a folder or a pattern such as '*/2021/*.jpg'"
        )
    pattern = pattern.replace("\\", "/") if re.match(r"[A-Za-z]:\\", pattern) else pattern
    return pattern if pattern.startswith(("/", "*")) else f"*/{pattern.removeprefix('./')}"


def _parse_time(option: str, value: str) -> int:
    """Return the beginning of a year, month, day, minute or second as seconds since 1970, in UTC like EXIF times in the catalogue."""
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?", value.strip())
    if match:
        year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups())
        try:
            instant = dt.datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=dt.UTC)
            return calendar.timegm(instant.utctimetuple())
        except ValueError:
            pass
    raise InvalidFilter(option=option, value=value, detail="it takes a date such as 2021, 2021-05 or 2021-05-17")


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
    return value.strip()


def _near(value: str) -> GeoCircle:
    try:
        latitude, longitude, km = (float(part) for part in value.split(","))
    except ValueError:
        latitude = longitude = km = math.nan
    if -90 <= latitude <= 90 and -180 <= longitude <= 180 and 0 < km <= _HALF_CIRCUMFERENCE_KM:  # noqa: PLR2004  degrees
        return GeoCircle(latitude, longitude, km)
    raise InvalidFilter(option="--near", value=value, detail="it takes LATITUDE,LONGITUDE,KM such as 52.52,13.405,10")


def _like(words: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", words)
