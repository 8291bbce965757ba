"""
Time in tests: wait for a state, or turn the clock.

A test that sleeps leans on the machine's being fast enough. `wait_for` ends as soon as the state is there, and its limit only ever
fails; a `Clock` passes when the code under test sleeps, or when the test says so.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 50.0
"""long beyond anything a busy machine does to a test; the reason for a failure, never for a success"""

_LOOK_SECONDS = 0.02


def wait_for(condition: Callable[[], T], *, limit: float = LIMIT_SECONDS, what: Callable[[], object] | str = "") -> T:
    """
    Look again and again until `condition` returns something true, and return that.

    Raises AssertionError after `limit` seconds; `what` tells then what was waited for, or shows what there was instead.
    """
    ends = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > ends:
            raise AssertionError(f"not within {limit:g} s: {what() if callable(what) else what}")
        time.sleep(_LOOK_SECONDS)
    return found


class Clock:
    """Time that passes only when somebody sleeps, works or turns it; stands for the module `time`."""

    def __init__(self, now: float = 1_714_600_800.0) -> None:
        self.began = now
        """seconds since 1970"""
        self.passed = self.used = 0.0

    def time(self) -> float:
        return self.began + self.passed

    def monotonic(self) -> float:
        return self.passed

    def process_time(self) -> float:
        return self.used

    def sleep(self, seconds: float, /) -> None:
        self.passed += seconds

    def work(self, seconds: float) -> None:
        """Let time pass in which this process keeps one core busy."""
        self.passed += seconds
        self.used += seconds
