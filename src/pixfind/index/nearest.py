"""
The nearest of a few thousand points, for each of many.

Exact, by FAISS; the distances are those between the points as they are given. Owns nothing on disk.
"""

import numpy as np
from numpy import float32, int64
from numpy.typing import NDArray


def nearest(points: NDArray[float32], among: NDArray[float32], k: int) -> tuple[NDArray[int64], NDArray[float32]]:
    """Return which k of the points `among` [m, d] are nearest to each of `points` [n, d], nearest first, and the squares of their distances: two [n, k], k <= m."""
    import faiss

    squares, places = faiss.knn(np.ascontiguousarray(points), np.ascontiguousarray(among), min(k, len(among)))
    return places, squares
