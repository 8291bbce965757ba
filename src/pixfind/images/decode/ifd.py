"""
Image file directories (IFD): the tagged values of TIFF files and EXIF blocks (TIFF 6.0, section 2; BigTIFF).

Owns the byte layout of one directory. Hostile bytes lead to missing tags, never to an exception or unbounded work.
Must not know what a tag means: `exif` gets metadata from it, `tiff` the position of the pixels.
"""

# ruff: noqa: PLR2004 - byte layouts are made of numbers

import struct
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

Value = tuple[int | float, ...] | bytes
"""Numbers as a tuple (a rational as numerator and denominator); text and undefined types as bytes."""

_FORMATS: Final = {
    1: "B",
    3: "H",
    4: "I",
    5: "II",
    6: "b",
    8: "h",
    9: "i",
    10: "ii",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_TEXT: Final = (2, 7)
_LONG: Final = 4
_SHORTENED: Final = {16: _LONG, 17: 9, 18: _LONG}
# Both limit the work for a hostile file; real files are far below.
_MAX_ENTRIES: Final = 4096
_MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of a directory, with its TIFF type and number of values."""

    tag: int
    type: int
    count: int
    value: Value


@dataclass(frozen=True, slots=True)
class Layout:
    """The byte layout of a file's directories."""

    order: str
    """byte order as in `struct`: < or >"""
    wide: bool
    """BigTIFF: offsets and counts have 64 bits"""

    @property
    def first(self) -> int:
        """Length of the header; no directory can lie before."""
        return 16 if self.wide else 8

    @property
    def entry(self) -> struct.Struct:
        """Tag, type, count and the value or where it lies."""
        return struct.Struct(self.order + ("HHQ8s" if self.wide else "HHI4s"))

    @property
    def count(self) -> struct.Struct:
        """How many entries a directory has."""
        return struct.Struct(self.order + ("Q" if self.wide else "H"))

    @property
    def place(self) -> struct.Struct:
        """Where something lies."""
        return struct.Struct(self.order + ("Q" if self.wide else "I"))


_LAYOUTS: Final = {
    b"II*\0": Layout("<", wide=False),
    b"MM\0*": Layout(">", wide=False),
    b"II+\0": Layout("<", wide=True),
    b"MM\0+": Layout(">", wide=True),
    # Olympus and Panasonic have heads of their own before the same directories.
    b"IIRO": Layout("<", wide=False),
    b"IIRS": Layout("<", wide=False),
    b"MMOR": Layout(">", wide=False),
    b"IIU\0": Layout("<", wide=False),
}


def layout(data: bytes) -> Layout | None:
    """Return the layout of a TIFF file, or a RAW file built like one, from its first bytes; None when they are no such header."""
    return _LAYOUTS.get(data[:4])


def first_offset(data: bytes, form: Layout) -> int:
    """Return the offset of the first directory; 0 when the header is truncated."""
    if len(data) < form.first:
        return 0
    return int(form.place.unpack_from(data, form.first // 2)[0])


def read(data: bytes, offset: int, form: Layout, tags: AbstractSet[int]) -> dict[int, Entry]:
    """Return these tags of the directory at `offset`, without those that are truncated, of an unknown type or outside the data."""
    found: dict[int, Entry] = {}
    left = _MAX_BYTES
    for tag, kind, count, field in _raw_entries(data, offset, form):
        if tag in tags and tag not in found:
            size, value = _value(data, form, kind, count, field, left)
            left -= size
            if value is not None:
                found[tag] = Entry(tag, kind, count, value)
    return found


def is_cut(data: bytes, offset: int, form: Layout) -> bool:
    """Tell whether the directory at `offset` is truncated."""
    start = offset + form.count.size
    return offset < form.first or start > len(data) or start + form.entry.size * _count(data, offset, form) > len(data)


def listed_tags(data: bytes, offset: int, form: Layout) -> set[int]:
    """Return all tags that the directory lists, whether or not their values can be read."""
    return {tag for tag, *_ in _raw_entries(data, offset, form)}


def next_offset(data: bytes, offset: int, form: Layout) -> int:
    """Return the offset of the directory behind the one at `offset`; 0 where there is none."""
    if is_cut(data, offset, form):
        return 0
    end = offset + form.count.size + form.entry.size * _count(data, offset, form)
    return int(form.place.unpack_from(data, end)[0]) if end + form.place.size <= len(data) else 0


def _count(data: bytes, offset: int, form: Layout) -> int:
    return min(int(form.count.unpack_from(data, offset)[0]), _MAX_ENTRIES)


def _raw_entries(data: bytes, offset: int, form: Layout) -> Iterator[tuple[int, int, int, bytes]]:
    start = offset + form.count.size
    if offset < form.first or start > len(data):
        return
    for place in range(start, start + form.entry.size * _count(data, offset, form), form.entry.size):
        if place + form.entry.size > len(data):
            return
        yield form.entry.unpack_from(data, place)


def _value(data: bytes, form: Layout, kind: int, count: int, field: bytes, left: int) -> tuple[int, Value | None]:
    """Return the size in bytes and the value; 0 and None when it cannot be read or has more than `left` bytes."""
    numbers = "s" if kind in _TEXT else _FORMATS.get(kind)
    if numbers is None:
        return 0, None
    size = count * struct.calcsize("=" + numbers)
    place, source = 0, field
    if size > len(field):
        (place,), source = form.place.unpack(field), data
    if size > left or place + size > len(source):
        return 0, None
    if numbers == "s":
        return size, source[place : place + size]
    return size, struct.unpack_from(f"{form.order}{count * len(numbers)}{numbers[0]}", source, place)


def write(entries: Iterable[Entry], order: str, at: int) -> bytes:
    """Return a classic (32-bit) directory with these entries for offset `at`, followed by the values that do not fit into entries."""
    ordered = sorted(entries, key=lambda entry: entry.tag)
    body, tail = b"", b""
    after = at + 2 + 12 * len(ordered) + 4
    for entry in ordered:
        kind, packed = _packed(entry, order)
        if len(packed) > 4:
            place = after + len(tail)
            tail += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + "I", place)
        body += struct.pack(order + "HHI", entry.tag, kind, entry.count) + packed.ljust(4, b"\0")
    return struct.pack(order + "H", len(ordered)) + body + b"\0\0\0\0" + tail


def _packed(entry: Entry, order: str) -> tuple[int, bytes]:
    """Return the type and the bytes of a value in a classic directory."""
    if isinstance(entry.value, bytes):
        return entry.type, entry.value
    kind = _SHORTENED.get(entry.type, entry.type)
    return kind, struct.pack(f"{order}{len(entry.value)}{_FORMATS[kind][0]}", *entry.value)
