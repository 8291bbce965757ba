"""Which way to use the cores is fastest: found by successive halving, in bounded time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixfind.models import trials
from pixfind.models.trials import Trial, Way
from pixfind.testing import Clock


class Machine:
    """Measures ways: the rate of each is known, and each takes a second of the clock."""

    def __init__(self, rates: dict[Way, float]) -> None:
        self.clock = Clock()
        self.asked: list[tuple[Way, int]] = []
        self._rates = rates

    def measure(self, way: Way, rounds: int) -> Trial | None:
        self.asked.append((way, rounds))
        self.clock.sleep(1)
        return Trial(way, 16, self._rates[way]) if way in self._rates else None


def test_ways_are_powers_of_two_that_share_all_cores() -> None:
    assert [Way("int8", 1, 6), Way("int8", 2, 3), Way("int8", 4, 2)] == trials.ways(["int8"], 6, 64)
    assert [Way("fp32", 1, 1), Way("int8", 1, 1)] == trials.ways(["fp32", "int8"], 1, 64)
    assert [Way("int8", 1, 64), Way("int8", 2, 32)] == trials.ways(["int8"], 64, 3)


def test_the_faster_half_is_measured_for_longer_until_one_is_left() -> None:
    ways = trials.ways(["fp32", "int8"], 2, 2)
    machine = Machine(dict(zip(ways, (10.0, 11.0, 30.0, 33.0), strict=True)))

    found = trials.halve(ways, machine.measure, clock=machine.clock)

    assert [33, 30, 11, 10] == [trial.images_per_second for trial in found]
    assert [2, 2, 2, 2, 4, 4, 8] == [rounds for _, rounds in machine.asked]
    assert ways[3] == machine.asked[-1][0]


def test_nothing_new_is_tried_when_the_time_is_over() -> None:
    ways = trials.ways(["fp32", "int8"], 8, 8)
    machine = Machine(dict.fromkeys(ways, 10.0))

    found = trials.halve(ways, machine.measure, seconds=2, clock=machine.clock)

    assert 3 == len(found) == len(machine.asked)


def test_a_way_that_cannot_be_had_is_left_out() -> None:
    first, second = trials.ways(["int8"], 2, 2)
    machine = Machine({second: 5.0})

    assert [second] == [trial.way for trial in trials.halve([first, second], machine.measure, clock=machine.clock)]
    assert [] == trials.halve([first], machine.measure, clock=machine.clock)


class Encoder:
    """Notes the sizes of its batches, each of which takes some seconds of a clock."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.sizes: list[int] = []
        self._clock, self._seconds = clock, seconds

    def forward(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.sizes.append(len(batch))
        self._clock.sleep(self._seconds)
        return np.zeros((len(batch), 1), np.float32)


def test_every_worker_runs_every_size_once_more_than_is_timed() -> None:
    encoders = [Encoder(Clock()), Encoder(Clock())]

    found = trials.measured(Way("fp32", 2, 1), encoders, [np.zeros((1, 1, 3), np.uint8)] * 3, 2)

    assert found.batch in trials.BATCHES
    assert found.images_per_second > 0
    for encoder in encoders:
        assert [8, 8, 8, 16, 16, 16, 32, 32, 32] == encoder.sizes


def test_a_slow_model_is_not_tried_on_larger_batches() -> None:
    clock = Clock()
    encoder = Encoder(clock, seconds=5)

    found = trials.measured(Way("fp32", 1, 1), [encoder], [np.zeros((1, 1, 3), np.uint8)], 2, clock)

    assert (8, [8, 8, 8]) == (found.batch, encoder.sizes)
