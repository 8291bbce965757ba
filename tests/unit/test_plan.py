"""The plan: the guide's rule, and a reason for every number."""

import math
from typing import Any

import pytest

from pixfind.embedding import plan
from pixfind.types import Choice, Split

MUCH = Choice(64 * 2**30, "64 GiB are available")


def make(cores: float, **changes: Any) -> plan.Plan:
    return plan.make(**{"cores": Choice(cores, "so many"), "memory": MUCH, **changes})


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (4, 3), (8, 6), (16, 12), (64, 51), (0.5, 1)])
def test_workers_follow_the_guide(cores: float, workers: int) -> None:
    assert workers == make(cores).workers.value


def test_a_number_that_is_asked_for_is_taken() -> None:
    assert (5, "as requested") == make(2, workers=5).workers


def test_little_memory_means_fewer_workers_and_says_so() -> None:
    made = make(16, memory=Choice(2 * 2**30, "2.0 GiB are available"))

    assert made.workers.value == 3
    assert "2.0 GiB" in made.workers.reason


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
def test_threads_are_enough_to_spend_the_budget(cores: int) -> None:
    made = make(cores)

    assert made.workers.value * made.threads.value >= made.budget.value


def test_the_whole_machine_is_not_paced() -> None:
    assert math.isinf(make(4, share=1.0).budget.value)


def test_every_number_has_its_reason() -> None:
    assert all(name and value and reason for name, value, reason in make(2).lines())


def test_what_tune_found_replaces_the_rule_of_the_guide() -> None:
    made = make(2, tuned=Split(cores=2, workers=2, batch=8))

    assert (2, 1, (8,)) == (made.workers.value, made.threads.value, made.batches.value)
    assert "pixfind tune" in made.workers.reason


def test_what_tune_found_for_other_cores_says_nothing() -> None:
    assert make(8) == make(8, tuned=Split(cores=2, workers=2, batch=8))


def test_a_number_that_is_asked_for_goes_before_what_tune_found() -> None:
    made = make(2, workers=1, tuned=Split(cores=2, workers=2, batch=8))

    assert (1, "as requested") == made.workers
    assert len(made.batches.value) > 1


def test_little_memory_means_fewer_workers_than_tune_found() -> None:
    made = make(16, memory=Choice(2 * 2**30, "2.0 GiB are available"), tuned=Split(cores=13, workers=8, batch=8))

    assert made.workers.value == 3
