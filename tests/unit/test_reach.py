"""How far words lift, with scores as models without a list of their words give them: the clear score is measured."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy import bool_, float32
from numpy.typing import NDArray
from tests.unit.test_calibration import EVERYDAY, NOTHING, World, best

from pixfind.search import calibration
from pixfind.search.ranking import Lift, Reach

ROWS, ASKED, SAYING = 3_000, 40, 8
WORD = Lift(5.0, sure=False)

Case = tuple[NDArray[float32], NDArray[bool_], NDArray[bool_]]
"""a query, which rows are right, and in which the word stands"""


@pytest.fixture(scope="module")
def cases() -> dict[str, list[tuple[float, float, float]]]:
    """Kind of question -> reciprocal ranks of the first right row: without words, with words in full, as far as they reach."""
    world = World()
    things = world.random.integers(0, EVERYDAY, ROWS)
    rows = world.images(things)
    nothing = world.texts(np.arange(EVERYDAY, EVERYDAY + NOTHING))
    known = calibration.measure(rows, world.texts(np.arange(EVERYDAY)), nothing, lambda each: best(rows, each), "model")

    def ranks(query: NDArray[float32], right: NDArray[bool_], says: NDArray[bool_]) -> tuple[float, float, float]:
        scores, unit, clear = rows.astype(float32) @ query, known.standard_deviation(query), known.clear_score(query)
        lifts = [Reach(clear, clear).lift(score, WORD, unit) for score in scores.tolist()]
        looks = scores / unit
        return (
            first(looks, right),
            first(looks + WORD.worth * says, right),
            first(looks + np.array(lifts) * says, right),
        )

    return {
        kind: [ranks(*case) for case in made(world, things)]
        for kind, made in (("looks", look_cases), ("text", text_cases), ("both", both_cases))
    }


def first(standing: NDArray[float32], right: NDArray[bool_]) -> float:
    return 1 / (1 + int(np.flatnonzero(right[np.argsort(-standing, kind="stable")])[0]))


def saying(world: World) -> NDArray[bool_]:
    says = np.zeros(ROWS, dtype=bool)
    says[world.random.integers(0, ROWS, SAYING)] = True
    return says


def look_cases(world: World, things: NDArray[np.int64]) -> Iterator[Case]:
    """The pictures of a thing are right, and not those that say its name."""
    for thing in range(ASKED):
        yield world.texts(np.array([thing]))[0], things == thing, saying(world)


def text_cases(world: World, things: NDArray[np.int64]) -> Iterator[Case]:  # noqa: ARG001  as the others
    """A word for what no picture shows."""
    for thing in range(EVERYDAY + NOTHING, EVERYDAY + NOTHING + ASKED):
        says = saying(world)
        yield world.texts(np.array([thing]))[0], says, says


def both_cases(world: World, things: NDArray[np.int64]) -> Iterator[Case]:
    """One picture shows the thing and says the word; others do one of the two."""
    for thing in range(ASKED):
        both = np.arange(ROWS) == np.flatnonzero(things == thing)[0]
        yield world.texts(np.array([thing]))[0], both, saying(world) | both


def test_words_push_nothing_aside_that_clearly_shows_what_is_asked(
    cases: dict[str, list[tuple[float, float, float]]],
) -> None:
    without, in_full, reached = np.mean(cases["looks"], axis=0)
    assert in_full < 0.7
    assert reached >= 0.95 * without


@pytest.mark.parametrize(("kind", "least"), [("text", 0.85), ("both", 0.6)])
def test_what_no_score_can_tell_is_found_by_the_word(
    cases: dict[str, list[tuple[float, float, float]]], kind: str, least: float
) -> None:
    without, _, reached = np.mean(cases[kind], axis=0)
    assert without < 0.3
    assert reached >= least
