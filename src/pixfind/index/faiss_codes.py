"""
Codes: FAISS indexes, from training to bytes on disk.

Owns every call of FAISS but the exact scan's.
Must not know which kind is chosen, nor why; `build` decides and measures.

The outer FAISS index applies the transform of queries, so that plain FAISS can search the file. Rows need a different
transform (see `preconditioning`), so `add` adds them to the inner index, never through the outer one.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy import float16, float32
from numpy.typing import NDArray

from pixfind.index import faiss_threads
from pixfind.index.header import IndexHeader, IndexKind

_BLOCK = 16_384
_ROUNDS = 8
"""of k-means: enough for centroids of one or two dimensions to converge"""
_LISTS_PER_ROOT = 2
_GRAPH_LINKS = 16
_GRAPH_DEPTH = 32
"""of the graph of centroids that assigns rows to lists: nine of ten get the nearest, at a sixth of the time of a scan"""
_GRAPH_ROWS = 200_000
"""from which the graph is worth its own making, some seconds"""


def empty(dimension: int) -> Any:
    """Return an index for IndexKind.EXACT: float16 rows without codes, so that plain FAISS can search a small file too."""
    import faiss

    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def train(kind: IndexKind, sample: NDArray[float32], a: NDArray[float32], rows: int) -> Any:
    """Return a trained index without rows, from a sample [n, d] and a preconditioner `a` [d, d]; `rows` is how many will be added."""
    import faiss

    dimension = sample.shape[1]
    transformed = sample @ a.T
    inner = _lists(transformed, rows) if kind is IndexKind.IVF_PQ else _flat(dimension, kind)
    inner.pq.cp.niter = _ROUNDS
    with faiss_threads.one():
        # Hundreds of tiny k-means: on a busy machine synchronizing threads takes ten times as long as the work.
        inner.train(transformed)
    transform = faiss.LinearTransform(dimension, dimension, False)
    faiss.copy_array_to_vector(np.linalg.inv(a).T.astype(float32).ravel(), transform.A)
    transform.is_trained = True
    return faiss.IndexPreTransform(transform, inner)


def _flat(dimension: int, kind: IndexKind) -> Any:
    import faiss

    # An odd dimension cannot be split into pairs, so each dimension gets its own code.
    pieces = dimension if kind is IndexKind.PQ4 or dimension % 2 else dimension // 2
    return faiss.IndexPQFastScan(dimension, pieces, 4, faiss.METRIC_INNER_PRODUCT)


def _lists(sample: NDArray[float32], rows: int) -> Any:
    import faiss

    dimension = sample.shape[1]
    pieces = dimension if dimension % 2 else dimension // 2
    lists = max(16, int(_LISTS_PER_ROOT * rows**0.5))
    # Rows are assigned to the nearest centroid by L2 distance: by inner product the longest centroids would attract all of them.
    nearest = faiss.IndexFlatL2(dimension)
    inner = faiss.IndexIVFPQFastScan(nearest, dimension, lists, pieces, 4, faiss.METRIC_INNER_PRODUCT)
    inner.by_residual = False
    # Here and not in `inner.train`, which gets one thread for its many small ones: this is one large k-means.
    clustering = faiss.Clustering(dimension, lists)
    clustering.niter = _ROUNDS
    clustering.min_points_per_centroid = 1
    clustering.train(sample, nearest)
    return inner


def add(codes: Any, embeddings: NDArray[float16], start: int, progress: Callable[[int, int], None] | None) -> None:
    """Add the rows [n, d] from `start` on; `progress` is called with (rows done, rows in total)."""
    import faiss

    inner, a = _inner(codes), _preconditioner_of(codes)
    if hasattr(inner, "nprobe"):
        inner.quantizer = _set_quantizer(inner, _nearest(inner.d, len(embeddings) - start))
    elif hasattr(inner, "bbs"):
        _reserve(inner, len(embeddings))
    # The same buffers for every block: clearing new pages would take the system as long as the arithmetic.
    wide, transformed = (np.empty((_BLOCK, embeddings.shape[1]), float32) for _ in range(2))
    for place in range(start, len(embeddings), _BLOCK):
        block = wide[: min(_BLOCK, len(embeddings) - place)]
        np.copyto(block, embeddings[place : place + len(block)])
        inner.add(block if a is None else np.matmul(block, a.T, out=transformed[: len(block)]))
        if progress:
            progress(place + len(block), len(embeddings))
    if hasattr(inner, "nprobe"):
        # Queries are assigned by the largest inner product, unlike rows.
        inner.quantizer = _set_quantizer(inner, faiss.IndexFlatIP(inner.d))
    codes.ntotal = inner.ntotal


def _reserve(inner: Any, rows: int) -> None:
    """
    Make room for the codes of so many rows at once.

    FAISS would grow it by powers of two, and hold the old and the new codes while it copies. As `IndexFastScan::add` does: whole blocks of
    rows, cleared, because what follows the last row is written to the file too.
    """
    blocks = -(-rows // inner.bbs)
    before, size = inner.codes.size(), blocks * inner.bbs * inner.M2 // 2
    if size > before:
        inner.codes.resize(size)
        ctypes.memset(int(inner.codes.get()) + before, 0, size - before)


def _nearest(dimension: int, rows: int) -> Any:
    """Return an empty index that finds the list of each of so many rows."""
    import faiss

    if rows < _GRAPH_ROWS:
        return faiss.IndexFlatL2(dimension)
    graph = faiss.IndexHNSWFlat(dimension, _GRAPH_LINKS)
    graph.hnsw.efSearch = _GRAPH_DEPTH
    return graph


def _set_quantizer(inner: Any, new: Any) -> Any:
    """Give the centroids of the lists to another index, which finds lists from now on."""
    import faiss

    old = faiss.downcast_index(inner.quantizer)
    new.add(old.reconstruct_n(0, old.ntotal))
    # A Python reference keeps the object alive as long as the index.
    inner.own_fields = False
    inner.referenced_objects = [new]
    return new


def _inner(codes: Any) -> Any:
    import faiss

    return faiss.downcast_index(codes.index) if hasattr(codes, "chain") else codes


def _preconditioner_of(codes: Any) -> NDArray[float32] | None:
    import faiss

    if not hasattr(codes, "chain"):
        return None
    transform: Any = faiss.downcast_VectorTransform(codes.chain.at(0))
    queries: NDArray[float32] = faiss.vector_to_array(transform.A).reshape(codes.d, codes.d)
    a: NDArray[float32] = np.linalg.inv(queries).T.astype(float32)
    return a


def probe(codes: Any, probes: int) -> None:
    """Set how many inverted lists are scanned for a query; 0 for kinds without lists."""
    if probes:
        _inner(codes).nprobe = probes


def search(codes: Any, queries: NDArray[float32], count: int) -> NDArray[np.int64]:
    """Return candidate rows [q, count] for unit queries [q, d], highest approximate score first, padded with -1."""
    with faiss_threads.fit(queries):
        _, rows = codes.search(queries, count)
    found: NDArray[np.int64] = rows
    return found


def write(codes: Any, path: Path) -> None:
    """Write the FAISS part of an index file; raises OSError."""
    import faiss

    try:
        if path.as_posix().isprintable():
            faiss.write_index(codes, str(path))
            return
        # FAISS takes text alone for a name, and this one is none.
        with path.open("wb") as file:
            faiss.write_index(codes, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
    except RuntimeError as error:
        # FAISS reports errors of the system as text only.
        for number in errno.errorcode:
            if f"({os.strerror(number)})" in str(error) or str(error).endswith(os.strerror(number)):
                raise OSError(number, os.strerror(number)) from error
        raise


def load(path: Path, header: IndexHeader) -> Any | None:
    """Return the index that `write` wrote; None when FAISS cannot read it or it does not fit the header."""
    import faiss

    try:
        # Not memory-mapped: FAISS aligns codes for fast scans, and copies them even from a mapped file.
        if path.as_posix().isprintable():
            codes = faiss.read_index(str(path))
        else:
            with path.open("rb") as file:
                codes = faiss.read_index(faiss.PyCallbackIOReader(file.read))  # type: ignore[attr-defined]
    except RuntimeError:
        return None
    if codes.d != header.dimension or (header.kind is not IndexKind.EXACT and codes.ntotal != header.rows):
        return None
    probe(codes, header.probes)
    return codes
