"""
The codes: FAISS objects, from training to bytes on disk.

Owns every call of FAISS but the exact scan's.
Must not know which kind is chosen, nor why; `build` decides and measures.

The outer FAISS index holds the query's transform, so that plain FAISS searches the file correctly. Rows need another
one (see `preconditioning`), so they are added to the inner index by `add`, never through the outer one.
"""

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
"""of k-means; the centroids of two or four dimensions have settled by then"""
_LISTS_PER_ROOT = 4


def empty(dimension: int) -> Any:
    """Codes for IndexKind.EXACT: the rows as they are, so that a small file answers plain FAISS too."""
    import faiss

    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def train(kind: IndexKind, sample: NDArray[float32], a: NDArray[float32], rows: int) -> Any:
    """Make codes without rows from a sample [n, d]; `a` shapes them, `rows` is how many will be added."""
    import faiss

    dimension = sample.shape[1]
    inner = _lists(dimension, rows) if kind is IndexKind.LISTS else _flat(dimension, kind)
    inner.pq.cp.niter = _ROUNDS
    with faiss_threads.one():
        # Hundreds of tiny k-means: waiting for each other takes threads ten times as long on a busy machine.
        inner.train(sample @ a.T)
    transform = faiss.LinearTransform(dimension, dimension, False)
    faiss.copy_array_to_vector(np.linalg.inv(a).T.astype(float32).ravel(), transform.A)
    transform.is_trained = True
    return faiss.IndexPreTransform(transform, inner)


def _flat(dimension: int, kind: IndexKind) -> Any:
    import faiss

    # An odd dimension cannot be cut in pairs; one dimension a code is the finer choice.
    pieces = dimension if kind is IndexKind.WIDE or dimension % 2 else dimension // 2
    return faiss.IndexPQFastScan(dimension, pieces, 4, faiss.METRIC_INNER_PRODUCT)


def _lists(dimension: int, rows: int) -> Any:
    import faiss

    pieces = dimension if dimension % 2 else dimension // 2
    lists = max(16, int(_LISTS_PER_ROOT * rows**0.5))
    # Rows go to the list whose centre is nearest; by inner product the longest centres would draw them all.
    inner = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatL2(dimension), dimension, lists, pieces, 4, faiss.METRIC_INNER_PRODUCT
    )
    inner.by_residual = False
    inner.cp.niter = _ROUNDS
    return inner


def add(codes: Any, embeddings: NDArray[float16], start: int, progress: Callable[[int, int], None] | None) -> None:
    """Add rows `start` and later."""
    import faiss

    inner, a = _inner(codes), _shape_of(codes)
    if hasattr(inner, "nprobe"):
        inner.quantizer = _centres(inner, faiss.IndexFlatL2)
    # The same memory for every block: the system clears each new page, which costs as much as the arithmetic.
    wide, shaped = (np.empty((_BLOCK, embeddings.shape[1]), float32) for _ in range(2))
    for place in range(start, len(embeddings), _BLOCK):
        block = wide[: min(_BLOCK, len(embeddings) - place)]
        np.copyto(block, embeddings[place : place + len(block)])
        inner.add(block if a is None else np.matmul(block, a.T, out=shaped[: len(block)]))
        if progress:
            progress(place + len(block), len(embeddings))
    if hasattr(inner, "nprobe"):
        # Queries, unlike rows, look for the largest inner product.
        inner.quantizer = _centres(inner, faiss.IndexFlatIP)
    codes.ntotal = inner.ntotal


def _centres(inner: Any, kind: Any) -> Any:
    import faiss

    old = faiss.downcast_index(inner.quantizer)
    new = kind(inner.d)
    new.add(old.reconstruct_n(0, old.ntotal))
    # Python's reference keeps the object alive for as long as the index lives.
    inner.own_fields = False
    inner.referenced_objects = [new]
    return new


def _inner(codes: Any) -> Any:
    import faiss

    return faiss.downcast_index(codes.index) if hasattr(codes, "chain") else codes


def _shape_of(codes: Any) -> NDArray[float32] | None:
    import faiss

    if not hasattr(codes, "chain"):
        return None
    transform: Any = faiss.downcast_VectorTransform(codes.chain.at(0))
    queries: NDArray[float32] = faiss.vector_to_array(transform.A).reshape(codes.d, codes.d)
    a: NDArray[float32] = np.linalg.inv(queries).T.astype(float32)
    return a


def probe(codes: Any, probes: int) -> None:
    """Set how many lists a query looks into, where there are lists."""
    if probes:
        _inner(codes).nprobe = probes


def search(codes: Any, queries: NDArray[float32], count: int) -> NDArray[np.int64]:
    """Return [q, count] rows, the most promising first, padded with -1."""
    with faiss_threads.fit(queries):
        _, rows = codes.search(queries, count)
    found: NDArray[np.int64] = rows
    return found


def write(codes: Any, path: Path) -> None:
    """Write the FAISS part of an index file."""
    import faiss

    try:
        faiss.write_index(codes, str(path))
    except RuntimeError as error:
        # FAISS tells what the system said in words only.
        for number in errno.errorcode:
            if f"({os.strerror(number)})" in str(error) or str(error).endswith(os.strerror(number)):
                raise OSError(number, os.strerror(number)) from error
        raise


def load(path: Path, header: IndexHeader) -> Any | None:
    """Return what `write` wrote, None when FAISS cannot make sense of it."""
    import faiss

    try:
        # Not mapped: FAISS keeps codes for fast scans aligned, and copies them even where it maps the file.
        codes = faiss.read_index(str(path))
    except RuntimeError:
        return None
    if codes.d != header.dimension or (header.kind is not IndexKind.EXACT and codes.ntotal != header.rows):
        return None
    probe(codes, header.probes)
    return codes
