"""The budget: all processes of a run together keep to it, and what one worker leaves goes to the others."""

import math

import pytest

from pixfind.embedding.budget import Budget
from pixfind.embedding.runners import WorkerUsage
from pixfind.testing import Clock


class Run:
    """A coordinator and its workers, each of which uses so many cores."""

    def __init__(self, cores: float, *, own: float = 0.0, workers: dict[int, float]) -> None:
        self.clock = Clock()
        self.budget = Budget(cores, self.clock)
        self.pids = {worker: 100 + worker for worker in workers}
        self._own = own
        self._workers = workers
        self._used = dict.fromkeys(workers, 0.0)
        self.quotas()

    def replace(self, worker: int) -> None:
        """Start a new process for a worker: what it has used is counted from zero."""
        self.pids[worker] += 10
        self._used[worker] = 0.0

    def quotas(self, seconds: float = 1.0) -> dict[int, float]:
        """Let time pass; return the quotas after it."""
        self.clock.sleep(seconds)
        self.clock.used += self._own * seconds
        for worker, cores in self._workers.items():
            self._used[worker] += cores * seconds
        usage = {worker: WorkerUsage("here", self.pids[worker], used) for worker, used in self._used.items()}
        return self.budget.quotas(usage, list(self._workers))


def test_what_one_worker_leaves_unused_goes_to_the_others() -> None:
    quotas = Run(2.0, workers={0: 0.1, 1: 1.0}).quotas()

    assert quotas[1] > quotas[0]
    assert sum(quotas.values()) <= 2 * 2.0


def test_the_coordinators_own_use_is_taken_off() -> None:
    run = Run(1.6, own=0.6, workers={0: 0.9})

    assert run.quotas()[0] < 1.0
    assert run.budget.used == pytest.approx(1.5)


def test_a_run_over_its_budget_gets_less() -> None:
    run = Run(1.0, workers={0: 1.2})
    first = run.quotas()[0]
    for _ in range(20):
        last = run.quotas()[0]

    assert 0.85 < last < first <= 1.0


def test_without_a_limit_nobody_has_a_quota() -> None:
    assert {3: math.inf} == Budget(math.inf).quotas({}, [3])


def test_workers_inside_this_process_share_what_it_has() -> None:
    """They are not in the usage: what they use is what this process uses."""
    clock = Clock()
    budget = Budget(1.0, clock)
    budget.quotas({}, [0, 1])
    clock.work(1.0)
    quotas = budget.quotas({}, [0, 1])

    assert quotas[0] == quotas[1] < 0.5
    assert budget.used == pytest.approx(1.0)


def test_a_worker_that_was_replaced_is_counted_from_zero_again() -> None:
    run = Run(1.0, workers={0: 0.5})
    run.quotas(seconds=100.0)
    run.replace(0)
    run.quotas()
    assert 0 == run.budget.used

    run.quotas()
    assert run.budget.used == pytest.approx(0.5)


def test_with_no_worker_ready_there_is_nothing_to_divide() -> None:
    budget = Budget(1.0)

    assert {} == budget.quotas({}, [])
    assert budget.used is None
