"""
The fields of a protobuf message in a mapped file, one by one, without a schema and without reading their content.

Owns the wire format (https://protobuf.dev/programming-guides/encoding/). Must not know what a message means: `external_data` and `onnx_header` do.
"""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

VARINT, _EIGHT_BYTES, LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class Field(NamedTuple):
    """One field, and the offsets of its content."""

    number: int
    wire: int
    begins: int
    ends: int


def fields(data: mmap.mmap, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of the message from `start` to `stop`; raises ValueError or IndexError for invalid bytes."""
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
    """Return the varint (seven bits a byte) at `place`, and the offset after it; raises ValueError for more than 64 bits."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the eighth bit says that more follows
            return value, place
        if shift > 63:  # noqa: PLR2004
            raise ValueError("a number has more than 64 bits")
