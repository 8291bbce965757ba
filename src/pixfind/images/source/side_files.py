"""
Side files: what Google Takeout says of a picture in a JSON file beside it.

Owns how such a file is found and what is taken from it: the date and the place, where the picture itself has none. Must not know pictures.
An invalid side file counts as missing: nothing here raises.

The names, from what users of importers report (immich #30319; immich-go #652, #674, #1124): `IMG.jpg.json` until 2024, then
`IMG.jpg.supplemental-metadata.json`; all before `.json` is cut to 46 characters; the number of `IMG(1).jpg` goes to the end, `IMG.jpg(1).json`;
and `IMG-edited.jpg` has that of `IMG.jpg`.
"""

import contextlib
import functools
import json
import os
import re
from collections.abc import Iterator
from typing import Any, Final

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import archives
from pixfind.images.source.files import read_file
from pixfind.types import ImageMetadata

_ENDING: Final = ".json"
_WORDS: Final = ".supplemental-metadata"
_CUT: Final = 46
_NUMBER_CHARACTERS: Final = 4
"""`(12)` may have been counted among the 46"""

_MAX_BYTES: Final = 1 << 20
_MAX_SECONDS: Final = 253_402_300_800
"""the year 10000"""

_NUMBERED: Final = re.compile(r"(.+)(\(\d{1,4}\))(\.[^.]+)")


def completed(location: str, known: ImageMetadata) -> ImageMetadata:
    """Return the metadata of the picture at a location, with the date and the place of its side file where it has none."""
    if known.taken_at is not None and known.latitude is not None:
        return known
    # A side file is one of the video, not of its frames.
    location = suffixes.without_time(location)
    with contextlib.suppress(errors.ImageProblem, OSError, ValueError, RecursionError):
        if (data := _read(location)) is not None:
            side = json.loads(data)
            return _with(side, known) if _is_of(side, os.path.basename(location)) else known
    return known


def names(picture: str) -> Iterator[str]:
    """Yield the names that the side file of a picture may have, the likeliest first."""
    stem, dot, suffix = picture.rpartition(".")
    plain = stem.removesuffix("-edited") + dot + suffix
    for name in dict.fromkeys((picture, plain)):
        numbered = _NUMBERED.fullmatch(name)
        if numbered is not None:
            yield from _cuts(numbered[1] + numbered[3], numbered[2])
        yield from _cuts(name, "")


def _cuts(name: str, number: str) -> Iterator[str]:
    whole = name + _WORDS
    for length in range(len(whole), min(len(name), _CUT - _NUMBER_CHARACTERS) - 1, -1):
        yield whole[:length] + number + _ENDING


def _read(location: str) -> bytes | None:
    """Return the bytes of the side file; None where there is none."""
    folder, name = os.path.split(location)
    if archives.has(location):
        found = archives.beside(location, names(name))
        return None if found is None or found[1] > _MAX_BYTES else archives.read(found[0]).data
    there = _side_files(folder, os.stat(folder).st_mtime_ns)
    for side in names(name) if there else ():
        if side in there:
            path = os.path.join(folder, side)
            return read_file(path).data if os.stat(path).st_size <= _MAX_BYTES else None
    return None


@functools.lru_cache(maxsize=16)
def _side_files(folder: str, mtime_ns: int) -> frozenset[str]:  # noqa: ARG001  another time is another list
    """Return the names of the JSON files in a folder: listed once, where each picture would ask for dozens of names."""
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries if entry.name.endswith(_ENDING))


def _is_of(side: Any, picture: str) -> bool:
    """Tell whether a side file is of this picture: the names of two that begin alike are cut to one, and the title tells them apart."""
    if len(picture) <= _CUT - _NUMBER_CHARACTERS or not isinstance(side, dict):
        return True
    title = side.get("title")
    if not isinstance(title, str) or not title:
        return True
    numbered = _NUMBERED.fullmatch(picture)
    stem = (numbered[1] if numbered else picture.rpartition(".")[0]).removesuffix("-edited")
    # Names of pictures are cut too, and `_` stands for what a file system may not take.
    return all(mine in ("_", its) for mine, its in zip(stem, title.rpartition(".")[0] or title, strict=False))


def _with(side: Any, known: ImageMetadata) -> ImageMetadata:
    if not isinstance(side, dict) or not isinstance(taken := side.get("photoTakenTime"), dict):
        return known  # Some other program's.
    latitude, longitude = _place(side) or (None, None)
    facts = ImageMetadata(taken_at=_seconds(taken.get("timestamp")), latitude=latitude, longitude=longitude)
    return known.with_facts_of(facts)


def _seconds(timestamp: Any) -> int | None:
    """Return seconds since 1970, which Takeout writes as text; None where there are none."""
    if not isinstance(timestamp, str | int) or not re.fullmatch(r"[0-9]{1,12}", str(timestamp)):
        return None
    return seconds if 0 < (seconds := int(timestamp)) < _MAX_SECONDS else None


def _place(side: dict[str, Any]) -> tuple[float, float] | None:
    """Return degrees; None where there are none, for which Takeout writes 0, 0."""
    for key in ("geoData", "geoDataExif"):
        if not isinstance(found := side.get(key), dict):
            continue
        latitude, longitude = found.get("latitude"), found.get("longitude")
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            continue
        if (latitude, longitude) != (0, 0) and abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004  degrees; false for NaN
            return float(latitude), float(longitude)
    return None
