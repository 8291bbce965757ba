"""
The progress of a run: rates, the time left, the present bottleneck, and the figures behind each.

Owns `progress.json`, which `pixfind status` reads while another process embeds; derived data, written without syncs.
Every figure is measured: an unknown rate is None, and so is the time left.
"""

import collections
import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pixfind.embedding.bottleneck import STAGES, bottleneck, explain
from pixfind.embedding.runners import WorkerUsage
from pixfind.library.library import Library
from pixfind.storage import disk
from pixfind.types import Clock, Reason, Settled, format_duration
from pixfind.worker.protocol import Saved

log = logging.getLogger("pixfind.coordinator")

_NAME = "progress.json"
_WINDOW_SECONDS = 60.0
_RATE_AFTER_SECONDS = 3.0
_WRITE_SECONDS = 0.5
_LOG_SECONDS = 60.0


@dataclass(slots=True)
class WorkerCounters:
    """What one worker has done in a run, with those that it replaced."""

    images: int = 0
    """adopted"""
    crashes: int = 0
    """times that it ended without a stop"""
    saved_at: float | None = None
    """seconds since 1970"""
    stages: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """seconds; those of several threads add up"""
    bytes_read: int = 0
    commits: int = 0
    """saves of rows"""
    processor_seconds: float = 0.0
    """since the model was loaded"""
    loader_threads: int = 0
    """threads that read and decode at the moment"""
    device: str = ""
    """on which its model runs; empty before that is known"""

    def update(self, saved: Saved, now: float) -> None:
        """Take over the figures that came with a save; `now` is in seconds since 1970."""
        self.stages = saved.stages
        self.bytes_read = saved.bytes_read
        self.loader_threads = saved.loader_threads
        self.processor_seconds = saved.processor_seconds
        self.commits += bool(saved.rows)
        self.saved_at = now


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """One worker, as `status` shows it; its figures are those of the last minute."""

    worker: int
    host: str | None
    """name of the machine that it runs on; None for a worker inside this process, and for one that waits for room on a cluster"""
    node: str
    """id of the cluster's node; empty on this machine"""
    device: str
    """on which its model runs; empty before that is known"""
    pid: int | None
    """on its machine; None as for `host`"""
    images: int
    images_per_second: float | None
    bottleneck: str | None
    """disk, network, decode, model or budget"""
    stages: dict[str, float]
    """stage -> seconds a second"""
    bytes_per_second: float | None
    loaders: int
    """threads that read and decode at the moment"""
    last_commit: float | None
    """seconds since 1970"""
    deaths: int
    """times that the worker ended without a stop"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment; rates are those of the last minute."""

    total: int
    """images that were pending when the run began"""
    done: int
    """images that have ended, in whatever way"""
    images_per_second: float | None
    eta_seconds: float | None
    bottleneck: str | None
    """disk, network, decode, model or budget"""
    because: str | None
    """the figures behind it"""
    pause: Reason | None
    """why the run is paused; None while it works"""
    held_back: str | None
    """for which source a worker waits, and why; None while none waits"""
    stages: dict[str, float]
    """stage -> seconds a second, over all workers"""
    bytes_per_second: float | None
    cores: float | None
    """cores that all our processes use"""
    workers: tuple[WorkerProgress, ...]
    written_at: float

    def line(self) -> str:
        """Return the state of the run in one line, for a terminal and for the log."""
        if self.pause:
            return self.pause.message
        if self.held_back:
            return f"held back by the network ({self.held_back})"
        if self.images_per_second is None:
            return "measuring"
        parts = [f"{self.images_per_second:,.1f} images/s"]
        if self.eta_seconds is not None:
            parts.append(f"{format_duration(self.eta_seconds)} left")
        if self.bottleneck:
            parts.append(f"bottleneck: {self.bottleneck} ({self.because})")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did."""

    images: int
    seconds: float
    start_seconds: float
    """of these, until the first worker was ready"""
    stopped: bool
    outcomes: dict[str, int]
    """embedded, duplicate, failed, skipped -> images; of a run that reads: read, no text, failed, skipped"""
    failures: dict[str, int]
    """reason -> images"""
    left: dict[str, int]
    """reason -> images whose source could not be reached: they are still pending"""
    stages: dict[str, float]
    """seconds; those of several threads add up"""
    processor_seconds: float
    """of all our processes, once models were loaded"""
    bytes_read: int
    commits: int
    deaths: int
    """workers that ended without a stop"""
    device: str
    precision: str

    @property
    def images_per_second(self) -> float | None:
        """Images a second from when a worker was ready; None for a run of less than a second."""
        worked = self.seconds - self.start_seconds
        return self.images / worked if worked >= 1 else None


class RateWindow:
    """The rate of a count that grows, over the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._points: collections.deque[tuple[float, float]] = collections.deque([(clock.monotonic(), 0.0)])

    def rate(self, value: float) -> float | None:
        """Record the count; return how much it grows in a second, None while too little time has passed."""
        now = self._clock.monotonic()
        self._points.append((now, value))
        while len(self._points) > 2 and now - self._points[0][0] > _WINDOW_SECONDS:  # noqa: PLR2004 - a line needs two points
            self._points.popleft()
        began, before = self._points[0]
        return (value - before) / (now - began) if now - began >= _RATE_AFTER_SECONDS else None


