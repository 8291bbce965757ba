"""The joined calibration of several libraries is that of one with all their rows."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from numpy import float16, int64
from numpy.typing import NDArray
from tests.unit.test_calibration import BEACH, CONCEPTS, EVERYDAY, NOTHING, World, best

from pixfind.search import calibration
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.pooling import pooled

SHARES = (1_100, 700, 200)
"""rows of three libraries with different pictures"""


@pytest.fixture(scope="module")
def libraries() -> tuple[list[NDArray[float16]], ScoreCalibration, list[ScoreCalibration]]:
    """The embeddings of three libraries, and what was measured on all rows at once and on each library."""
    world = World()
    parts = [
        world.images(np.where(world.random.random(rows) < share, BEACH, world.random.integers(0, CONCEPTS, rows)))
        for rows, share in zip(SHARES, (0.0, 0.5, 0.9), strict=True)
    ]
    texts, phrases = world.texts(np.arange(EVERYDAY)), world.texts(world.random.integers(EVERYDAY, CONCEPTS, NOTHING))

    def measured(rows: NDArray[float16]) -> ScoreCalibration:
        return calibration.measure(rows, texts, phrases, lambda queries: best(rows, queries), "model", "texts")

    return parts, measured(np.concatenate(parts)), [measured(part) for part in parts]


def rows(parts: Sequence[NDArray[float16]]) -> list[int]:
    return [len(part) for part in parts]


def test_moments_and_cut_offs_are_those_of_all_rows(
    libraries: tuple[list[NDArray[float16]], ScoreCalibration, list[ScoreCalibration]],
) -> None:
    parts, whole, each = libraries
    joined = pooled(each, rows(parts))

    np.testing.assert_allclose(joined.mean, whole.mean, atol=1e-6)
    np.testing.assert_allclose(joined.covariance, whole.covariance, atol=1e-7)
    assert whole.rows == joined.rows
    assert joined.query_cutoff == pytest.approx(whole.query_cutoff, rel=1e-4)
    assert joined.image_cutoff == pytest.approx(whole.image_cutoff, rel=1e-4)
    assert joined.clear_z == pytest.approx(whole.clear_z, rel=1e-4)
    assert max(one.query_cutoff or 0 for one in each) != pytest.approx(whole.query_cutoff, rel=5e-4)


def test_z_scores_of_all_hits_are_those_of_all_rows(
    libraries: tuple[list[NDArray[float16]], ScoreCalibration, list[ScoreCalibration]],
) -> None:
    parts, whole, each = libraries
    joined = pooled(each, rows(parts))
    assert whole.negative is not None
    query = whole.negative.queries[0]
    hits = parts[1][:50]
    scores = hits.astype(np.float32) @ query

    np.testing.assert_allclose(joined.query_z(query, scores, hits), whole.query_z(query, scores, hits), atol=1e-4)
    np.testing.assert_allclose(joined.image_z(scores, hits), whole.image_z(scores, hits), atol=1e-4)


def test_a_library_of_an_older_version_gives_the_highest_cut_off_instead(
    libraries: tuple[list[NDArray[float16]], ScoreCalibration, list[ScoreCalibration]],
) -> None:
    parts, _, each = libraries
    older = dataclasses.replace(each[1], negative=None)
    joined = pooled([each[0], older, each[2]], rows(parts))

    assert max(one.query_cutoff or 0 for one in each) == joined.query_cutoff
    assert max(one.clear_z or 0 for one in each) == joined.clear_z


def test_a_library_without_texts_takes_those_of_the_others(
    libraries: tuple[list[NDArray[float16]], ScoreCalibration, list[ScoreCalibration]],
) -> None:
    parts, _, each = libraries
    joined = pooled([calibration.moments(parts[0]), *each[1:]], rows(parts))

    assert "model" == joined.model
    assert np.array_equal(each[1].text, joined.text)
    assert joined.query_cutoff is not None


def test_an_empty_library_changes_nothing(
    libraries: tuple[list[NDArray[float16]], ScoreCalibration, list[ScoreCalibration]],
) -> None:
    parts, _, each = libraries

    assert each[0] is pooled([each[0], each[1]], [len(parts[0]), 0])


def test_order_of_rows_does_not_matter() -> None:
    embeddings = World().images(np.arange(100, dtype=int64))
    one, other = calibration.moments(embeddings[:40]), calibration.moments(embeddings[40:])

    np.testing.assert_allclose(pooled([one, other], [40, 60]).mean, pooled([other, one], [60, 40]).mean, atol=1e-7)
