"""
What scores mean, on libraries with the geometry of CLIP-like models.

Images and texts each lie around an offset of their own; a text and a picture of the same thing have a cosine about 0.1 above
that of a text and any other picture.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy import float16, float32, int64
from numpy.typing import NDArray

from pixfind.search import calibration
from pixfind.search.calibration import NegativeHits, ScoreCalibration

DIMENSION, CONCEPTS, EVERYDAY, NOTHING = 256, 400, 200, 60
BEACH = 0
ROWS = 2_000


class World:
    """Things, and how pictures and texts of them embed."""

    def __init__(self, seed: int = 5) -> None:
        self.random = np.random.default_rng(seed)
        self.things = self._noise(CONCEPTS)
        self.image_offset, self.text_offset = self._noise(2)
        self.text_offset = unit(self.text_offset + 0.2 * self.image_offset)

    def images(self, things: NDArray[int64]) -> NDArray[float16]:
        rows = 0.75 * self.image_offset + 0.45 * self.things[things] + 0.5 * self._noise(len(things))
        return unit(rows).astype(float16)

    def texts(self, things: NDArray[int64]) -> NDArray[float32]:
        return unit(0.8 * self.text_offset + 0.45 * self.things[things] + 0.4 * self._noise(len(things)))

    def _noise(self, rows: int) -> NDArray[float32]:
        return unit(self.random.standard_normal((rows, DIMENSION)))


def unit(rows: NDArray[np.floating]) -> NDArray[float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(float32)


def best(embeddings: NDArray[float16], queries: NDArray[float32]) -> tuple[NDArray[int64], NDArray[float32]]:
    scores = queries @ embeddings.T.astype(float32)
    rows = np.argsort(-scores, axis=1)[:, :10]
    return rows, np.take_along_axis(scores, rows, axis=1)


def judged(made: ScoreCalibration, embeddings: NDArray[float16], query: NDArray[float32]) -> list[bool]:
    """Which of the ten best hits are shown."""
    return all_judged(made, embeddings, query[None])[0]


def all_judged(made: ScoreCalibration, embeddings: NDArray[float16], queries: NDArray[float32]) -> list[list[bool]]:
    """The same of many queries, in a fraction of the time."""
    rows, scores = best(embeddings, queries)
    fitting = made.image_z(scores.ravel(), embeddings[rows.ravel()]).reshape(scores.shape)
    unusual = [made.query_z(query, *hits) for query, *hits in zip(queries, scores, embeddings[rows], strict=True)]
    return [
        [made.above_cutoff(*pair) for pair in zip(one.tolist(), other.tolist(), strict=True)]
        for one, other in zip(unusual, fitting, strict=True)
    ]


@pytest.fixture
def world() -> World:
    return World()


def library(world: World, share: float) -> tuple[NDArray[float16], ScoreCalibration]:
    """So many of the pictures show a beach, the others one everyday thing each."""
    others = world.random.integers(1, EVERYDAY, ROWS)
    embeddings = world.images(np.where(world.random.random(ROWS) < share, BEACH, others))
    everyday = world.texts(np.arange(EVERYDAY))
    nothing = world.texts(np.arange(EVERYDAY, EVERYDAY + NOTHING))
    return embeddings, calibration.measure(embeddings, everyday, nothing, lambda q: best(embeddings, q), "model")


@pytest.fixture(params=[0.95, 0.005], ids=["nearly all beaches", "hardly any beach"])
def measured(request: pytest.FixtureRequest, world: World) -> tuple[NDArray[float16], ScoreCalibration]:
    return library(world, request.param)


def test_a_thing_is_found_however_many_pictures_show_it(
    world: World, measured: tuple[NDArray[float16], ScoreCalibration]
) -> None:
    embeddings, made = measured
    shown = [any(judged(made, embeddings, query)) for query in world.texts(np.full(50, BEACH))]

    assert np.mean(shown) >= 0.95


def test_what_nearly_every_picture_shows_is_not_unusual_there(world: World) -> None:
    """Why there are two measures."""
    embeddings, made = library(world, 0.95)
    query = world.texts(np.array([BEACH]))[0]
    rows, scores = (each[0] for each in best(embeddings, query[None]))

    assert made.query_cutoff is not None
    assert made.query_z(query, scores, embeddings[rows]).max() < made.query_cutoff


@pytest.mark.parametrize("share", [0.95, 0.005])
def test_phrases_that_no_picture_shows_stay_hidden_in_most_cases(share: float) -> None:
    """Others than those of the calibration; one world alone may be lucky or unlucky with its sixty phrases."""
    passed = []
    for seed in range(5):
        world = World(seed)
        embeddings, made = library(world, share)
        others = world.texts(np.arange(EVERYDAY + NOTHING, CONCEPTS))
        passed += [any(shown) for shown in all_judged(made, embeddings, others)]

    assert np.mean(passed) <= 0.15


def test_no_more_than_a_tenth_of_the_calibrating_phrases_passes(world: World) -> None:
    embeddings = world.images(world.random.integers(0, EVERYDAY, ROWS))
    nothing = world.texts(np.arange(EVERYDAY, EVERYDAY + NOTHING))
    made = calibration.measure(
        embeddings, world.texts(np.arange(EVERYDAY)), nothing, lambda queries: best(embeddings, queries), "model"
    )

    assert sum(any(shown) for shown in all_judged(made, embeddings, nothing)) <= NOTHING / 10


def test_how_fitting_a_hit_is_follows_from_the_scores_of_the_everyday_texts_on_it(world: World) -> None:
    """Brute force over the texts."""
    embeddings = world.images(world.random.integers(0, EVERYDAY, 100))
    everyday = world.texts(np.arange(EVERYDAY))
    made = calibration.measure(embeddings, everyday, everyday[:0], lambda queries: best(embeddings, queries), "model")
    query = world.texts(np.array([7]))[0]
    scores = embeddings.astype(float32) @ query

    over_texts = embeddings.astype(np.float64) @ everyday.T
    right = (scores - over_texts.mean(axis=1)) / over_texts.std(axis=1)
    assert right == pytest.approx(made.image_z(scores, embeddings), abs=1e-3)


@pytest.mark.parametrize(("texts", "phrases"), [(EVERYDAY, 19), (19, NOTHING)])
def test_too_few_phrases_make_no_cut_off_and_everything_is_shown(world: World, texts: int, phrases: int) -> None:
    embeddings = world.images(world.random.integers(0, EVERYDAY, 100))
    made = calibration.measure(
        embeddings,
        world.texts(np.arange(texts)),
        world.texts(np.arange(phrases)),
        lambda queries: best(embeddings, queries),
        "model",
    )

    assert (None, None) == (made.query_cutoff, made.image_cutoff)
    assert made.above_cutoff(-100.0, -100.0)


def test_what_was_measured_comes_back_from_its_file(world: World, tmp_path: Path) -> None:
    _, made = library(world, 0.5)
    calibration.save(tmp_path / "background.npz", made)

    again = calibration.load(tmp_path / "background.npz", "model", DIMENSION)
    assert again is not None
    assert made.negative is not None
    assert again.negative is not None
    for name in set(ScoreCalibration.__slots__) - {"negative"}:
        assert np.array_equal(getattr(made, name), getattr(again, name)), name
    for name in NegativeHits.__slots__:
        assert np.array_equal(getattr(made.negative, name), getattr(again.negative, name)), name
    assert calibration.load(tmp_path / "background.npz", "model", DIMENSION + 1) is None


def test_few_queries_that_nothing_answers_have_a_clear_hit_and_most_that_something_answers_have(world: World) -> None:
    embeddings = world.images(world.random.integers(0, EVERYDAY, ROWS))
    everyday, nothing = world.texts(np.arange(EVERYDAY)), world.texts(np.arange(EVERYDAY, EVERYDAY + NOTHING))
    made = calibration.measure(embeddings, everyday, nothing, lambda queries: best(embeddings, queries), "model")

    def clear(queries: NDArray[float32]) -> float:
        return float(np.mean([best(embeddings, query[None])[1].max() >= made.clear_score(query) for query in queries]))

    assert clear(nothing) == pytest.approx(0.1, abs=0.02)
    assert clear(world.texts(np.arange(EVERYDAY + NOTHING, CONCEPTS))) < 0.2
    assert clear(everyday) > 0.9


def test_without_negative_hits_a_clear_score_is_that_of_the_best_of_as_many_by_chance(world: World) -> None:
    query = world.texts(np.array([BEACH]))[0]
    made = [calibration.moments(world.images(world.random.integers(1, EVERYDAY, rows))) for rows in (100, ROWS)]
    above = [(one.clear_score(query) - query @ one.mean) / one.standard_deviation(query) for one in made]

    assert above == pytest.approx([3.035, 3.899], abs=0.01)
