"""
ONNX graphs as files: reading, writing, and the cache of derived graphs.

Owns the `onnx` library, which is slow to import and only needed to derive a graph.
Must not know what runs a graph.
"""

import contextlib
import hashlib
import shutil
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.models import cache, files
from pixfind.storage import disk

_MIN_MAPPED_BYTES = 64 << 20
_FREE_FACTOR = 3
"""times the size of a graph that must be free on the disk before a copy of it is written"""


def load(path: Path) -> Any:
    """Read a graph and its weights; raises InvalidModelFile."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        detail = str(error).strip().partition("\n")[0]
        raise errors.InvalidModelFile(path=path, detail=detail or "it is not an ONNX graph") from error
    if not model.graph.node:
        # An empty file is a valid message without fields.
        raise errors.InvalidModelFile(path=path, detail="it is not an ONNX graph")
    return model


def folder(graph: Path) -> Path:
    """Return the cache folder for graphs that are derived from this version of a graph; raises InvalidModelFile when its weights are missing."""
    digest = hashlib.sha256()
    for path in files.weights(graph):
        try:
            facts = path.stat()
        except FileNotFoundError as error:
            raise errors.InvalidModelFile(path=graph, detail=f"its weights {path.name} are missing") from error
        digest.update(f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return cache.folder("derived", digest.hexdigest()[:32])


def discard(graph: Path) -> bool:
    """Delete a graph of the cache that cannot be opened, so that it is made again; return False for any other file, and where it cannot be deleted."""
    if graph.parent.parent != cache.folder("derived"):
        return False
    try:
        with cache.locked(graph.parent):
            # The graph first: without it nobody looks for its weights.
            for path in (graph, graph.with_name(f"{graph.name}.data")):
                disk.delete(path)
    except disk.FAILURES:
        return False
    return True


def has_space(graph: Path) -> bool:
    """Tell whether there is enough free space in the cache for a copy of the graph."""
    place = cache.folder()
    disk.make_folder(place)
    return shutil.disk_usage(place).free > _FREE_FACTOR * sum(path.stat().st_size for path in files.weights(graph))


def mapped(graph: Path) -> Path:
    """
    Return the same graph with its weights in a separate file, made on the first call; the graph itself where that fails or does not pay.

    Weights in a separate file are memory-mapped; inside the graph they are read, parsed and copied: for a text encoder of 1.1 GB
    that takes 2.5 s and 1.9 GB of memory, in place of 0.1 s and 0.4 GB.
    """
    path = folder(graph) / "mapped.onnx"
    if graph.stat().st_size < _MIN_MAPPED_BYTES or path.is_file():
        return path if path.is_file() else graph
    # The copy only saves time: a cache that is full or read-only must not stop a search.
    with contextlib.suppress(OSError, *disk.FAILURES):
        if has_space(graph):
            with cache.publishing(path) as temporary:
                save(load(graph), temporary / path.name)
            return path
    return graph


def save(model: Any, path: Path) -> None:
    """Write a loaded graph, with large weights in a separate file that can be mapped; raises OSError."""
    import onnx

    # Whether loaded weights came from another file is not always recorded, so their size decides.
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) >= _MIN_MAPPED_BYTES
    data = f"{path.name}.data"
    onnx.save(model, path, save_as_external_data=large, location=data, size_threshold=1024)
