"""
The external data files of an ONNX graph: weights that are stored outside of its own file.

Reads the names from the graph's protobuf and skips everything else: milliseconds for a graph of a gigabyte, which the `onnx`
library would read in full. Must not know what the weights are. `files` needs the names to check a model, `hub` to download it.
"""

import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from pixfind import errors
from pixfind.models import protobuf

#: from https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: message -> number of a field -> the message in it.
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


def locations(graph: Path) -> tuple[str, ...]:
    """
    Return the names of a graph's external data, relative to its folder; an empty tuple for a file that is no ONNX graph.

    Raises InvalidModelFile for a name that leads out of that folder.
    """
    facts = graph.stat()
    names = _locations(graph, facts.st_size, facts.st_mtime_ns)
    for name in names:
        if not _stays_inside(name):
            raise errors.InvalidModelFile(path=graph, detail=f'its external data "{name}" is outside of its folder')
    return names


@lru_cache(maxsize=32)
def _locations(graph: Path, size: int, _mtime_ns: int) -> tuple[str, ...]:
    if not size:
        return ()
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return tuple(sorted(set(_external(data, "model", 0, size))))
        except (IndexError, ValueError, RecursionError):
            # Not an ONNX graph: loading it will raise an error with the reason.
            return ()


def _external(data: mmap.mmap, message: str, start: int, stop: int) -> Iterator[str]:
    inner = _MESSAGES[message]
    for field in protobuf.fields(data, start, stop):
        kind = inner.get(field.number)
        if kind is None or field.wire != protobuf.LENGTH:
            continue
        if kind == "external":
            entry = {part.number: data[part.begins : part.ends] for part in protobuf.fields(data, *field[2:])}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode()
        else:
            yield from _external(data, kind, field.begins, field.ends)


def _stays_inside(name: str) -> bool:
    """Tell whether a name is a relative path without "..", on any operating system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    absolute = posix.is_absolute() or bool(windows.drive or windows.root)
    return bool(name) and not absolute and ".." not in windows.parts and "\0" not in name
