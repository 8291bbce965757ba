"""
The machine: cores, memory, processor time.

The only module that knows psutil. A number that cannot be found out is None, never a guess.
"""

import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from pixfind.types import Choice

#: The budget is a ceiling: aim a little under it.
_AIM = 0.98
_CORRECTION = 0.1

_CGROUP = Path("/sys/fs/cgroup")


def cores() -> Choice[float]:
    """Return how many cores this process may use: affinity and cgroup quota included."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores()
    if quota is not None and quota < allowed:
        return Choice(quota, f"the cgroup's quota is {quota:g} of {allowed} cores")
    total = os.cpu_count() or allowed
    if allowed < total:
        return Choice(float(allowed), f"this process may use {allowed} of {total} cores")
    return Choice(float(allowed), f"the machine has {allowed} cores")


def memory() -> Choice[int]:
    """Return how many bytes this process may use: what is available now, within the cgroup's limit."""
    available = int(psutil.virtual_memory().available)
    limit = _cgroup_memory()
    if limit is not None and limit < available:
        return Choice(limit, f"the cgroup leaves {limit / 2**30:.1f} GiB")
    return Choice(available, f"{available / 2**30:.1f} GiB are available")


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the processor time, user and system, that the processes have used; those that ended count nothing."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def started_at(pid: int) -> float | None:
    """Return when a process began, in seconds since 1970; None when there is no such process."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def be_nice(level: int) -> None:
    """Lower this process's priority, so that the owner's programs go first."""
    if level and hasattr(os, "nice"):
        os.nice(level)


def limit_memory(size: int) -> None:
    """
    Refuse this process more than `size` bytes of its own data, where the system can (not on Windows and macOS).

    A picture that asks for more then fails with MemoryError, instead of driving the machine into its swap.
    """
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


class Pacer:
    """
    Holds this process to an allowance of processor time by waiting between pieces of work.

    A token bucket: time that was not used is kept for one second at most, so a share is not saved up and then spent at once.
    """

    def __init__(self, allowance: float) -> None:
        self.allowance = allowance
        """cores; inf: no limit"""
        self.waited = 0.0
        """seconds spent waiting"""
        self._wall = time.monotonic()
        self._used = time.process_time()
        self._credit = allowance

    def pause(self, at_most: float) -> bool:
        """Wait until what was used is within the allowance, `at_most` so many seconds; return whether it is."""
        if math.isinf(self.allowance):
            return True
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


class Budget:
    """
    Divides a budget of processor time among the workers, so that all our processes together keep to it.

    What this process itself uses is taken off first; what a worker leaves unused (it waits for its disk) goes to the others.
    """

    def __init__(self, cores: float) -> None:
        self.cores = cores
        """inf: no limit"""
        self._seen: dict[int, tuple[float, float]] = {}
        self._trim = 0.0

    def allowances(self, pids: Mapping[int, int], running: Sequence[int]) -> dict[int, float]:
        """Return cores per running worker; `pids` maps workers to their processes."""
        if not running:
            return {}
        if math.isinf(self.cores):
            return dict.fromkeys(running, math.inf)
        own = self._rate(os.getpid())
        used = {worker: self._rate(pids[worker]) if worker in pids else 0.0 for worker in running}
        # A worker overshoots by what its threads do between two looks at the clock: take that off, up to a tenth.
        over = own + sum(used.values()) - _AIM * self.cores
        self._trim = min(max(self._trim + _CORRECTION * over, 0.0), self.cores / 10)
        even = max(_AIM * self.cores - self._trim - own, 0.05) / len(running)
        spare = {worker: max(0.0, even - 1.1 * rate) for worker, rate in used.items()}
        hungry = [worker for worker in running if not spare[worker]]
        extra = sum(spare.values()) / len(hungry) if hungry else 0.0
        return {worker: even + (extra if worker in hungry else 0.0) for worker in running}

    def _rate(self, pid: int) -> float:
        """Return the cores that a process used since it was last looked at."""
        now, used = time.monotonic(), processor_seconds([pid])
        before, used_before = self._seen.get(pid, (now, used))
        self._seen[pid] = (now, used)
        return max(0.0, used - used_before) / (now - before) if now > before else 0.0


def _cgroup_cores() -> float | None:
    text = _read(_CGROUP / "cpu.max")
    if text:
        quota, _, period = text.partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    quota, period = _read(_CGROUP / "cpu/cpu.cfs_quota_us"), _read(_CGROUP / "cpu/cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _cgroup_memory() -> int | None:
    limit, used = _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    return int(limit) - int(used) if limit.isdecimal() and used.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
