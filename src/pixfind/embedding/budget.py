"""
The budget: how much of the processor all processes of a run may use together.

Owns dividing; a worker keeps to its quota by itself (`worker.throttle`), and whether a run works at all is in `schedule`. Must not know what
the processor time is spent on, or how workers get their quotas.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pixfind.types import Clock

if TYPE_CHECKING:
    from pixfind.embedding.runners import WorkerUsage

MIN_MEMORY = 512 * 2**20
"""bytes that a worker needs for a small model and one image"""

#: The budget is a ceiling: aim a little under it.
_TARGET = 0.98
_CORRECTION = 0.1
_MAX_CORRECTION = 0.1
_MIN_CORES = 0.05
"""for all workers together, however much this process uses itself"""


class Budget:
    """
    Divides a budget of processor time among the workers, so that all processes of the run together keep to it.

    What this process itself uses is taken off first; what a worker leaves unused (it waits for its disk) goes to the others.
    """

    def __init__(self, cores: float, clock: Clock = time) -> None:
        self.cores = cores
        """inf: no limit"""
        self.used: float | None = None
        """cores that this process and the workers used since the quotas before the last ones; None before the first"""
        self._clock = clock
        self._before: dict[object, tuple[float, float]] = {}
        self._correction = 0.0

    def quotas(self, usage: Mapping[int, "WorkerUsage"], running: Sequence[int]) -> dict[int, float]:
        """
        Return worker -> cores that it may use, for each of the `running` workers; call it about once a second.

        `usage` is what `Runner.usage` returns: a worker that is not in it counts as part of this process.
        """
        if not running:
            return {}
        own, used = self._rates(usage, running)
        self.used = own + sum(used.values())
        if math.isinf(self.cores):
            return dict.fromkeys(running, math.inf)
        # A worker overshoots by what its threads do until it measures again: take that off, up to a tenth.
        over = self.used - _TARGET * self.cores
        self._correction = min(max(self._correction + _CORRECTION * over, 0.0), _MAX_CORRECTION * self.cores)
        even = max(_TARGET * self.cores - self._correction - own, _MIN_CORES) / len(running)
        spare = {worker: max(0.0, even - 1.1 * rate) for worker, rate in used.items()}
        limited = [worker for worker in running if not spare[worker]]
        extra = sum(spare.values()) / len(limited) if limited else 0.0
        return {worker: even + (extra if worker in limited else 0.0) for worker in running}

    def _rates(self, usage: Mapping[int, "WorkerUsage"], running: Sequence[int]) -> tuple[float, dict[int, float]]:
        """Return the cores that this process, and each running worker, used since the last call; 0 for a process that is new."""
        now = self._clock.monotonic()
        seconds: dict[object, float] = {None: self._clock.process_time()}
        processes = {worker: usage[worker].process for worker in running if worker in usage}
        seconds |= {process: usage[worker].processor_seconds for worker, process in processes.items()}
        rates = {}
        for process, used in seconds.items():
            at, used_before = self._before.get(process, (now, used))
            rates[process] = max(0.0, used - used_before) / (now - at) if now > at else 0.0
        self._before = {process: (now, used) for process, used in seconds.items()}
        return rates[None], {worker: rates[processes[worker]] if worker in processes else 0.0 for worker in running}
