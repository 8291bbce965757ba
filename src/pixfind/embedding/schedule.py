"""
The schedule: when a run may work, and when it pauses.

Owns the time window, the pause policy and the load of other programs. How much of the processor a run may use while it works is in `budget`.
Must not know what a run does while it is paused.
"""

import collections
import datetime
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixfind import machine
from pixfind.types import Clock, Reason

if TYPE_CHECKING:
    from pixfind.embedding.runners import WorkerUsage

#: Share of all cores that other programs use: above the first for long enough the machine is busy, below the second it is idle.
_BUSY_SHARE, _IDLE_SHARE = 0.15, 0.08
_BUSY_SECONDS, _IDLE_SECONDS = 4.0, 15.0


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A daily span of local time, such as 22:00-07:00."""

    first: datetime.time
    last: datetime.time

    @classmethod
    def parse(cls, text: str) -> "TimeWindow":
        """Return the window that "22:00-07:00" or "22-7" names; raises ValueError for anything else."""
        first, dash, last = text.partition("-")
        if not dash:
            raise ValueError(text)
        window = cls(_time_of_day(first), _time_of_day(last))
        if window.first == window.last:
            raise ValueError(text)
        return window

    def __contains__(self, now: datetime.time) -> bool:
        if self.first < self.last:
            return self.first <= now < self.last
        return now >= self.first or now < self.last

    def __str__(self) -> str:
        return f"{self.first:%H:%M}-{self.last:%H:%M}"


def _time_of_day(text: str) -> datetime.time:
    hour, _, minute = text.strip().partition(":")
    # 24:00 is how people write the end of a day.
    return datetime.time(int(hour) % 24 if int(hour) <= 24 else int(hour), int(minute or 0))  # noqa: PLR2004


class PausePolicy:
    """
    Decides when a run pauses: on request, outside its time window, or while other programs are busy.

    The machine becomes busy after some seconds of other programs' work and idle after a longer time without, so that a run
    neither pauses for each click nor resumes between two of them.
    """

    def __init__(self, *, hours: TimeWindow | None = None, when_busy: bool = False) -> None:
        self.hours = hours
        """None: at any time"""
        self.when_busy = when_busy
        self._loads = collections.deque[tuple[float, float]]()
        self._busy = False

    def reason(self, *, requested: bool, external_load: float, now: datetime.datetime) -> Reason | None:
        """
        Return why to pause now; None to work.

        `external_load` is the share of all cores, 0 to 1, that programs other than ours use at the moment; call it about once a second.
        """
        if requested:
            return Reason("PausedOnRequest", "paused on request")
        if self.hours is not None and now.time() not in self.hours:
            return Reason("OutsideHours", f"paused: works between {self.hours} only", {"hours": str(self.hours)})
        if self.when_busy and self._is_busy(external_load, now.timestamp()):
            percent = round(100 * external_load)
            return Reason("MachineBusy", f"paused: other programs use {percent}% of the machine", {"percent": percent})
        return None

    def _is_busy(self, external_load: float, now: float) -> bool:
        """Return whether the mean load of the last seconds has crossed the threshold; crossing back takes longer."""
        self._loads.append((now, external_load))
        needed = _IDLE_SECONDS if self._busy else _BUSY_SECONDS
        while len(self._loads) > 1 and now - self._loads[1][0] >= needed:
            self._loads.popleft()
        if now - self._loads[0][0] < needed:
            return self._busy
        mean = sum(load for _, load in self._loads) / len(self._loads)
        crossed = mean < _IDLE_SHARE if self._busy else mean > _BUSY_SHARE
        if crossed:
            self._busy = not self._busy
            self._loads.clear()
        return self._busy


class ExternalLoad:
    """Measures what programs other than ours use of this machine: the load of the machine without that of our processes."""

    def __init__(self, clock: Clock = time) -> None:
        self._clock = clock
        self._host = machine.host()
        self._before: tuple[float, float, float] | None = None

    def share(self, workers: Iterable["WorkerUsage"]) -> float:
        """Return the share of all cores, 0 to 1, that others used since the last call; workers on other hosts do not count."""
        ours = self._clock.process_time()
        ours += sum(usage.processor_seconds for usage in workers if usage.host == self._host)
        now = self._clock.monotonic(), machine.busy_seconds(), ours
        before, self._before = self._before or now, now
        seconds = (now[0] - before[0]) * machine.all_cores()
        used = (now[1] - before[1]) - max(0.0, now[2] - before[2])
        return min(max(used / seconds, 0.0), 1.0) if seconds > 0 else 0.0
