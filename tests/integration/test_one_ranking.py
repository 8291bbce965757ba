"""What pictures show, what they say and what they are called, ranked together: each helps, and none hides the others."""

import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from pixfind.embedding.runners.serial import Serial
from pixfind.library import fulltext, verify
from pixfind.library.library import Library
from pixfind.search import words
from pixfind.search.query import parse
from pixfind.search.ranking import Lift, Reach
from pixfind.search.searcher import Searcher
from pixfind.testing import written
from pixfind.testing.libraries import QUIET
from pixfind.testing.written import Drawn, Question
from pixfind.workflows.index import index

Figures = dict[str, float]
QUESTIONS: dict[str, Callable[[Sequence[Drawn]], list[Question]]] = {
    "looks": written.look_questions,
    "one word": written.word_questions,
    "two words": written.text_questions,
    "mixed": written.mixed_questions,
    "folder": written.name_questions,
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, list[Drawn], Figures, Figures]]:
    """A library of drawn pictures, and the mean reciprocal rank of its questions before and after their text is there."""
    place = tmp_path_factory.mktemp("written")
    drawn = written.draw_set(place / "pictures", 120, size=(160, 120))
    with Library.create(place / "library") as library:
        index(library, [place / "pictures"], QUIET, runner=Serial())
        before = figures(library, drawn)
        written.keep_as_written(library, drawn)
        with library.lock("index"):
            fulltext.update(library)
        yield library, drawn, before, figures(library, drawn)
        assert [] == verify.verify(library)


def figures(library: Library, drawn: Sequence[Drawn]) -> Figures:
    with Searcher(library) as opened:
        return {
            kind: statistics.mean(reciprocal_rank(opened, question) for question in questions(drawn))
            for kind, questions in QUESTIONS.items()
        }


def reciprocal_rank(opened: Searcher, question: Question) -> float:
    hits = opened.search(question.query, 10, include_weak=True).hits
    return next((1 / hit.rank for hit in hits if hit.path in question.right), 0.0)


def test_what_a_picture_shows_is_found_as_before_although_others_say_the_word(
    measured: tuple[Library, list[Drawn], Figures, Figures],
) -> None:
    _, _, before, after = measured

    assert before["looks"] > 0.5
    assert after["looks"] >= 0.95 * before["looks"]


@pytest.mark.parametrize(("kind", "least"), [("one word", 0.8), ("two words", 0.8), ("mixed", 0.7), ("folder", 0.3)])
def test_what_a_picture_says_and_is_called_is_found(
    measured: tuple[Library, list[Drawn], Figures, Figures], kind: str, least: float
) -> None:
    _, _, before, after = measured

    assert before[kind] < least <= after[kind]


def test_every_k_is_the_beginning_of_a_larger_one(measured: tuple[Library, list[Drawn], Figures, Figures]) -> None:
    library, drawn, *_ = measured
    queries = [question.query for questions in QUESTIONS.values() for question in questions(drawn)[:8]]
    with Searcher(library) as opened:
        for query in queries:
            every = [hit.path for hit in opened.search(query, 100, include_weak=True).hits]
            for k in (1, 5, 30):
                assert every[:k] == [hit.path for hit in opened.search(query, k, include_weak=True).hits]


# --- how far a lift goes --------------------------------------------------------------------------

UNIT = 0.01


def standing(reach: Reach, score: float, lift: Lift) -> float:
    return score / UNIT + reach.lift(score, lift, UNIT)


def test_one_word_lifts_an_image_as_far_as_its_reach_and_keeps_the_order_by_looks() -> None:
    reach, word = Reach(0.30, 0.30), Lift(4.0, sure=False)

    assert 4.0 == reach.lift(0.25, word, UNIT)
    assert 30.0 < standing(reach, 0.29, word) < 30.5
    assert standing(reach, 0.29, word) < standing(reach, 0.29, Lift(5.0, sure=False))
    for each in (reach, Reach(0.30, 0.33)):
        scores = [standing(each, score, word) for score in np.linspace(0.2, 0.4, 100).tolist()]
        assert sorted(scores) == scores


def test_an_image_that_shows_what_it_says_is_lifted_in_full() -> None:
    assert 4.0 == Reach(0.30, 0.33).lift(0.33, Lift(4.0, sure=False), UNIT)
    assert 0.1 < Reach(0.30, 0.33).lift(0.32, Lift(4.0, sure=False), UNIT) < 0.3


def test_several_words_together_or_one_that_the_model_does_not_know_lift_without_end() -> None:
    assert 4.0 == Reach(0.30, 0.33).lift(0.29, Lift(4.0, sure=True), UNIT)


def test_words_are_sure_where_they_stand_together_or_the_model_does_not_know_them(
    measured: tuple[Library, list[Drawn], Figures, Figures],
) -> None:
    library, drawn, *_ = measured
    said = next(one.says for one in drawn if len(one.says) == 3 and "forest" not in one.says)
    with Searcher(library) as opened:
        ids = {hit.path: hit.image_id for hit in opened.search("forest", 1_000, include_weak=True).hits}

    def sure(query: str, *unknown: str) -> dict[int, bool]:
        return {image: lift.sure for image, lift in words.lifts(library, parse(query), unknown).of_images.items()}

    saying = {ids[str(one.path)] for one in drawn if "forest" in one.says}
    assert saying
    assert not any(sure("forest")[image] for image in saying)
    assert all(sure("forest", "forest")[image] for image in saying)
    together = {ids[str(one.path)] for one in drawn if set(said[:2]) <= set(one.says)}
    assert all(sure(" ".join(said[:2]))[image] for image in together)
