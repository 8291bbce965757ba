"""
EXIF: the metadata that a camera writes into a picture (JEITA CP-3451, "Exchangeable image file format").

Owns which tags become metadata. No byte of a block is trusted: an invalid tag counts as missing, and nothing here ever raises.
Must not know pixels or files. The metadata is returned in `Decoded.metadata`; `decode` applies the orientation.

Pillow's own reader is not used: it issues warnings, raises on hostile blocks, and reads every tag where we need nine.
"""

# ruff: noqa: PLR2004 - byte layouts are made of numbers

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pixfind.images.decode import ifd
from pixfind.types import ImageMetadata

CAMERA_CHARACTERS: Final = 40

_MAKE: Final = 0x010F
_MODEL: Final = 0x0110
_ORIENTATION: Final = 0x0112
_EXIF_IFD: Final = 0x8769
_GPS_IFD: Final = 0x8825
_DATE_TAKEN: Final = 0x9003
_OFFSET_TAKEN: Final = 0x9011
_LATITUDE: Final = 2  # the tag before it contains N or S
_LONGITUDE: Final = 4  # the tag before it contains E or W

_MAIN: Final = {_MAKE, _MODEL, _ORIENTATION, _EXIF_IFD, _GPS_IFD}
_DETAILS: Final = {_DATE_TAKEN, _OFFSET_TAKEN}
_GPS: Final = {_LATITUDE - 1, _LATITUDE, _LONGITUDE - 1, _LONGITUDE}
_RATIONAL: Final = (5, 10)

_DATE: Final = re.compile(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)")
_MAX_OFFSET: Final = timedelta(hours=15)

Directory = dict[int, ifd.Entry]


@dataclass(frozen=True, slots=True)
class Exif:
    """The part of an EXIF block that we use; units as in `ImageMetadata`."""

    orientation: int = 1
    """1 to 8; 1 when unknown or out of range"""
    taken_at: int | None = None
    camera: str = ""
    latitude: float | None = None
    longitude: float | None = None

    def metadata(self, width: int, height: int) -> ImageMetadata:
        """Return the metadata, with the size of the upright picture in pixels."""
        return ImageMetadata(width, height, self.taken_at, self.camera, self.latitude, self.longitude)


def read(block: bytes) -> Exif:
    """Parse a block with or without its "Exif" prefix; returns the defaults for anything that is not EXIF."""
    block = block.removeprefix(b"Exif\0\0")
    form = ifd.layout(block)
    if form is None:
        return Exif()
    main = ifd.read(block, ifd.first_offset(block, form), form, _MAIN)
    details = ifd.read(block, int(_number(main, _EXIF_IFD)), form, _DETAILS)
    gps = ifd.read(block, int(_number(main, _GPS_IFD)), form, _GPS)
    return _exif(main, details, gps)


def read_parts(main: bytes, details: bytes, gps: bytes) -> Exif:
    """As `read`, where each of the three directories is the first of a block of its own; an empty block has no tags."""
    parts = zip((main, details, gps), (_MAIN, _DETAILS, _GPS), strict=True)
    return _exif(*(_first_directory(block, tags) for block, tags in parts))


def _first_directory(block: bytes, tags: set[int]) -> Directory:
    form = ifd.layout(block)
    return {} if form is None else ifd.read(block, ifd.first_offset(block, form), form, tags)


def _exif(main: Directory, details: Directory, gps: Directory) -> Exif:
    orientation = int(_number(main, _ORIENTATION))
    latitude = _degrees(gps, _LATITUDE, "NS", limit=90)
    longitude = _degrees(gps, _LONGITUDE, "EW", limit=180)
    # A position needs both numbers, and receivers without a fix write 0, 0.
    known = None not in (latitude, longitude) and (latitude, longitude) != (0, 0)
    return Exif(
        orientation=orientation if 1 <= orientation <= 8 else 1,
        taken_at=_taken_at(_text(details, _DATE_TAKEN), _text(details, _OFFSET_TAKEN)),
        camera=camera(_text(main, _MAKE), _text(main, _MODEL)),
        latitude=latitude if known else None,
        longitude=longitude if known else None,
    )


def _number(directory: Directory, tag: int) -> float:
    """Return the first number of a tag, 0 where there is none."""
    entry = directory.get(tag)
    if entry is None or isinstance(entry.value, bytes) or not entry.value:
        return 0
    value = entry.value[0]
    return value if math.isfinite(value) else 0


def _text(directory: Directory, tag: int) -> str:
    entry = directory.get(tag)
    if entry is None or not isinstance(entry.value, bytes):
        return ""
    text = entry.value[:200].split(b"\0", 1)[0].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() and c != "\ufffd" else " " for c in text).split())


def _taken_at(date: str, offset: str) -> int | None:
    found = _DATE.match(date)
    if found is None:
        return None
    try:
        time = datetime(*(int(part) for part in found.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
        return int((time - _offset(offset)).timestamp())
    except (ValueError, OverflowError):
        # Cameras whose clock is not set write "0000:00:00 00:00:00".
        return None


def _offset(text: str) -> timedelta:
    found = _OFFSET.match(text)
    if found is None:
        return timedelta()
    sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > _MAX_OFFSET:
        return timedelta()
    return -offset if sign == "-" else offset


def camera(make: str, model: str) -> str:
    """Return make and model; many models repeat the make ("Canon", "Canon EOS 5D"; "NIKON CORPORATION", "NIKON D90")."""
    first = make.split(" ", 1)[0].casefold()
    doubled = bool(first) and model.casefold().startswith(first)
    name = model if doubled else f"{make} {model}"
    return name.strip()[:CAMERA_CHARACTERS].strip()


def _degrees(gps: Directory, tag: int, letters: str, *, limit: int) -> float | None:
    entry = gps.get(tag)
    letter = _text(gps, tag - 1)[:1].upper()
    if entry is None or isinstance(entry.value, bytes) or entry.type not in _RATIONAL or not letter:
        return None
    above, below = entry.value[::2], entry.value[1::2]
    if letter not in letters or not 1 <= len(below) <= 3 or 0 in below:
        return None
    degrees = sum(a / b / 60.0**power for power, (a, b) in enumerate(zip(above, below, strict=True)))
    if not 0 <= degrees <= limit:
        return None
    return round(-degrees if letter == letters[1] else degrees, 7)
