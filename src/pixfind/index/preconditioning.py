"""
Preconditioning of embeddings for product quantization (PQ): a scale for each axis, then a rotation.

Pure arithmetic on samples; must not know FAISS.

PQ makes about the same error along every axis, and the error of a score grows with the query's component along that axis. Text embeddings
have large components along axes on which images hardly vary, so plain codes add errors to the scores that are larger than the differences
between images. Inner products do not change when rows are multiplied by A and queries by the inverse of its transpose. The A with the
smallest expected error scales principal axis i by (query power / image variance)^(1/4), which follows from the Cauchy-Schwarz inequality.
A random rotation afterwards distributes the remaining variance evenly over the codes, as the rotation in OPQ does (Ge et al., 2013).
"""

import numpy as np
from numpy import float32
from numpy.typing import NDArray

_MAX_CONDITION = 30.0
"""Ratio of the largest scale to the smallest: a sample estimates small variances badly."""


def preconditioner(rows: NDArray[float32], queries: NDArray[float32] | None) -> NDArray[float32]:
    """Return A [d, d] for a sample of rows [n, d] and text-like queries [q, d] (None: rows are the only queries)."""
    centred = rows - rows.mean(axis=0)
    dimension = rows.shape[1]
    spread, directions = np.linalg.eigh((centred.T @ centred) / len(rows))
    variance = np.maximum(spread, 1e-6 * spread.max() + 1e-12)
    power: NDArray[float32] = _power(rows, directions)
    if queries is not None and len(queries):
        power = 0.5 * (power + _power(queries, directions))
    # Plus a uniform share, so that queries unlike this sample keep some precision on every axis.
    power = power + float32(0.25 / dimension)
    scale = (power / variance) ** 0.25
    scale = np.clip(scale, np.median(scale) / np.sqrt(_MAX_CONDITION), np.median(scale) * np.sqrt(_MAX_CONDITION))
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension, dimension)))
    a: NDArray[float32] = (rotation @ (scale[:, None] * directions.T)).astype(float32)
    return a


def _power(queries: NDArray[float32], directions: NDArray[float32]) -> NDArray[float32]:
    """Return the share of the queries' power along each direction [d]; sums to 1."""
    power: NDArray[float32] = ((queries @ directions) ** 2).mean(axis=0)
    share: NDArray[float32] = power / power.sum()
    return share