class _WorkerRates:
    """The rates of one worker, over the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._images, self._bytes = RateWindow(clock), RateWindow(clock)
        self._stages = {stage: RateWindow(clock) for stage in STAGES}

    def progress(self, worker: int, usage: WorkerUsage | None, counters: WorkerCounters) -> WorkerProgress:
        stages = {stage: window.rate(counters.stages.get(stage, 0.0)) or 0.0 for stage, window in self._stages.items()}
        return WorkerProgress(
            worker=worker,
            host=usage.host if usage else None,
            node=usage.node if usage else "",
            device=counters.device,
            pid=usage.pid if usage else None,
            images=counters.images,
            images_per_second=self._images.rate(counters.images),
            bottleneck=bottleneck(stages),
            stages=stages,
            bytes_per_second=self._bytes.rate(counters.bytes_read),
            loaders=counters.loader_threads,
            last_commit=counters.saved_at,
            deaths=counters.crashes,
        )


class Tracker:
    """Counts what becomes of the images of one run."""

    def __init__(self, library: Library, total: int, clock: Clock = time) -> None:
        self._clock = clock
        self._path = library.path / _NAME
        self._total = total
        self._outcomes: collections.Counter[str] = collections.Counter()
        self._left: collections.Counter[str] = collections.Counter()
        self._failures: collections.Counter[str] = collections.Counter()
        self._began = self._clock.monotonic()
        self._ready_at: float | None = None
        self._processor = self._clock.process_time()
        self._window: RateWindow | None = None
        self._rates: dict[int, _WorkerRates] = {}
        self._written_at = -math.inf
        self._logged_at = self._clock.monotonic()
        self._ready: dict[str, str] = {"device": "", "precision": ""}
        self._last: Mapping[int, WorkerCounters] = {}

    def worker_ready(self, device: str, precision: str) -> None:
        """Note that a worker is ready; rates are counted from the first, not from the start of Python."""
        self._ready = {"device": device, "precision": precision}
        self._window = self._window or RateWindow(self._clock)
        if self._ready_at is None:
            self._ready_at, self._processor = self._clock.monotonic(), self._clock.process_time()

    def record(self, outcomes: Mapping[str, int]) -> None:
        """Count images that have ended with a result."""
        self._outcomes += collections.Counter(outcomes)

    def record_settled(self, images: Iterable[Settled]) -> None:
        """Count images that have ended without a row."""
        for image in images:
            self._outcomes[image.outcome] += 1
            self._failures[image.reason or "?"] += 1

    def record_left(self, reasons: Iterable[str]) -> None:
        """Count images whose source could not be reached, by the reasons."""
        self._left.update(reasons)

    def snapshot(
        self,
        usage: Mapping[int, WorkerUsage],
        workers: Mapping[int, WorkerCounters],
        *,
        pause: Reason | None = None,
        held_back: str | None = None,
        cores: float | None = None,
    ) -> Snapshot:
        """Return the state of the run now; publish it for `status` at most twice a second, and log it once a minute."""
        self._last = workers
        done = self._outcomes.total()
        rate = self._window.rate(done) if self._window else None
        each = tuple(
            self._rates.setdefault(k, _WorkerRates(self._clock)).progress(k, usage.get(k), counters)
            for k, counters in workers.items()
        )
        stages = {stage: sum(one.stages[stage] for one in each) for stage in STAGES}
        read = [one.bytes_per_second for one in each if one.bytes_per_second is not None]
        limit = None if pause else bottleneck(stages)
        found = Snapshot(
            total=self._total,
            done=done,
            images_per_second=rate,
            eta_seconds=max(0, self._total - done) / rate if rate else None,
            bottleneck=limit,
            because=explain(limit, stages, len(each)) if limit else None,
            pause=pause,
            held_back=held_back,
            stages=stages,
            bytes_per_second=sum(read) if read else None,
            cores=cores,
            workers=each,
            written_at=self._clock.time(),
        )
        self._publish(found)
        return found

    def report(self, *, stopped: bool) -> RunReport:
        """Return what the run did; remove the published progress, and log the report."""
        # What stays is stale by its time.
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        counters = self._last.values()
        now = self._clock.monotonic()
        done = RunReport(
            images=self._outcomes.total(),
            seconds=now - self._began,
            start_seconds=(self._ready_at or now) - self._began,
            stopped=stopped,
            outcomes=dict(self._outcomes),
            failures=dict(self._failures),
            left=dict(self._left),
            stages={stage: sum(c.stages.get(stage, 0.0) for c in counters) for stage in STAGES},
            processor_seconds=self._clock.process_time() - self._processor + sum(c.processor_seconds for c in counters),
            bytes_read=sum(c.bytes_read for c in counters),
            commits=sum(c.commits for c in counters),
            deaths=sum(c.crashes for c in counters),
            **self._ready,
        )
        log.info("%s", json.dumps(asdict(done)))
        return done

    def _publish(self, found: Snapshot) -> None:
        now = self._clock.monotonic()
        if now - self._written_at >= _WRITE_SECONDS:
            self._written_at = now
            _write(self._path, found)
        if now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            log.info("%d of %d images, %s", found.done, found.total, found.line())


def read(library: Path) -> dict[str, Any] | None:
    """Return the last published snapshot as JSON values, None when there is none."""
    try:
        found: dict[str, Any] = json.loads((library / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _write(path: Path, snapshot: Snapshot) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # For `status` alone: embedding does not depend on whether somebody can look.
    with contextlib.suppress(OSError):
        with os.fdopen(disk.create(temporary, os.O_TRUNC), "w", encoding="utf-8") as file:
            json.dump(asdict(snapshot), file)
        temporary.replace(path)
