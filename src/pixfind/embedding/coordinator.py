"""
The coordinator: deals pending images to workers, adopts what they save, replaces those that die.

Owns one run of `embed`: who holds which image, which hashes are being embedded, which images are suspected of killing workers.
Everything durable goes through `library.adopt` and `catalogue.settle`; a coordinator that is killed leaves nothing to clean up.
Must not know how a worker is carried (`runners`) or how progress is shown (`console`).
"""

import collections
import contextlib
import dataclasses
import datetime
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.embedding import budget, progress
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import Ended, Runner
from pixfind.library import control
from pixfind.library.library import Library
from pixfind.storage import logs
from pixfind.types import Clock, ImageRef, Outcome, Settled
from pixfind.worker import protocol
from pixfind.worker.pipeline import EXIT_DEGRADED
from pixfind.worker.protocol import ClaimsAnswered, FromWorker, WorkerConfig

log = logging.getLogger("pixfind.coordinator")

_CHUNK = 1024
_TICK_SECONDS = 0.2
_STOP_SECONDS = 20.0
_PACE_SECONDS = 1.0

#: In a row, before any worker was ready: its model cannot be loaded, or somebody kills it again and again.
_CRASHES_WITHOUT_READY = 5
_KILLS_WITHOUT_READY = 100
_TIMES_CHANGED = 3

#: A worker may be killed by anybody; only a crash inside it speaks against the picture at once.
_DEATHS_BY_CRASH = 2
_DEATHS_BY_KILL = 4


@dataclass(slots=True)
class _Seat:
    """One worker as the coordinator sees it."""

    config: WorkerConfig
    holds: dict[int, ImageRef] = field(default_factory=dict)
    """images dealt and neither adopted nor settled"""
    embedded: set[int] = field(default_factory=set)
    """those of them that came through the model and wait to be saved"""
    ready: bool = False
    batch: int = 1
    """images that it puts through the model together, once it is ready"""
    stopped: bool = False
    alone: int | None = None
    """the suspected image that it tries by itself"""
    heard_at: float = 0.0
    """the clock's monotonic seconds"""
    counters: progress.WorkerCounters = field(default_factory=progress.WorkerCounters)


class _Part:
    """The pending images with `id % parts == part`, read from the catalogue a chunk at a time."""

    def __init__(self, library: Library, part: int, parts: int) -> None:
        self.left = library.catalogue.count_pending(part=part, parts=parts)
        self._library = library
        self._part = part
        self._parts = parts
        self._chunk: collections.deque[ImageRef] = collections.deque()
        self._after = 0

    def take(self, count: int) -> list[ImageRef]:
        if not self._chunk and self.left:
            chunk = self._library.catalogue.pending(part=self._part, parts=self._parts, after=self._after, limit=_CHUNK)
            self._chunk.extend(chunk)
            self._after = chunk[-1].image_id if chunk else self._after
            self.left = self.left if chunk else 0
        taken = [self._chunk.popleft() for _ in range(min(count, len(self._chunk)))]
        self.left = max(0, self.left - len(taken))
        return taken


