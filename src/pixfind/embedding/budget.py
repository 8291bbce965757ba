"""
The budget: how much of the processor a run may use, and when it may use any.

Owns dividing and pausing; a worker holds itself to its part (`worker.throttle`). Must not know what the processor time is spent on, or how a worker is told.
"""

import collections
import datetime
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pixfind import machine
from pixfind.types import Clock

LEAST_MEMORY = 512 * 2**20
"""bytes that a worker needs for a small model and one picture"""

#: The budget is a ceiling: aim a little under it.
_AIM = 0.98
_CORRECTION = 0.1

#: Share of all cores that other programs use: from the first on the machine is busy, below the second it is not.
_BUSY, _IDLE = 0.15, 0.08
_BUSY_SECONDS, _IDLE_SECONDS = 4.0, 15.0


class Budget:
    """
    Divides a budget of processor time among the workers, so that all our processes together keep to it.

    What this process itself uses is taken off first; what a worker leaves unused (it waits for its disk) goes to the others.
    """

    def __init__(self, cores: float, clock: Clock = time) -> None:
        self.cores = cores
        """inf: no limit"""
        self.used: float | None = None
        """cores that this process and the workers used in the last second"""
        self._clock = clock
        self._seen: dict[int, tuple[float, float]] = {}
        self._trim = 0.0

    def quotas(self, pids: Mapping[int, int], running: Sequence[int]) -> dict[int, float]:
        """Return cores per running worker; `pids` maps workers to their processes."""
        if not running:
            return {}
        own = self._rate(os.getpid())
        used = {worker: self._rate(pids[worker]) if worker in pids else 0.0 for worker in running}
        self.used = own + sum(used.values())
        if math.isinf(self.cores):
            return dict.fromkeys(running, math.inf)
        # A worker overshoots by what its threads do between two looks at the clock: take that off, up to a tenth.
        over = self.used - _AIM * self.cores
        self._trim = min(max(self._trim + _CORRECTION * over, 0.0), self.cores / 10)
        even = max(_AIM * self.cores - self._trim - own, 0.05) / len(running)
        spare = {worker: max(0.0, even - 1.1 * rate) for worker, rate in used.items()}
        hungry = [worker for worker in running if not spare[worker]]
        extra = sum(spare.values()) / len(hungry) if hungry else 0.0
        return {worker: even + (extra if worker in hungry else 0.0) for worker in running}

    def _rate(self, pid: int) -> float:
        """Return the cores that a process used since it was last looked at."""
        now, used = self._clock.monotonic(), machine.processor_seconds([pid])
        before, used_before = self._seen.get(pid, (now, used))
        self._seen[pid] = (now, used)
        return max(0.0, used - used_before) / (now - before) if now > before else 0.0


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily span of local time, such as 22:00-07:00."""

    first: datetime.time
    last: datetime.time

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """Read "22:00-07:00" or "22-7"; raises ValueError for anything else."""
        first, dash, last = text.partition("-")
        if not dash:
            raise ValueError(text)
        hours = cls(_time_of_day(first), _time_of_day(last))
        if hours.first == hours.last:
            raise ValueError(text)
        return hours

    def __contains__(self, now: datetime.time) -> bool:
        if self.first < self.last:
            return self.first <= now < self.last
        return now >= self.first or now < self.last

    def __str__(self) -> str:
        return f"{self.first:%H:%M}-{self.last:%H:%M}"


class Rest:
    """
    When a run holds still: because it was asked to, because it is not its hour, because the owner needs the machine.

    A machine becomes busy after some seconds of other programs' work and idle after a longer while without, so that a
    run neither stops for each click nor starts between two of them.
    """

    def __init__(self, *, hours: Hours | None = None, when_busy: bool = False) -> None:
        self.hours = hours
        self.when_busy = when_busy
        self._others = collections.deque[tuple[float, float]]()
        self._busy = False

    def reason(self, *, asked: bool, others: float, now: datetime.datetime) -> str | None:
        """
        Return why to rest now; None to work.

        `others` is the share of all cores, 0 to 1, that programs besides ours use at the moment; call about once a second.
        """
        if asked:
            return "paused: as asked for"
        if self.hours is not None and now.time() not in self.hours:
            return f"paused: works between {self.hours} only"
        if self.when_busy and self._is_busy(others, now.timestamp()):
            return f"paused: other programs use {others:.0%} of the machine"
        return None

    def _is_busy(self, others: float, now: float) -> bool:
        self._others.append((now, others))
        while len(self._others) > 1 and now - self._others[1][0] >= (_IDLE_SECONDS if self._busy else _BUSY_SECONDS):
            self._others.popleft()
        needed = _IDLE_SECONDS if self._busy else _BUSY_SECONDS
        if now - self._others[0][0] < needed:
            return self._busy
        mean = sum(share for _, share in self._others) / len(self._others)
        turned = mean < _IDLE if self._busy else mean > _BUSY
        if turned:
            self._busy = not self._busy
            self._others.clear()
        return self._busy


class Others:
    """What programs besides ours use, from what the whole machine uses."""

    def __init__(self, clock: Clock = time) -> None:
        self._clock = clock
        self._before: tuple[float, float, float] | None = None

    def share(self, pids: Sequence[int]) -> float:
        """Return the share of all cores that others used since the last call, 0 to 1; `pids` are our processes."""
        now = self._clock.monotonic(), machine.busy_seconds(), machine.processor_seconds(pids)
        before, self._before = self._before or now, now
        seconds = (now[0] - before[0]) * machine.all_cores()
        used = (now[1] - before[1]) - max(0.0, now[2] - before[2])
        return min(max(used / seconds, 0.0), 1.0) if seconds > 0 else 0.0


def _time_of_day(text: str) -> datetime.time:
    hour, _, minute = text.strip().partition(":")
    # 24:00 is how people write the end of a day.
    return datetime.time(int(hour) % 24 if int(hour) <= 24 else int(hour), int(minute or 0))  # noqa: PLR2004
