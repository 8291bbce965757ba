"""
Holds one process to its part of the processor.

Must not know what the time is spent on, or who divides the budget.
"""

import math
import time


class Throttle:
    """
    Holds this process to an allowance of processor time by waiting between pieces of work.

    A token bucket: time that was not used is kept for one second at most, so a share is not saved up and then spent at once.
    """

    def __init__(self, allowance: float) -> None:
        self.allowance = allowance
        """cores; inf: no limit; 0: rest"""
        self.waited = 0.0
        """seconds spent waiting"""
        self._wall = time.monotonic()
        self._used = time.process_time()
        self._credit = allowance

    def pause(self, at_most: float) -> bool:
        """Wait until what was used is within the allowance, `at_most` so many seconds; return whether it is."""
        if math.isinf(self.allowance):
            return True
        if self.allowance <= 0:
            time.sleep(at_most)
            self.waited += at_most
            self._account()
            return False
        self._account()
        if self._credit >= 0:
            return True
        seconds = min(-self._credit / self.allowance, at_most)
        time.sleep(seconds)
        self.waited += seconds
        self._account()
        return seconds < at_most

    def _account(self) -> None:
        wall, used = time.monotonic(), time.process_time()
        earned = (wall - self._wall) * self.allowance
        self._credit = min(self._credit + earned - (used - self._used), self.allowance)
        self._wall, self._used = wall, used