class Coordinator:
    """One run."""

    def __init__(
        self,
        library: Library,
        runner: Runner,
        plan: Plan,
        config: WorkerConfig,
        watch: Callable[[progress.Snapshot], None] = lambda snapshot: None,
        rest: budget.Rest | None = None,
        clock: Clock = time,
    ) -> None:
        self._library = library
        self._runner = runner
        self._plan = plan
        self._watch = watch
        self._clock = clock
        count = plan.workers.value
        self._parts = [_Part(library, part, count) for part in range(count)]
        self._seats = {k: _Seat(dataclasses.replace(config, worker=k)) for k in range(count)}
        self._again: collections.deque[ImageRef] = collections.deque()
        self._suspects: collections.deque[ImageRef] = collections.deque()
        self._deaths: collections.Counter[int] = collections.Counter()
        self._changes: collections.Counter[int] = collections.Counter()
        self._claims = _Claims()
        self._without_ready = 0
        self._stops_asked = 0
        self._stopping_since: float | None = None
        self._paced_at = -math.inf
        self.tracker = progress.Tracker(library, clock)
        self._budget = budget.Budget(plan.budget.value, clock)
        self._rest = rest or budget.Rest()
        self._others = budget.Others(clock)
        self._resting: str | None = None

    def run(self) -> progress.RunReport:
        """Embed until nothing is pending or a stop is asked for; return the report. Raises LibraryError."""
        try:
            with _asked_to_stop(self):
                for seat in self._seats.values():
                    if self._left():
                        self._runner.start(seat.config)
                    else:
                        seat.stopped = True
                while not all(seat.stopped for seat in self._seats.values()):
                    for worker, message in self._runner.receive(_TICK_SECONDS):
                        self._hear(self._seats[worker], message)
                    self._tick()
        finally:
            self._runner.close()
            # Rows that a worker made durable and could not report any more.
            for worker in self._seats:
                self._adopt(self._seats[worker])
        return self.tracker.report(stopped=self._stopping_since is not None)

    def stop(self) -> None:
        """End the run: batches in hand are finished or dropped. A second call ends the workers at once."""
        # Only counted here: this is called from a signal handler, where a message may be half written.
        self._stops_asked += 1

    # --- dealing ----------------------------------------------------------------------------------

    def _left(self) -> bool:
        held = any(seat.holds for seat in self._seats.values())
        return bool(held or self._again or self._suspects or any(part.left for part in self._parts))

    def _deal(self, seat: _Seat) -> None:
        if not seat.ready or seat.stopped or self._stopping_since is not None:
            return
        if self._resting is not None and self._left():
            # A worker that has just become ready has not heard yet that everybody rests.
            return
        if seat.alone not in seat.holds:
            seat.alone = None
        if self._suspects:
            # Suspects are tried one at a time, by a worker that holds nothing else: then a death names its picture.
            if not seat.holds:
                self._deal_alone(seat, self._suspects.popleft())
            return
        if seat.alone is not None:
            return
        room = self._plan.look_ahead.value * seat.batch - (len(seat.holds) - len(seat.embedded))
        if room >= seat.batch:
            self._give(seat, self._next_images(seat.config.worker, room))
        if not seat.holds and not self._left():
            self._runner.send(seat.config.worker, protocol.Stop())

    def _next_images(self, worker: int, count: int) -> list[ImageRef]:
        """The worker's own part first, then help with what is left elsewhere."""
        images = [self._again.popleft() for _ in range(min(count, len(self._again)))]
        own = self._parts[worker]
        for part in (own, *sorted((p for p in self._parts if p is not own), key=lambda p: -p.left)):
            while part.left and len(images) < count:
                taken = part.take(count - len(images))
                images += taken
                if not taken:
                    break
        return images

    def _give(self, seat: _Seat, images: list[ImageRef]) -> None:
        if not images:
            return
        seat.holds.update((image.image_id, image) for image in images)
        self._runner.send(seat.config.worker, protocol.Embed(tuple(images)))

    def _deal_alone(self, seat: _Seat, image: ImageRef) -> None:
        seat.alone = image.image_id
        self._give(seat, [image])

    # --- hearing ----------------------------------------------------------------------------------

    def _hear(self, seat: _Seat, message: FromWorker | Ended) -> None:
        seat.heard_at = self._clock.monotonic()
        if isinstance(message, Ended):
            self._worker_ended(seat, message)
            return
        match message:
            case protocol.Ready(device, precision, batch):
                seat.ready = True
                self._without_ready = 0
                seat.batch = batch
                self.tracker.began(device, precision)
            case protocol.Embedded(image_ids):
                seat.embedded.update(seat.holds.keys() & set(image_ids))
            case protocol.Claim(contents):
                self._answer(seat, contents)
            case protocol.Saved():
                self._saved(seat, message)
            case protocol.Fatal():
                raise message.rebuilt()
        self._deal(seat)

    def _answer(self, seat: _Seat, contents: Iterable[tuple[int, bytes]]) -> None:
        """Tell which of the hashed images to embed; the others equal one that is embedded or being embedded."""
        granted, refused, known = [], [], []
        for image_id, content in contents:
            if self._library.catalogue.value("embedding_of_hash", hash=content) is not None:
                known.append((seat.holds[image_id], content))
            elif self._claims.claim(seat.holds[image_id], content):
                granted.append(image_id)
                continue
            refused.append(image_id)
            seat.holds.pop(image_id)
        self._settle_duplicates(known)
        self._runner.send(seat.config.worker, ClaimsAnswered(tuple(granted), tuple(refused)))

    def _settle_duplicates(self, known: list[tuple[ImageRef, bytes]]) -> None:
        if not known:
            return
        with self._library.catalogue.transaction():
            taken = [
                self._library.catalogue.adopt_duplicate(image.image_id, content, image.size, image.mtime_ns)
                for image, content in known
            ]
        self.tracker.embedded(0, sum(taken))
        # The row that they waited for did not become one of the library: they are embedded themselves.
        self._again.extend(image for (image, _), done in zip(known, taken, strict=True) if not done)

    def _saved(self, seat: _Seat, saved: protocol.Saved) -> None:
        if saved.rows:
            self._adopt(seat)
        self._settle(seat, saved.settled)
        for changed in saved.changed:
            image = seat.holds.pop(changed.image_id, None)
            if image is not None:
                self._settle_changed(image, changed.size, changed.mtime_ns)
        seat.embedded &= seat.holds.keys()
        seat.counters.stages = saved.stages
        seat.counters.bytes_read = saved.bytes_read
        seat.counters.loaders = saved.loader_threads
        seat.counters.processor_seconds = saved.processor_seconds
        seat.counters.commits += bool(saved.rows)
        seat.counters.saved_at = self._clock.time()

    def _adopt(self, seat: _Seat) -> None:
        adopted = self._library.adopt(seat.config.worker)
        if adopted.damaged is not None:
            path, row = adopted.damaged
            raise errors.LibraryDamaged(path=path, detail=f"row {row} is not what worker {seat.config.worker} wrote")
        for image_id in (*adopted.embedded, *adopted.duplicates, *adopted.surplus):
            seat.holds.pop(image_id, None)
            self._settle_duplicates(self._claims.release(image_id))
        seat.counters.images += len(adopted.embedded)
        self.tracker.embedded(len(adopted.embedded), len(adopted.duplicates))

    def _settle(self, seat: _Seat, settled: Iterable[Settled]) -> None:
        held = [one for one in settled if seat.holds.pop(one.image_id, None) is not None]
        # The same bytes end in the same way.
        self._record(
            [
                dataclasses.replace(one, image_id=image_id)
                for one in held
                for image_id in (one.image_id, *self._waiting_for(one.image_id))
            ]
        )

    def _waiting_for(self, image_id: int) -> list[int]:
        """Return the images that waited for this one to end: they have the same bytes."""
        return [image.image_id for image, _ in self._claims.release(image_id)]

    def _record(self, settled: list[Settled]) -> None:
        if settled:
            with self._library.catalogue.transaction():
                self._library.catalogue.settle(settled)
            self.tracker.settled(settled)

    def _settle_changed(self, image: ImageRef, size: int, mtime_ns: int) -> None:
        """The file is another one by now: embed what it is, unless it never comes to rest."""
        self._again.extend(waiting for waiting, _ in self._claims.release(image.image_id))
        self._changes[image.image_id] += 1
        if self._changes[image.image_id] > _TIMES_CHANGED:
            self._record([Settled(image.image_id, Outcome.FAILED, str(errors.KeepsChanging()), transient=True)])
            return
        self._library.catalogue.run("changed_on_disk", image_id=image.image_id, size=size, mtime_ns=mtime_ns)
        self._again.append(dataclasses.replace(image, size=size, mtime_ns=mtime_ns, same_size=True))

    # --- the end of a worker ----------------------------------------------------------------------

    def _worker_ended(self, seat: _Seat, ended: Ended) -> None:
        self._adopt(seat)
        # What came through the model cannot have ended the worker: it is embedded again, without suspicion.
        self._again.extend(image for image_id, image in seat.holds.items() if image_id in seat.embedded)
        unfinished = [image for image_id, image in seat.holds.items() if image_id not in seat.embedded]
        seat.holds, seat.embedded = {}, set()
        clean = ended.code == 0
        if self._stopping_since is not None or (clean and not unfinished and not self._left()):
            seat.stopped = True
            return
        if not clean and ended.code != EXIT_DEGRADED:
            self._blame(seat, ended, unfinished)
        else:
            self._again.extend(unfinished)
        seat.ready, seat.alone = False, None
        if self._left():
            self._runner.start(seat.config)
        else:
            seat.stopped = True

    def _blame(self, seat: _Seat, ended: Ended, unfinished: list[ImageRef]) -> None:
        seat.counters.deaths += 1
        killed = ended.code == -signal.SIGKILL
        if not seat.ready:
            self._again.extend(unfinished)
            self._without_ready += 1
            if self._without_ready >= (_KILLS_WITHOUT_READY if killed else _CRASHES_WITHOUT_READY):
                raise errors.WorkersKeepDying(
                    worker=seat.config.worker,
                    times=self._without_ready,
                    detail=ended.detail,
                    log=Path(seat.config.logs) / f"embed_worker_{seat.config.worker}.log",
                )
            return
        needed = _DEATHS_BY_KILL if killed else _DEATHS_BY_CRASH
        for image in unfinished:
            self._deaths[image.image_id] += 1
            if seat.alone == image.image_id and self._deaths[image.image_id] >= needed:
                reason = str(errors.KillsTheDecoder(detail=ended.detail))
                same = self._waiting_for(image.image_id)
                self._record([Settled(i, Outcome.FAILED, reason) for i in (image.image_id, *same)])
            else:
                self._suspects.append(image)

    # --- time -------------------------------------------------------------------------------------

    def _tick(self) -> None:
        for seat in self._seats.values():
            if not seat.stopped:
                self._deal(seat)
                self._give_up_on(seat)
        asked = control.read(self._library.path)
        self._stop_if_asked(asked.stop)
        if asked.cpu is not None:
            self._budget.cores = math.inf if asked.cpu >= 1 else asked.cpu * self._plan.cores.value
        self._pace(pause=bool(asked.pause))
        counters = {worker: seat.counters for worker, seat in self._seats.items()}
        self._watch(self.tracker.snapshot(self._runner.pids(), counters, paused=self._resting, cores=self._budget.used))

    def _stop_if_asked(self, by_command: bool) -> None:
        running = [worker for worker, seat in self._seats.items() if not seat.stopped]
        if self._stopping_since is None and (by_command or self._stops_asked):
            self._stopping_since = self._clock.monotonic()
            for worker in running:
                self._runner.send(worker, protocol.Stop())
        elif self._stopping_since is not None:
            overdue = self._clock.monotonic() - self._stopping_since > _STOP_SECONDS
            for worker in running if overdue or self._stops_asked > 1 else ():
                self._runner.kill(worker)

    def _give_up_on(self, seat: _Seat) -> None:
        """A picture can hang its whole process, beyond the reach of the worker's own time limit."""
        patience = 2 * self._plan.seconds_per_image.value + 10
        if self._resting is not None:
            # A worker that rests has nothing to say.
            seat.heard_at = self._clock.monotonic()
        if seat.ready and seat.holds and self._clock.monotonic() - seat.heard_at > patience:
            self._runner.kill(seat.config.worker)
            seat.heard_at = self._clock.monotonic()

    def _now(self) -> datetime.datetime:
        """The owner's clock: hours are local."""
        return datetime.datetime.fromtimestamp(self._clock.time())  # noqa: DTZ006

    def _pace(self, *, pause: bool) -> None:
        """Once a second: divide the budget, or let everybody rest."""
        if self._clock.monotonic() - self._paced_at < _PACE_SECONDS:
            return
        self._paced_at = self._clock.monotonic()
        pids = self._runner.pids()
        others = self._others.share([os.getpid(), *pids.values()]) if self._rest.when_busy else 0.0
        resting = self._rest.reason(asked=pause, others=others, now=self._now())
        if (resting is None) != (self._resting is None):
            log.info("%s", resting or "going on")
        self._resting = resting
        running = [worker for worker, seat in self._seats.items() if seat.ready and not seat.stopped]
        for worker, quota in self._budget.quotas(pids, running).items():
            self._runner.send(worker, protocol.Quota(0.0 if resting else quota))


class _Claims:
    """Which contents are being embedded, and which images wait because they have the same."""

    def __init__(self) -> None:
        self._owner: dict[bytes, int] = {}
        self._content: dict[int, bytes] = {}
        self._waiting: dict[bytes, list[ImageRef]] = collections.defaultdict(list)

    def claim(self, image: ImageRef, content: bytes) -> bool:
        """Return whether this image may be embedded: it is the first of its content, or the same one again."""
        owner = self._owner.setdefault(content, image.image_id)
        if owner == image.image_id:
            self._content[image.image_id] = content
            return True
        self._waiting[content].append(image)
        return False

    def release(self, image_id: int) -> list[tuple[ImageRef, bytes]]:
        """The image has ended: return those that waited for it, with their content."""
        content = self._content.pop(image_id, None)
        if content is None:
            return []
        del self._owner[content]
        return [(image, content) for image in self._waiting.pop(content, [])]


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what the coordinator logs to a file: a line a minute, pauses, the report of the run."""
    handler = logs.handler(path)
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


class _asked_to_stop:  # noqa: N801 - reads as a condition in its `with`
    """Ctrl-C and SIGTERM stop the run cleanly once, and at once the second time."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        import threading

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, lambda *_: self._coordinator.stop())

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
