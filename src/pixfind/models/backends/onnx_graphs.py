"""
ONNX graphs as files: reading one, and keeping what is derived from it in the per-user cache.

Owns the `onnx` library, which is slow to load and only needed when something is derived.
Must not know who runs a graph. `quantize` makes int8 of one; `onnx` opens what it is given.
"""

import contextlib
import hashlib
import shutil
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.models import cache, files
from pixfind.storage import disk

_WORTH_MAPPING = 64 << 20
_ROOM = 3
"""times the graph's size that must be free before a copy of it is kept"""


def load(path: Path) -> Any:
    """Read a graph and its weights; raises InvalidModelFile."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return onnx.load(path)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        detail = str(error).strip().partition("\n")[0]
        raise errors.InvalidModelFile(path=path, detail=detail or "it is not an ONNX graph") from error


def folder(graph: Path) -> Path:
    """Return the cache folder for what is derived from this state of a graph."""
    digest = hashlib.sha256()
    for path in files.weights(graph):
        facts = path.stat()
        digest.update(f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return cache.folder("derived", digest.hexdigest()[:32])


def has_room(graph: Path) -> bool:
    """Whether a copy of the graph fits into the cache, with something to spare."""
    place = cache.folder()
    disk.make_folder(place)
    return shutil.disk_usage(place).free > _ROOM * sum(path.stat().st_size for path in files.weights(graph))


def mapped(graph: Path) -> Path:
    """
    Return the same graph with its weights in a file of their own, made on the first call.

    Weights beside the graph are mapped into memory as they are touched; inside of it they are read, parsed and copied:
    for a text encoder of 1.1 GB that is 2.5 s and 1.9 GB of memory, against 0.1 s and 0.4 GB.
    """
    path = folder(graph) / "mapped.onnx"
    if graph.stat().st_size < _WORTH_MAPPING or path.is_file():
        return path if path.is_file() else graph
    # Only time is lost without the copy: a cache that is full or read-only must not stop a search.
    with contextlib.suppress(OSError, *disk.FAILURES):
        if has_room(graph):
            with cache.publishing(path) as temporary:
                save(load(graph), temporary / path.name)
            return path
    return graph


def save(model: Any, path: Path) -> None:
    """Write a loaded graph; large weights into a file of their own, to be mapped."""
    import onnx

    # Loaded weights forget that they came from another file, but not always.
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) >= _WORTH_MAPPING
    data = f"{path.name}.data"
    onnx.save(model, path, save_as_external_data=large, location=data, size_threshold=1024)
