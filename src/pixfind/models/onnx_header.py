"""
The header of an ONNX graph: its operator set version (opset) and the shapes of its inputs and outputs.

Read from its protobuf in milliseconds, whatever its size, and without the libraries that run it. So a runtime that is too old and a
fixed batch size are detected before anything is loaded.
"""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pixfind.models import protobuf

Shape = tuple[int | None, ...]
"""Of an input or output: a length where it is fixed, None where it is dynamic."""

# Numbers of fields, of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_GRAPH, _OPSET = 7, 8
_DOMAIN, _VERSION = 1, 2
_INPUT, _OUTPUT = 11, 12
_NAME, _TYPE = 1, 2
_TENSOR, _SHAPE, _DIMENSION, _NUMBER = 1, 2, 1, 1
_FREE = 1 << 31
"""lengths from here on are negative numbers, which some exporters write for a dynamic length"""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a graph before it is loaded."""

    opset: int
    """version of the standard operator set; 0 when the file has none"""
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]

    @property
    def takes_one(self) -> bool:
        """Whether its batch size is fixed to one."""
        return bool(self.inputs) and all(shape[:1] == (1,) for shape in self.inputs.values())


def read(graph: Path) -> Header:
    """Return the header of a graph; an empty one for a file that is no ONNX graph (loading it raises the error)."""
    facts = graph.stat()
    return _read(graph, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=32)
def _read(graph: Path, size: int, _mtime_ns: int) -> Header:
    empty = Header(opset=0, inputs={}, outputs={})
    if not size:
        return empty
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Reader(data).header(size)
        except (IndexError, ValueError):
            return empty


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data

    def header(self, size: int) -> Header:
        opset = 0
        ports: dict[int, dict[str, Shape]] = {_INPUT: {}, _OUTPUT: {}}
        for field in protobuf.fields(self._data, 0, size):
            if field.number == _OPSET:
                opset = max(opset, self._opset(field))
            elif field.number == _GRAPH:
                for port in self._messages(field, _INPUT, _OUTPUT):
                    name, shape = self._port(port)
                    ports[port.number][name] = shape
        return Header(opset=opset, inputs=ports[_INPUT], outputs=ports[_OUTPUT])

    def _messages(self, within: protobuf.Field, *numbers: int) -> list[protobuf.Field]:
        found = protobuf.fields(self._data, within.begins, within.ends)
        return [field for field in found if field.number in numbers]

    def _opset(self, field: protobuf.Field) -> int:
        parts = {part.number: part for part in self._messages(field, _DOMAIN, _VERSION)}
        domain, version = parts.get(_DOMAIN), parts.get(_VERSION)
        other = domain is not None and self._text(domain) not in {"", "ai.onnx"}
        return 0 if other or version is None else protobuf.varint(self._data, version.begins)[0]

    def _port(self, field: protobuf.Field) -> tuple[str, Shape]:
        name = "".join(self._text(part) for part in self._messages(field, _NAME))
        shapes = [
            shape
            for kind in self._messages(field, _TYPE)
            for tensor in self._messages(kind, _TENSOR)
            for shape in self._messages(tensor, _SHAPE)
        ]
        return name, tuple(self._length(one) for shape in shapes for one in self._messages(shape, _DIMENSION))

    def _length(self, field: protobuf.Field) -> int | None:
        numbers = [part for part in self._messages(field, _NUMBER) if part.wire == protobuf.VARINT]
        length = protobuf.varint(self._data, numbers[0].begins)[0] if numbers else 0
        return length if 0 < length < _FREE else None

    def _text(self, field: protobuf.Field) -> str:
        return self._data[field.begins : field.ends].decode()
