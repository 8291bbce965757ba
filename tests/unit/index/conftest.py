"""Rows and queries that look like embeddings, and the answer that every index has to give."""

from pathlib import Path

import numpy as np
import pytest
from numpy import float16, float32, int64
from numpy.typing import NDArray

ROWS, DIMENSION = 2_500, 32


def unit(rows: NDArray[np.float64]) -> NDArray[float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(float32)


def make(rows: int, seed: int = 0, dimension: int = DIMENSION) -> NDArray[float16]:
    """Clusters around a common direction, as images have them."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((20, dimension))
    return unit(1 + centres[random.integers(0, 20, rows)] + random.standard_normal((rows, dimension))).astype(float16)


def make_queries(count: int, dimension: int = DIMENSION) -> NDArray[float32]:
    """Far from all images, as texts are."""
    random = np.random.default_rng(9)
    return unit(random.standard_normal((count, dimension)) - 1)


def brute_force(
    embeddings: NDArray[float16], queries: NDArray[float32], k: int, rows: NDArray[int64]
) -> tuple[NDArray[int64], NDArray[np.float64]]:
    scores = queries.astype(np.float64) @ embeddings[rows].astype(np.float64).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows[order], np.take_along_axis(scores, order, axis=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faiss.index"
