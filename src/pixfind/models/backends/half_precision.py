"""
Text encoders with weights in half precision, computed in float32.

Owns the rewriting and the test that the copy computes the same embeddings. `onnx_graphs` has the cache, `towers` runs the graph.

Processors have no kernels for half-precision products: ONNX Runtime widens all weights at each start, which takes seconds and 1.1 GB for
SigLIP 2. So a copy is kept whose weights are wide and mapped. Only the table of tokens stays as it is, because a text reads a few of its rows.

The test: both graphs embed a few texts, and the rows agree. What the copy rounds less is all that may differ.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import cache
from pixfind.models.backends import onnx_graphs
from pixfind.storage import disk

SAME = 0.999
"""smallest cosine between the rows of the two graphs for one text"""
DIFFERENT = 0.99
"""largest cosine between the rows of two texts: were they equal, the test would prove nothing"""

Run = Callable[[Path], NDArray[np.float32]]
"""Embeds the test texts with a graph: raw rows [n, d]."""


def widened(graph: Path, run: Run) -> Path:
    """Return a tested copy of the graph that computes in float32; the graph itself where the cache takes no copy. Raises InvalidModelFile."""
    path = onnx_graphs.folder(graph) / "wide.onnx"
    # The copy only saves time: a cache that is full or read-only must not stop a search.
    with contextlib.suppress(OSError, *disk.FAILURES), cache.locked(path.parent):
        if not path.is_file() and onnx_graphs.has_space(graph):
            with cache.publishing(path) as temporary:
                candidate = temporary / path.name
                _write(graph, candidate)
                _check(graph, run(graph), run(candidate))
    return path if path.is_file() else graph


def _write(graph: Path, path: Path) -> None:
    model = onnx_graphs.load(graph)
    _widen(model.graph)
    onnx_graphs.save(model, path)


def _check(graph: Path, published: NDArray[np.float32], wide: NDArray[np.float32]) -> None:
    """Raise InvalidModelFile unless the rows agree, are finite, and differ from text to text."""
    rows, copies = _unit(published), _unit(wide)
    same = float(np.min((rows * copies).sum(axis=1))) if rows.shape == copies.shape else 0.0
    between = rows @ rows.T - 2 * np.eye(len(rows))
    # Written so that NaN fails the test.
    if not (same >= SAME and between.max() <= DIFFERENT):
        detail = f"in float32 its embeddings have a cosine of {same:.4f} to its own, and of {between.max():.4f} to each other"
        raise errors.InvalidModelFile(path=graph, detail=detail)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = rows.astype(np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


def _widen(graph: Any) -> None:
    """Let a graph compute in float32 what it computes in half precision, in place; tables from which rows are gathered stay as they are."""
    import onnx

    half, wide = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    tables = _tables(graph, half)
    for tensor in _tensors(graph):
        if tensor.data_type == half and tensor.name not in tables:
            tensor.CopyFrom(_wide(tensor))
    for node in _nodes(graph):
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = wide
    for port in (*graph.input, *graph.output):
        if port.type.tensor_type.elem_type == half:
            port.type.tensor_type.elem_type = wide
    # Types that were inferred for half precision would contradict the new ones.
    del graph.value_info[:]
    _cast_gathered(graph, tables, wide)


def _tables(graph: Any, half: int) -> set[str]:
    """Return the names of the half-precision weights that only Gather reads, as its data."""
    read = [
        (name, node.op_type == "Gather" and place == 0) for node in graph.node for place, name in enumerate(node.input)
    ]
    others = {name for name, gathered in read if not gathered}
    gathered = {name for name, gathered in read if gathered}
    return {tensor.name for tensor in graph.initializer if tensor.data_type == half} & (gathered - others)


def _cast_gathered(graph: Any, tables: set[str], wide: int) -> None:
    import onnx

    nodes = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "Gather" and node.input[0] in tables:
            name = node.output[0]
            node.output[0] = f"{name}_half"
            nodes.append(onnx.helper.make_node("Cast", [node.output[0]], [name], to=wide))
    del graph.node[:]
    graph.node.extend(nodes)


def _wide(tensor: Any) -> Any:
    import onnx

    return onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield all nodes, those of inner graphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield all weights and constants, those of inner graphs too."""
    yield from graph.initializer
    for node in _nodes(graph):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from attribute.g.initializer
