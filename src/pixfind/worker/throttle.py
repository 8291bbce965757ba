"""
The throttle: keeps one process to its share of the processor.

Must not know what the time is spent on, or who divides the budget.
"""

import math
import time

from pixfind.types import Clock


class Throttle:
    """
    Keeps this process to a quota of processor time by waiting between pieces of work.

    A token bucket: unused time is credited for one second at most, so that it is not saved up and then spent at once.
    """

    def __init__(self, cpu_quota: float, clock: Clock = time) -> None:
        self.cpu_quota = cpu_quota
        """cores; inf: no limit; 0: pause"""
        self.waited = 0.0
        """seconds spent waiting"""
        self._clock = clock
        self._wall = clock.monotonic()
        self._used = clock.process_time()
        self._credit = cpu_quota

    def pause(self, at_most: float) -> bool:
        """Wait until what was used is within the quota, `at_most` so many seconds; return whether it is."""
        if math.isinf(self.cpu_quota):
            return True
        if self.cpu_quota <= 0:
            self._clock.sleep(at_most)
            self.waited += at_most
            self._account()
            return False
        self._account()
        if self._credit >= 0:
            return True
        seconds = min(-self._credit / self.cpu_quota, at_most)
        self._clock.sleep(seconds)
        self.waited += seconds
        self._account()
        return seconds < at_most

    def _account(self) -> None:
        wall, used = self._clock.monotonic(), self._clock.process_time()
        earned = (wall - self._wall) * self.cpu_quota
        self._credit = min(self._credit + earned - (used - self._used), self.cpu_quota)
        self._wall, self._used = wall, used
