"""
The exact scan: all rows are scored, in blocks. The reference for every other kind of index, and the second step of each.

Owns the exact scores and the order of equal ones.
Must not know that index files exist.
"""

import sys
from collections.abc import Iterator

import numpy as np
from numpy import float16, float32, int64
from numpy.typing import NDArray

from pixfind.index import faiss_threads

_BLOCK = 16_384

_FEW_QUERIES = 8
"""Up to so many queries a scan over float16 is faster than converting to float32 for a matrix product."""

_FEW_NUMBERS = 16 << 20
"""A scan of so many numbers ends sooner than the import of FAISS (50 ms), where nothing else has imported it."""

TopK = tuple[NDArray[int64], NDArray[float32]]
"""Rows [q, k] and scores [q, k], best first; row -1 and score -inf where there are fewer."""


def scan(embeddings: NDArray[float16], queries: NDArray[float32], k: int, rows: NDArray[int64] | None = None) -> TopK:
    """
    Score every row (or the given ones, ascending) and return the k best: rows [q, k'], scores [q, k'], k' <= k.

    Memory is bounded by one block, whatever the number of rows.
    """
    k = min(k, len(embeddings) if rows is None else len(rows))
    best: TopK = (np.empty((len(queries), 0), dtype=int64), np.empty((len(queries), 0), dtype=float32))
    if k == 0:
        return best
    count = len(embeddings) if rows is None else len(rows)
    halves = len(queries) <= _FEW_QUERIES and ("faiss" in sys.modules or count * embeddings.shape[1] > _FEW_NUMBERS)
    for start, block in _blocks(embeddings, rows):
        places, scores = _best_halves(block, queries, k) if halves else _best_of_block(block, queries, k, best[1])
        best = merged(best, (start + places if rows is None else rows[start + places], scores), k)
    return best


def _blocks(embeddings: NDArray[float16], rows: NDArray[int64] | None) -> Iterator[tuple[int, NDArray[float16]]]:
    # Ascending rows, so that a cold page cache reads forwards.
    count = len(embeddings) if rows is None else len(rows)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        block = embeddings[start:stop] if rows is None else embeddings[rows[start:stop]]
        yield start, np.ascontiguousarray(block)


def _best_of_block(block: NDArray[float16], queries: NDArray[float32], k: int, best: NDArray[float32]) -> TopK:
    """Return positions in the block and scores of all rows that may be among the k best, given the best scores so far [q, <= k]."""
    scores = _without_nan(queries @ block.astype(float32).T)
    if best.shape[1] < k:
        return _top(np.broadcast_to(np.arange(len(block)), scores.shape), scores, k)
    # After a few blocks hardly any row beats the k-th best so far: dropping the others first saves sorting.
    places = np.flatnonzero((scores > best[:, -1:]).any(axis=0))
    return np.broadcast_to(places, (len(queries), len(places))), scores[:, places]


def _best_halves(block: NDArray[float16], queries: NDArray[float32], k: int) -> TopK:
    # FAISS computes on float16 directly; NumPy would convert to float32 first, which takes six times as long.
    import faiss

    k = min(k, len(block))
    halves = faiss.IndexScalarQuantizer(block.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    halves.add_sa_codes(block.view(np.uint8))
    with faiss_threads.fit(queries):
        scores, places = halves.search(queries, k)
    # FAISS never returns a row of NaN; where too few others are left it returns -1.
    return np.maximum(places, 0), np.where(places < 0, -np.inf, scores).astype(float32)


def _without_nan(scores: NDArray[float32]) -> NDArray[float32]:
    # A sum is NaN if any score is: a check without a temporary array.
    return np.where(np.isnan(scores), float32(-np.inf), scores) if np.isnan(scores.sum()) else scores


def _top(rows: NDArray[int64], scores: NDArray[float32], k: int) -> TopK:
    """Return the k best by score, equal scores by row."""
    if scores.shape[1] > 8 * k:
        kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        # argpartition keeps arbitrary ones of equal scores; keep those with the lowest rows.
        floor = np.take_along_axis(scores, kept, axis=1).min(axis=1, keepdims=True)
        columns = np.flatnonzero((scores >= floor).any(axis=0))
        rows, scores = rows[:, columns], scores[:, columns]
    order = np.lexsort((rows, -scores), axis=-1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


def scores(rows: NDArray[float16], query: NDArray[float32]) -> NDArray[float32]:
    """
    Return the score [n] of each row [n, d] with one query [d], to the bit the same whatever rows it is scored with.

    A matrix product (BLAS, FAISS) adds in an order that depends on the number of rows and on the processor; this one adds pairwise.
    """
    found: NDArray[float32] = (rows.astype(float32) * query).sum(axis=1, dtype=float32)
    return found


def merged(one: TopK, two: TopK, k: int) -> TopK:
    """Return the k best of both."""
    return _top(np.hstack([one[0], two[0]]), np.hstack([one[1], two[1]]), k)


def stacked(found: list[TopK], k: int) -> TopK:
    """Return the results of single queries as one result of width k."""
    wide = [padded(rows, scores, k) for rows, scores in found]
    return np.concatenate([each[0] for each in wide]), np.concatenate([each[1] for each in wide])


def padded(rows: NDArray[int64], scores: NDArray[float32], k: int) -> TopK:
    """Return rows and scores [q, k], padded with -1 and -inf."""
    rows = np.where(np.isneginf(scores), -1, rows)
    missing = ((0, 0), (0, k - rows.shape[1]))
    return np.pad(rows, missing, constant_values=-1), np.pad(scores, missing, constant_values=-np.inf)
