"""The plan: the guide's rule, and a reason for every number."""

import math
from typing import Any

import pytest

from pixfind.embedding import plan
from pixfind.types import Choice

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
