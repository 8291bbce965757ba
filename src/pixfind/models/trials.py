"""
Trials: how many workers, with how many threads each, on how large a batch run a model fastest on this machine.

Owns successive halving: every way is measured for a moment, the faster half again for twice as long, until one is left. Must not know what a precision
does to the answers; `tune` tries only those that keep them.
All workers of a way run here in threads of one process: engines compute outside of Python's lock, so this is as fast as in processes.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind.types import Clock

SECONDS = 60.0
"""after which no other way is tried"""

BATCHES = (8, 16, 32)
_WAY_SECONDS = 10.0
"""after which no larger batch is tried with a way"""
_ROUNDS = 2
"""batches of each size that are timed at first"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to use the cores."""

    precision: str
    workers: int
    threads: int
    """of each worker"""


@dataclass(frozen=True, slots=True)
class Trial:
    """The measurement of one way, with its fastest batch."""

    way: Way
    batch: int
    images_per_second: float
    """of all workers together, the model alone"""


class Runs(Protocol):
    """What a way is tried with: the encoder of one worker."""

    def forward(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Put prepared pictures through the model."""


Measure = Callable[[Way, int], Trial | None]
"""Measures a way with so many timed batches of each size; None where it cannot be had."""


def ways(precisions: Sequence[str], cores: int, max_workers: int) -> list[Way]:
    """Return what may be tried for so many cores: 1, 2, 4, ... workers that share them, at most `max_workers`."""
    counts = [1 << power for power in range(cores.bit_length()) if 1 << power <= min(cores, max_workers)]
    return [Way(precision, workers, -(-cores // workers)) for precision in precisions for workers in counts]


def halve(candidates: Sequence[Way], measure: Measure, *, seconds: float = SECONDS, clock: Clock = time) -> list[Trial]:
    """
    Return the last trial of each candidate, the fastest first.

    After `seconds` none but the first is begun; a candidate that was not reached has no trial.
    """
    began = clock.monotonic()
    last: dict[Way, Trial] = {}
    rounds, left = _ROUNDS, list(candidates)
    while left:
        for way in left:
            if last and clock.monotonic() - began > seconds:
                return _ranked(last)
            if (trial := measure(way, rounds)) is not None:
                last[way] = trial
        best = [trial.way for trial in _ranked(last) if trial.way in left]
        rounds, left = 2 * rounds, best[: len(left) // 2]
    return _ranked(last)


def _ranked(trials: dict[Way, Trial]) -> list[Trial]:
    return sorted(trials.values(), key=lambda trial: -trial.images_per_second)


def measured(
    way: Way, encoders: Sequence[Runs], pictures: Sequence[NDArray[np.uint8]], rounds: int, clock: Clock = time
) -> Trial:
    """Return how fast these encoders, one for each worker, run together, with the size of a batch that is fastest."""
    began = clock.monotonic()
    rates: dict[int, float] = {}
    for size in BATCHES:
        # A model that is slow gains nothing from large batches, and a busy machine is not kept busy for that.
        if not rates or clock.monotonic() - began < _WAY_SECONDS:
            rates[size] = _rate(encoders, _filled(pictures, size), rounds)
    batch = max(rates, key=lambda size: rates[size])
    return Trial(way, batch, rates[batch])


def _filled(pictures: Sequence[NDArray[np.uint8]], size: int) -> list[NDArray[np.uint8]]:
    return [pictures[place % len(pictures)] for place in range(size)]


def _rate(encoders: Sequence[Runs], batch: Sequence[NDArray[np.uint8]], rounds: int) -> float:
    """Return the images per second of all encoders together."""
    for encoder in encoders:
        # The first run of a batch size allocates memory, so it is not timed.
        encoder.forward(batch)
    with ThreadPoolExecutor(len(encoders)) as pool:
        return sum(pool.map(lambda encoder: _rate_of_one(encoder, batch, rounds), encoders))


def _rate_of_one(encoder: Runs, batch: Sequence[NDArray[np.uint8]], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        encoder.forward(batch)
        seconds.append(time.perf_counter() - start)
    # The median, because other programs run on a user's machine too.
    return len(batch) / statistics.median(seconds)
