"""
One calibration for several libraries, as if their rows lay in one.

Owns the formulas; docs/decisions/0027-one-calibration-for-a-collection.md has the reasons. Pure.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy import float32, float64
from numpy.typing import NDArray

from pixfind.search import calibration
from pixfind.search.calibration import NegativeHits, ScoreCalibration


def pooled(known: Sequence[ScoreCalibration], rows: Sequence[int]) -> ScoreCalibration:
    """
    Return the calibration of libraries with one model, each of so many rows; at least one has any.

    Mean and covariance are those of all rows: with w = rows / all rows, m = sum w m_i and C = sum w (C_i + (m_i - m)(m_i - m)'). The
    cut-offs are measured from the best hits of the negative queries in all libraries. Where one of them has not kept these, the
    highest cut-off of any library is taken.
    """
    with_rows = [(each, count) for each, count in zip(known, rows, strict=True) if count]
    if len(with_rows) == 1:
        return with_rows[0][0]
    used, counts = [each for each, _ in with_rows], [count for _, count in with_rows]
    weights = np.array(counts, dtype=float64) / sum(counts)
    means = np.array([each.mean for each in used], dtype=float64)
    mean: NDArray[float64] = weights @ means
    covariance = sum(
        weight * (each.covariance + np.outer(off, off))
        for weight, each, off in zip(weights, used, means - mean, strict=True)
    )
    # Texts do not depend on the library, only on the text encoder: that of the most rows.
    texts = max(with_rows, key=lambda each: (each[0].model != "", each[1]))[0]
    made = replace(
        texts,
        mean=mean.astype(float32),
        covariance=np.asarray(covariance, dtype=float32),
        rows=sum(counts),
        query_cutoff=None,
        image_cutoff=None,
        clear_z=None,
        negative=_joined([each for each in used if each.text_encoder == texts.text_encoder]),
    )
    if made.negative is not None and all(each.negative is not None for each in used):
        return calibration.with_cutoffs(made)
    return replace(
        made,
        query_cutoff=_highest(used, "query_cutoff"),
        image_cutoff=_highest(used, "image_cutoff"),
        clear_z=_highest(used, "clear_z"),
    )


def _joined(used: Sequence[ScoreCalibration]) -> NegativeHits | None:
    """Return the best hits of the negative queries in all libraries; None where none has kept them."""
    parts = [each.negative for each in used if each.negative is not None]
    if not parts or any(part.queries.shape != parts[0].queries.shape for part in parts):
        return None
    scores, lifted, image_z = (
        np.hstack([getattr(part, name) for part in parts]) for name in ("scores", "lifted", "image_z")
    )
    best = np.argsort(-scores, axis=1, kind="stable")[:, : max(part.scores.shape[1] for part in parts)]
    return NegativeHits(
        parts[0].queries, *(np.take_along_axis(values, best, axis=1) for values in (scores, lifted, image_z))
    )


def _highest(used: Sequence[ScoreCalibration], name: str) -> float | None:
    return max((value for each in used if (value := getattr(each, name)) is not None), default=None)
