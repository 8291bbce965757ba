"""
Fields of a protobuf message in a mapped file, one by one, without a schema and without reading what they hold.

Owns the wire format. Must not know what a message means: `external_data` and `onnx_header` do.
"""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

VARINT, _EIGHT_BYTES, LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class Field(NamedTuple):
    """One field, and where its content begins and ends."""

    number: int
    wire: int
    begins: int
    ends: int


def fields(data: mmap.mmap, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of the message that lies there; raises ValueError or IndexError where there is none."""
    place = start
    while place < stop:
        key, place = varint(data, place)
        match key & 7:
            case wire if wire == VARINT:
                _, end = varint(data, place)
            case wire if wire == _EIGHT_BYTES:
                end = place + 8
            case wire if wire == _FOUR_BYTES:
                end = place + 4
            case wire if wire == LENGTH:
                length, place = varint(data, place)
                end = place + length
                if end > stop:
                    raise ValueError("a field is longer than the message that it is in")
            case wire:
                raise ValueError(f"no field has wire type {wire}")
        yield Field(key >> 3, wire, place, end)
        place = end


def varint(data: mmap.mmap, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the eighth bit says that more follows
            return value, place
        if shift > 63:  # noqa: PLR2004
            raise ValueError("a number has more than 64 bits")
