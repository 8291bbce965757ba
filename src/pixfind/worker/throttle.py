"""
Holds one process to its part of the processor.

Must not know what the time is spent on, or who divides the budget.
"""

import math
import time

from pixfind.types import Clock


class Throttle:
    """
    Holds this process to an allowance of processor time by waiting between pieces of work.

    A token bucket: time that was not used is kept for one second at most, so a share is not saved up and then spent at once.
    """

    def __init__(self, allowance: float, clock: Clock = time) -> None:
        self.allowance = allowance
        """cores; inf: no limit; 0: rest"""
        self.waited = 0.0
        """seconds spent waiting"""
        self._clock = clock
        self._wall = clock.monotonic()
        self._used = clock.process_time()
        self._credit = allowance

    def pause(self, at_most: float) -> bool:
        """Wait until what was used is within the allowance, `at_most` so many seconds; return whether it is."""
        if math.isinf(self.allowance):
            return True
        if self.allowance <= 0:
            self._clock.sleep(at_most)
            self.waited += at_most
            self._account()
            return False
        self._account()
        if self._credit >= 0:
            return True
        seconds = min(-self._credit / self.allowance, at_most)
        self._clock.sleep(seconds)
        self.waited += seconds
        self._account()
        return seconds < at_most

    def _account(self) -> None:
        wall, used = self._clock.monotonic(), self._clock.process_time()
        earned = (wall - self._wall) * self.allowance
        self._credit = min(self._credit + earned - (used - self._used), self.allowance)
        self._wall, self._used = wall, used
