"""
TIFF directories: the tagged values that TIFF files and EXIF blocks are made of.

Owns the byte layout of one directory. Hostile bytes give missing tags, never an exception and never much work.
Must not know what a tag means: `exif` reads facts from it, `tiff` reads where the pixels lie.
"""

# ruff: noqa: PLR2004 - byte layouts are made of numbers

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Value = tuple[int | float, ...] | bytes
"""Numbers as a tuple (a rational is two of them, one after the other); text and undefined as bytes."""

HEADER_BYTES: Final = 8

_FORMATS: Final = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
_TEXT: Final = (2, 7)
# A directory's count is 16 bits, so this bounds the work; no real file comes near.
_MOST_ENTRIES: Final = 4096
# Strips of the largest picture that we decode; a hostile count stops here.
_MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of a directory."""

    tag: int
    type: int
    count: int
    value: Value


def byte_order(data: bytes) -> str:
    """How the numbers of this TIFF header are written, as `struct` has it; "" when it is none."""
    return {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")


def first_offset(data: bytes, order: str) -> int:
    """Where the first directory lies; 0 when the header is cut."""
    return int.from_bytes(data[4:8], "little" if order == "<" else "big") if len(data) >= HEADER_BYTES else 0


def read(data: bytes, offset: int, order: str) -> dict[int, Entry]:
    """The directory at `offset`. Entries that are cut, of an unknown type or outside the data are left out."""
    return {entry.tag: entry for entry in _entries(data, offset, order)}


def is_cut(data: bytes, offset: int, order: str) -> bool:
    """Whether the data ends before the directory's list of tags does."""
    return offset < HEADER_BYTES or offset + 2 > len(data) or offset + 2 + 12 * _count(data, offset, order) > len(data)


def announced(data: bytes, offset: int, order: str) -> set[int]:
    """The tags that a whole directory lists, with or without a value that can be read."""
    places = range(offset + 2, offset + 2 + 12 * _count(data, offset, order), 12)
    return {struct.unpack_from(order + "H", data, place)[0] for place in places}


def _count(data: bytes, offset: int, order: str) -> int:
    return min(int(struct.unpack_from(order + "H", data, offset)[0]), _MOST_ENTRIES)


def _entries(data: bytes, offset: int, order: str) -> Iterator[Entry]:
    if offset < HEADER_BYTES or offset + 2 > len(data):
        return
    for index in range(_count(data, offset, order)):
        start = offset + 2 + 12 * index
        if start + 12 > len(data):
            return
        tag, kind, length = struct.unpack_from(order + "HHI", data, start)
        value = _value(data, start + 8, order, kind, length)
        if value is not None:
            yield Entry(tag, kind, length, value)


def _value(data: bytes, place: int, order: str, kind: int, count: int) -> Value | None:
    form = "s" if kind in _TEXT else _FORMATS.get(kind)
    if form is None:
        return None
    size = count * struct.calcsize("=" + form)
    if size > 4:
        (place,) = struct.unpack_from(order + "I", data, place)
    if size > _MOST_BYTES or place + size > len(data):
        return None
    if form == "s":
        return data[place : place + size]
    return struct.unpack_from(f"{order}{count * len(form)}{form[0]}", data, place)


def write(entries: list[Entry], order: str, at: int) -> bytes:
    """A directory with these entries that can stand at offset `at`, followed by its long values."""
    body, tail = b"", b""
    after = at + 2 + 12 * len(entries) + 4
    for entry in sorted(entries, key=lambda entry: entry.tag):
        packed = _packed(entry, order)
        if len(packed) > 4:
            place = after + len(tail)
            tail += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + "I", place)
        body += struct.pack(order + "HHI", entry.tag, entry.type, entry.count) + packed.ljust(4, b"\0")
    return struct.pack(order + "H", len(entries)) + body + b"\0\0\0\0" + tail


def _packed(entry: Entry, order: str) -> bytes:
    if isinstance(entry.value, bytes):
        return entry.value
    return struct.pack(f"{order}{len(entry.value)}{_FORMATS[entry.type][0]}", *entry.value)
