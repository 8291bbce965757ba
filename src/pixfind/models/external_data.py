"""
Where an ONNX graph keeps weights outside of its own file.

Reads the names from the graph's protobuf, field by field, and steps over everything else: a graph of a gigabyte is told in milliseconds,
without the `onnx` library, which would read all of it. Must not know what the weights are. `files` asks which files belong to a
model, `hub` which to fetch.
"""

import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from pixfind import errors

#: Of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: message -> number of a field -> the message in it.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_KEY, _VALUE = 1, 2
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5

_Field = tuple[int, int, int]
"""number, and where its content begins and ends; only of fields that have a length"""


def locations(graph: Path) -> tuple[str, ...]:
    """
    Return the names of a graph's external data, relative to its folder; nothing for a file that is no graph.

    Raises ModelFileWrong for a name that leads out of that folder.
    """
    facts = graph.stat()
    names = _locations(graph, facts.st_size, facts.st_mtime_ns)
    for name in names:
        if not _stays_inside(name):
            raise errors.ModelFileWrong(path=graph, detail=f'its external data "{name}" lies outside of its folder')
    return names


@lru_cache(maxsize=32)
def _locations(graph: Path, size: int, _mtime_ns: int) -> tuple[str, ...]:
    if not size:
        return ()
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return tuple(sorted(set(_external(data, "model", 0, size))))
        except (IndexError, ValueError, RecursionError):
            # Not a graph: whoever loads it says so, with the reason.
            return ()


def _external(data: mmap.mmap, message: str, start: int, stop: int) -> Iterator[str]:
    inner = _MESSAGES[message]
    for number, begins, ends in _fields(data, start, stop):
        kind = inner.get(number)
        if kind == "external":
            entry = {key: data[first:last] for key, first, last in _fields(data, begins, ends)}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode()
        elif kind is not None:
            yield from _external(data, kind, begins, ends)


def _fields(data: mmap.mmap, start: int, stop: int) -> Iterator[_Field]:
    place = start
    while place < stop:
        key, place = _varint(data, place)
        match key & 7:
            case wire if wire == _VARINT:
                _, place = _varint(data, place)
            case wire if wire == _EIGHT_BYTES:
                place += 8
            case wire if wire == _FOUR_BYTES:
                place += 4
            case wire if wire == _LENGTH:
                length, place = _varint(data, place)
                if place + length > stop:
                    raise ValueError("a field is longer than the message that it is in")
                yield key >> 3, place, place + length
                place += length
            case wire:
                raise ValueError(f"no field has wire type {wire}")


def _varint(data: mmap.mmap, place: int) -> tuple[int, int]:
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


def _stays_inside(name: str) -> bool:
    """Whether a name is a relative one, on any system, without a way up."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    absolute = posix.is_absolute() or bool(windows.drive or windows.root)
    return bool(name) and not absolute and ".." not in windows.parts and "\0" not in name
