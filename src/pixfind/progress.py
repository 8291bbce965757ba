"""
Where a run stands: rates, the time left, the present bottleneck, and the figures behind each.

Owns `progress.json`, which `pixfind status` reads while another process embeds; derived data, written without syncs.
Every figure is measured: an unknown rate is None, and so is the time left.
"""

import collections
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pixfind import disk
from pixfind.library import Library
from pixfind.plan import Plan

_NAME = "progress.json"
_WINDOW_SECONDS = 60.0
_RATE_AFTER_SECONDS = 3.0
_WRITE_SECONDS = 0.5

STAGES = ("read", "decode", "model", "save", "wait", "pace")
"""what a worker's seconds go into; `wait`: the model had nothing to do; `pace`: held back by the budget"""


@dataclass(slots=True)
class WorkerCounters:
    """What is known of one worker's run."""

    images: int = 0
    deaths: int = 0
    device: str = ""
    saved_at: float | None = None
    """seconds since 1970"""
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """seconds; those of several threads add up"""


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """One worker, as `status` shows it."""

    worker: int
    pid: int | None
    images: int
    images_per_second: float | None
    bottleneck: str | None
    last_commit: float | None
    """seconds since 1970"""
    deaths: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment."""

    total: int
    """images that this run set out to embed"""
    done: int
    images_per_second: float | None
    eta_seconds: float | None
    bottleneck: str | None
    workers: tuple[WorkerProgress, ...]
    written_at: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did."""

    images: int
    seconds: float
    stopped: bool
    stages: dict[str, float]
    deaths: int
    device: str
    precision: str


class _Window:
    """Counts over the last minute."""

    def __init__(self) -> None:
        self._points: collections.deque[tuple[float, float]] = collections.deque([(time.monotonic(), 0.0)])

    def rate(self, value: float) -> float | None:
        """Note a growing count; return its growth a second, None while too little time has passed to tell."""
        now = time.monotonic()
        self._points.append((now, value))
        while len(self._points) > 2 and now - self._points[0][0] > _WINDOW_SECONDS:  # noqa: PLR2004 - a line needs two points
            self._points.popleft()
        began, before = self._points[0]
        return (value - before) / (now - began) if now - began >= _RATE_AFTER_SECONDS else None


class Tracker:
    """Follows one run."""

    def __init__(self, library: Library, plan: Plan) -> None:
        self._path = library.path / _NAME
        self._total = library.catalogue.count_pending()
        self._done = 0
        self._began = time.monotonic()
        self._window: _Window | None = None
        self._windows: dict[int, _Window] = {}
        self._stage_windows: dict[tuple[int, str], _Window] = {}
        self._written_at = 0.0
        self._ready: dict[str, str] = {"device": "", "precision": ""}
        self._last: Mapping[int, WorkerCounters] = {}
        self._plan = plan

    def began(self, ready: dict[str, str]) -> None:
        """The first worker is ready: rates are counted from here, not from the start of Python."""
        self._ready = ready
        self._window = self._window or _Window()

    def ended(self, images: int) -> None:
        """So many images have got their outcome."""
        self._done += images

    def snapshot(self, pids: Mapping[int, int], workers: Mapping[int, WorkerCounters]) -> Snapshot:
        """Return the state now, and publish it for `status` at most twice a second."""
        self._last = workers
        rate = self._window.rate(self._done) if self._window else None
        left = max(0, self._total - self._done)
        found = Snapshot(
            total=self._total,
            done=self._done,
            images_per_second=rate,
            eta_seconds=left / rate if rate else None,
            bottleneck=self._bottleneck(workers),
            workers=tuple(self._worker(k, pids.get(k), counters) for k, counters in workers.items()),
            written_at=time.time(),
        )
        if time.monotonic() - self._written_at >= _WRITE_SECONDS:
            self._written_at = time.monotonic()
            _write(self._path, found)
        return found

    def report(self, *, stopped: bool) -> RunReport:
        """Return what the run did, and take the published progress away."""
        self._path.unlink(missing_ok=True)
        stages = {stage: sum(c.stages.get(stage, 0.0) for c in self._last.values()) for stage in STAGES}
        deaths = sum(counters.deaths for counters in self._last.values())
        return RunReport(self._done, time.monotonic() - self._began, stopped, stages, deaths, **self._ready)

    def _worker(self, worker: int, pid: int | None, counters: WorkerCounters) -> WorkerProgress:
        rate = self._windows.setdefault(worker, _Window()).rate(counters.images)
        bottleneck = self._bottleneck({worker: counters})
        return WorkerProgress(worker, pid, counters.images, rate, bottleneck, counters.saved_at, counters.deaths)

    def _bottleneck(self, workers: Mapping[int, WorkerCounters]) -> str | None:
        """Name what holds the run back: what the model waits for, else the model, unless the budget does."""
        rates = dict.fromkeys(STAGES, 0.0)
        for worker, counters in workers.items():
            for stage in STAGES:
                window = self._stage_windows.setdefault((worker, stage), _Window())
                rates[stage] += window.rate(counters.stages.get(stage, 0.0)) or 0.0
        main = {stage: rates[stage] for stage in ("model", "wait", "pace")}
        if not any(main.values()):
            return None
        most = max(main, key=lambda stage: main[stage])
        if most == "wait":
            return "disk" if rates["read"] > rates["decode"] else "decode"
        return {"model": "model", "pace": "budget"}[most]


def read(library: Path) -> dict[str, Any] | None:
    """Return the last published snapshot as JSON values, None when there is none."""
    try:
        found: dict[str, Any] = json.loads((library / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _write(path: Path, snapshot: Snapshot) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with disk.writing(path):
        temporary.write_text(json.dumps(asdict(snapshot)), encoding="utf-8")
        temporary.replace(path)
