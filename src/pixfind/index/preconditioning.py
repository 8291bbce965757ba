"""
The shape of the codes: which directions deserve their bits.

Pure arithmetic on samples; must not know FAISS.

A code of x errs by about the same amount in every direction, and the error of a score is that amount times the length
of the query. Text embeddings are long where images hardly vary, so plain codes drown the differences between images in
errors that have nothing to do with them. Scores do not change when rows are multiplied by A and queries by the inverse
of its transpose; the A that makes the error smallest scales direction i by (query power / image variance)^(1/4),
which follows from Cauchy and Schwarz. A rotation after it spreads what is left evenly over the codes.
"""

import numpy as np
from numpy import float32
from numpy.typing import NDArray

_WIDEST = 30.0
"""Ratio of the largest scale to the smallest: a sample says little about directions that it hardly has."""


def shape(rows: NDArray[float32], queries: NDArray[float32] | None) -> NDArray[float32]:
    """Return A [d, d] for a sample of rows [n, d] and text-like queries [q, d] (None: rows are the only queries)."""
    centred = rows - rows.mean(axis=0)
    dimension = rows.shape[1]
    spread, directions = np.linalg.eigh((centred.T @ centred) / len(rows))
    variance = np.maximum(spread, 1e-6 * spread.max() + 1e-12)
    power: NDArray[float32] = _power(rows, directions)
    if queries is not None and len(queries):
        power = 0.5 * (power + _power(queries, directions))
    # Evenly over all directions besides: a query that resembles none of these must not be lost.
    power = power + float32(0.25 / dimension)
    scale = (power / variance) ** 0.25
    scale = np.clip(scale, np.median(scale) / np.sqrt(_WIDEST), np.median(scale) * np.sqrt(_WIDEST))
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension, dimension)))
    a: NDArray[float32] = (rotation @ (scale[:, None] * directions.T)).astype(float32)
    return a


def _power(queries: NDArray[float32], directions: NDArray[float32]) -> NDArray[float32]:
    """How queries spread over the directions; sums to 1."""
    power: NDArray[float32] = ((queries @ directions) ** 2).mean(axis=0)
    share: NDArray[float32] = power / power.sum()
    return share
