"""
Time in tests: wait for a state, or control the clock.

A test that sleeps depends on the speed of the machine. `wait_for` returns as soon as the state is reached, and its limit can only fail a
test; a `Clock` advances when the code under test sleeps, or when the test advances it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 50.0
"""longer than any delay of a busy machine; reaching it fails a test"""

_POLL_SECONDS = 0.02


def wait_for(condition: Callable[[], T], *, limit: float = LIMIT_SECONDS, what: Callable[[], object] | str = "") -> T:
    """
    Call `condition` repeatedly until it returns a true value, and return that.

    Raises AssertionError after `limit` seconds, with `what` as the message or, when it is a function, with its result.
    """
    ends = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > ends:
            raise AssertionError(f"not within {limit:g} s: {what() if callable(what) else what}")
        time.sleep(_POLL_SECONDS)
    return found


class Clock:
    """A clock for tests, in place of the module `time`: it advances only through `sleep` and `work`."""

    def __init__(self, now: float = 1_714_600_800.0) -> None:
        self.start = now
        """seconds since 1970"""
        self.passed = self.used = 0.0

    def time(self) -> float:
        return self.start + self.passed

    def monotonic(self) -> float:
        return self.passed

    def process_time(self) -> float:
        return self.used

    def sleep(self, seconds: float, /) -> None:
        self.passed += seconds

    def work(self, seconds: float) -> None:
        """Advance the clock, with this process using one core."""
        self.passed += seconds
        self.used += seconds
