"""
The exact scan: every row scored, in blocks. The oracle of every other way to search, and the second half of each.

Owns the exact scores and the order of equal ones.
Must not know that index files exist.
"""

from collections.abc import Iterator

import numpy as np
from numpy import float16, float32, int64
from numpy.typing import NDArray

from pixfind.index import faiss_threads

_BLOCK = 16_384

_FEW_QUERIES = 8
"""Up to here a scan over half floats beats one matrix product over widened ones."""

Found = tuple[NDArray[int64], NDArray[float32]]
"""Rows [q, k] and scores [q, k], best first; row -1 and score -inf where there are fewer."""


def scan(embeddings: NDArray[float16], queries: NDArray[float32], k: int, rows: NDArray[int64] | None = None) -> Found:
    """
    Score every row (or the given ones, ascending) and return the k best: rows [q, k'], scores [q, k'], k' <= k.

    Memory is bounded by one block, whatever the number of rows.
    """
    k = min(k, len(embeddings) if rows is None else len(rows))
    best: Found = (np.empty((len(queries), 0), dtype=int64), np.empty((len(queries), 0), dtype=float32))
    if k == 0:
        return best
    for start, block in _blocks(embeddings, rows):
        places, scores = _best_of_block(block, queries, k, best[1])
        best = merged(best, (start + places if rows is None else rows[start + places], scores), k)
    return best


def _blocks(embeddings: NDArray[float16], rows: NDArray[int64] | None) -> Iterator[tuple[int, NDArray[float16]]]:
    # Ascending rows, so that a cold page cache reads forwards.
    count = len(embeddings) if rows is None else len(rows)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        block = embeddings[start:stop] if rows is None else embeddings[rows[start:stop]]
        yield start, np.ascontiguousarray(block)


def _best_of_block(block: NDArray[float16], queries: NDArray[float32], k: int, best: NDArray[float32]) -> Found:
    """Places in the block and scores of all that may be among the k best, given the best scores so far [q, <= k]."""
    if len(queries) <= _FEW_QUERIES:
        return _best_halves(block, queries, min(k, len(block)))
    scores = _without_nan(queries @ block.astype(float32).T)
    if best.shape[1] < k:
        return _top(np.broadcast_to(np.arange(len(block)), scores.shape), scores, k)
    # Soon hardly a row of a block beats the k-th so far: dropping the others first saves the sorting.
    places = np.flatnonzero((scores > best[:, -1:]).any(axis=0))
    return np.broadcast_to(places, (len(queries), len(places))), scores[:, places]


def _best_halves(block: NDArray[float16], queries: NDArray[float32], k: int) -> Found:
    # FAISS scores half floats as they lie; NumPy would widen them first, which takes six times as long.
    import faiss

    halves = faiss.IndexScalarQuantizer(block.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    halves.add_sa_codes(block.view(np.uint8))
    with faiss_threads.fit(queries):
        scores, places = halves.search(queries, k)
    # A row of NaN wins no comparison; where too few others are left the place is -1.
    return np.maximum(places, 0), np.where(places < 0, -np.inf, scores).astype(float32)


def _without_nan(scores: NDArray[float32]) -> NDArray[float32]:
    # The sum of many is NaN when one of them is: a pass that writes nothing.
    return np.where(np.isnan(scores), float32(-np.inf), scores) if np.isnan(scores.sum()) else scores


def _top(rows: NDArray[int64], scores: NDArray[float32], k: int) -> Found:
    """The k best by score, equal scores by row."""
    if scores.shape[1] > 8 * k:
        kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        # Which of several equal rows the partition kept is chance; take them by row.
        floor = np.take_along_axis(scores, kept, axis=1).min(axis=1, keepdims=True)
        columns = np.flatnonzero((scores >= floor).any(axis=0))
        rows, scores = rows[:, columns], scores[:, columns]
    order = np.lexsort((rows, -scores), axis=-1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


def merged(one: Found, two: Found, k: int) -> Found:
    """The k best of both."""
    return _top(np.hstack([one[0], two[0]]), np.hstack([one[1], two[1]]), k)


def stacked(found: list[Found], k: int) -> Found:
    """Answers to single queries as one answer, k wide."""
    wide = [padded(rows, scores, k) for rows, scores in found]
    return np.concatenate([each[0] for each in wide]), np.concatenate([each[1] for each in wide])


def padded(rows: NDArray[int64], scores: NDArray[float32], k: int) -> Found:
    """As wide as asked."""
    rows = np.where(np.isneginf(scores), -1, rows)
    missing = ((0, 0), (0, k - rows.shape[1]))
    return np.pad(rows, missing, constant_values=-1), np.pad(scores, missing, constant_values=-np.inf)
