"""
Pacing: once a second, whether a run is paused and how much of the processor each worker may use.

Owns when the budget is divided; how is in `budget`, and the reasons for a pause are in `schedule`. Must not know how workers get their quotas.
"""

import datetime
import logging
import math
import time
from collections.abc import Mapping, Sequence

from pixfind.embedding.budget import Budget
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import WorkerUsage
from pixfind.embedding.schedule import ExternalLoad, PausePolicy
from pixfind.types import Clock, Reason

_SECONDS = 1.0

log = logging.getLogger("pixfind.coordinator")


class Pacing:
    """The pauses and the budget of one run."""

    def __init__(self, plan: Plan, policy: PausePolicy, clock: Clock = time) -> None:
        self.paused: Reason | None = None
        """why the run is paused; None while it works"""
        self._cores = plan.cores.value
        self._share = 1.0 if plan.elastic is None else plan.elastic.share
        self._policy = policy
        self._clock = clock
        self._budget = Budget(plan.budget.value, clock)
        self._external_load = ExternalLoad(clock)
        self._updated_at = -math.inf

    @property
    def cores_used(self) -> float | None:
        """Cores that all processes of the run used in the last second; None before that is known."""
        return self._budget.used

    @property
    def due(self) -> bool:
        """Whether it is time to call `update` again."""
        return self._clock.monotonic() - self._updated_at >= _SECONDS

    def limit(self, share: float) -> None:
        """Allow the run this share of the machine, 0 to 1, from now on; 1 is no limit."""
        self._share = share
        self._divide()

    def resize(self, cores: float) -> None:
        """Take note that a cluster has so many cores by now: the share of them that is allowed stays."""
        self._cores = cores
        self._divide()

    def update(
        self, usage: Mapping[int, WorkerUsage], running: Sequence[int], *, pause_requested: bool
    ) -> dict[int, float]:
        """Decide whether to pause; return worker -> cores that it may use from now on, 0 for all while the run is paused."""
        self._updated_at = self._clock.monotonic()
        # Hours are local: the owner's clock.
        now = datetime.datetime.fromtimestamp(self._clock.time())  # noqa: DTZ006
        load = self._external_load.share(usage.values()) if self._policy.when_busy else 0.0
        reason = self._policy.reason(requested=pause_requested, external_load=load, now=now)
        if (reason is None) != (self.paused is None):
            log.info("%s", reason or "resumed")
        self.paused = reason
        quotas = self._budget.quotas(usage, running)
        return dict.fromkeys(quotas, 0.0) if reason else quotas

    def _divide(self) -> None:
        self._budget.cores = math.inf if self._share >= 1 else self._share * self._cores
