"""
The coordinator: assigns pending images to workers, adopts what they save, replaces those that end.

Owns one run: which worker has which image, and the order of everything durable, which goes through its pass (`passes`); a coordinator that is killed leaves nothing to clean up. The decisions are next door: `partitions` (which image is next),
`dedup` (equal contents), `crashes` (which image ended a worker), `pacing` (pauses and the budget), `elastic` (how many workers), `stragglers` (what a slow node holds at the end).
Must not know what carries a worker (`runners`) or how progress is shown.
"""

import collections
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping

from pixfind import errors
from pixfind.embedding import progress
from pixfind.embedding.crashes import CrashAttribution
from pixfind.embedding.dedup import ContentClaims, Waiting
from pixfind.embedding.interrupts import stopping_on_signals
from pixfind.embedding.pacing import Pacing
from pixfind.embedding.partitions import PendingImages
from pixfind.embedding.passes import EmbedPass, Pass
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import Ended, Runner, WorkerUsage
from pixfind.embedding.schedule import PausePolicy
from pixfind.embedding.slots import WorkerSlot
from pixfind.embedding.stragglers import Stragglers
from pixfind.library import control, scan
from pixfind.library.library import Library
from pixfind.types import Clock, ImageRef, Outcome, Settled
from pixfind.worker import protocol
from pixfind.worker.protocol import ClaimsAnswered, FromWorker, WorkerConfig

_TICK_SECONDS = 0.2
_ADOPT_SECONDS = 1.0
"""Rows that workers have saved are committed together: each commit writes whole pages of the database, however few rows it has."""
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 60.0
"""between two looks at which roots are offline"""
_MAX_CHANGES = 3
"""times that a file may change while it waits to be read; then it fails"""


class Coordinator:
    """One run."""

    def __init__(
        self,
        library: Library,
        runner: Runner,
        plan: Plan,
        config: WorkerConfig,
        watch: Callable[[progress.Snapshot], None] = lambda snapshot: None,
        pause_policy: PausePolicy | None = None,
        clock: Clock = time,
        images: Pass | None = None,
    ) -> None:
        """
        Prepare a run on `library`, open for writing; `config` is what all workers have in common, and `watch` is called a few times a second.

        `images` is what waits, and what becomes of it; None: it is embedded.
        """
        self._library = library
        self._images = images or EmbedPass(library)
        self._runner = runner
        self._plan = plan
        self._watch = watch
        self._clock = clock
        total = self._images.count()
        needed = math.ceil(total / plan.images_per_worker.value)
        count = min(plan.workers.value, needed)
        self._config = config
        self._slots = {k: WorkerSlot(dataclasses.replace(config, worker=k)) for k in range(count)}
        self._counters = {k: slot.counters for k, slot in self._slots.items()}
        # Workers that come and go have no part of their own.
        self._pending = PendingImages(self._images, count if plan.elastic is None else 1)
        self._stragglers = Stragglers(self._slots, clock)
        self._claims = ContentClaims(library.catalogue)
        self._crashes = CrashAttribution()
        self._changes: collections.Counter[int] = collections.Counter()
        self._pacing = Pacing(plan, pause_policy or PausePolicy(), clock)
        self._tracker = progress.Tracker(library, total, clock)
        self._usage: Mapping[int, WorkerUsage] = {}
        self._stop_requests = 0
        self._stopping_since: float | None = None
        self._adopted_at = clock.monotonic()
        self._looked_at = self._shown_at = -math.inf

    def run(self) -> progress.RunReport:
        """Embed until nothing is pending or a stop is requested; return the report. Raises OperationError."""
        try:
            with stopping_on_signals(self.stop):
                for slot in self._slots.values():
                    self._start(slot)
                while not all(slot.stopped for slot in self._slots.values()):
                    for worker, message in self._runner.receive(_TICK_SECONDS):
                        self._on_message(self._slots[worker], message)
                    self._tick()
        finally:
            self._runner.close()
            # Rows that a worker made durable and could not report any more.
            self._adopt(*self._slots.values())
        return self._tracker.report(stopped=self._stopping_since is not None)

    def stop(self) -> None:
        """End the run: batches in hand are finished or dropped. A second call ends the workers at once."""
        # Only counted here: this is called from a signal handler, where a message may be half written.
        self._stop_requests += 1

    # --- assigning --------------------------------------------------------------------------------

    def _left(self) -> bool:
        """Return whether any image of the run has not ended."""
        return self._crashes.quarantined or bool(self._pending) or any(slot.assigned for slot in self._slots.values())

    def _start(self, slot: WorkerSlot) -> None:
        """Start a worker in `slot` if there is anything left for it to do."""
        if self._left():
            self._runner.start(slot.config)
        else:
            slot.stopped = True

    def _dispatch(self, slot: WorkerSlot) -> None:
        """Assign images to a worker that has room for them, or stop it when nothing is left."""
        if slot.stopped or slot.dismissed_at is not None or self._stopping_since is not None:
            return
        if not slot.ready:
            # On a cluster it may still wait for room, for ever.
            self._dismiss_if_done(slot)
            return
        if self._pacing.paused is not None and self._left():
            # A worker that has just become ready does not know yet that the run is paused.
            return
        if slot.isolated not in slot.assigned:
            slot.isolated = None
        if self._crashes.quarantined:
            # Images in quarantine are tried one at a time, by a worker that has nothing else: then a crash names its image.
            if not slot.assigned:
                image = self._crashes.next_isolated()
                slot.isolated = image.image_id
                self._assign(slot, [image])
            return
        if slot.isolated is not None:
            return
        room = slot.room(self._plan.look_ahead.value)
        if room >= slot.batch:
            # Not all that is left, while the others have nothing: some of them are not ready yet.
            share = max(slot.batch, math.ceil(len(self._pending) / self._working()))
            self._assign(slot, self._pending.take(slot.worker, min(room, share)))
        if not slot.assigned:
            self._assign(slot, self._stragglers.take(slot, self._usage, room))
            self._dismiss_if_done(slot)

    def _dismiss_if_done(self, slot: WorkerSlot) -> None:
        """Tell a worker to stop when nothing is left."""
        if not self._left():
            slot.dismissed_at = self._clock.monotonic()
            self._runner.send(slot.worker, protocol.Stop())

    def _assign(self, slot: WorkerSlot, images: list[ImageRef]) -> None:
        if images:
            slot.assigned.update((image.image_id, image) for image in images)
            slot.assigned_at = self._clock.monotonic()
            self._runner.send(slot.worker, protocol.Embed(tuple(images)))

    # --- messages ---------------------------------------------------------------------------------

    def _on_message(self, slot: WorkerSlot, message: FromWorker | Ended) -> None:
        slot.last_message_at = self._clock.monotonic()
        match message:
            case Ended():
                self._on_end(slot, message)
                return
            case protocol.Ready(device, precision, batch):
                slot.ready, slot.batch, slot.counters.device = True, batch, device
                self._crashes.worker_started()
                self._tracker.worker_ready(device, precision)
            case protocol.Embedded(image_ids):
                slot.embedded.update(slot.assigned.keys() & set(image_ids))
            case protocol.HeldBack(why):
                slot.held_back = why
            case protocol.Claim(contents):
                self._answer(slot, contents)
            case protocol.Saved():
                self._on_saved(slot, message)
            case protocol.Fatal():
                raise message.rebuilt()
        self._dispatch(slot)

    def _answer(self, slot: WorkerSlot, contents: Iterable[tuple[int, bytes]]) -> None:
        """Tell which of the hashed images to embed; the others equal one that is embedded or being embedded."""
        claims = [(slot.assigned.get(image_id), image_id, content) for image_id, content in contents]
        answer = self._claims.answer((image, content) for image, _, content in claims if image is not None)
        for image in answer.refused:
            slot.assigned.pop(image.image_id)
            self._stragglers.end(image.image_id)
        self._adopt_duplicates(answer.known)
        granted = tuple(image.image_id for image in answer.granted)
        # Among the others are those that another worker has ended meanwhile.
        refused = tuple(image_id for _, image_id, _ in claims if image_id not in granted)
        self._runner.send(slot.worker, ClaimsAnswered(granted, refused))

    def _on_saved(self, slot: WorkerSlot, saved: protocol.Saved) -> None:
        slot.unadopted += saved.rows + len(saved.texts)
        slot.texts += saved.texts
        self._settle([one for one in saved.settled if self._taken_back(slot, one.image_id)])
        for changed in saved.changed:
            image = self._taken_back(slot, changed.image_id)
            if image is not None:
                self._on_changed(dataclasses.replace(image, size=changed.size, mtime_ns=changed.mtime_ns))
        self._leave([one for one in saved.left if self._taken_back(slot, one.image_id)])
        slot.embedded &= slot.assigned.keys()
        slot.counters.update(saved, now=self._clock.time())

    def _taken_back(self, slot: WorkerSlot, image_id: int) -> ImageRef | None:
        """Take an image that has ended from whoever has it in hand; None where this worker is not the first to end it."""
        image = slot.assigned.pop(image_id, None)
        if image is not None:
            self._stragglers.end(image_id)
        return image

    # --- the end of an image ----------------------------------------------------------------------

    def _adopt(self, *slots: WorkerSlot) -> None:
        """Make the rows that these workers have saved part of the library; raises LibraryDamaged when one is not what was written."""
        self._adopted_at = self._clock.monotonic()
        for worker, adopted in self._images.adopt({slot.worker: slot.texts for slot in slots}).items():
            if adopted.damaged is not None:
                path, row = adopted.damaged
                raise errors.LibraryDamaged(path=path, detail=f"row {row} is not what worker {worker} wrote")
            slot = self._slots[worker]
            released: list[Waiting] = []
            for image_id in (*adopted.embedded, *adopted.duplicates, *adopted.stale):
                slot.assigned.pop(image_id, None)
                self._stragglers.end(image_id)
                released += self._claims.release(image_id)
            self._adopt_duplicates(released)
            slot.embedded &= slot.assigned.keys()
            slot.unadopted, slot.texts = 0, []
            slot.counters.images += len(adopted.embedded)
            self._tracker.record(self._images.outcomes(adopted))

    def _adopt_if_due(self) -> None:
        """Commit what was saved: once a second, and at once where something waits for it."""
        saved = [slot for slot in self._slots.values() if slot.unadopted]
        isolated = self._crashes.quarantined or any(slot.isolated is not None for slot in saved)
        waited_for = isolated or not self._pending or self._stopping_since is not None
        if saved and (waited_for or self._clock.monotonic() - self._adopted_at >= _ADOPT_SECONDS):
            self._adopt(*saved)

    def _adopt_duplicates(self, images: list[Waiting]) -> None:
        if images:
            left = self._claims.adopt_duplicates(images)
            self._tracker.record({Outcome.DUPLICATE: len(images) - len(left)})
            self._pending.retry(left)

    def _settle(self, settled: Iterable[Settled]) -> None:
        """Record images that ended without a row, and with each the images that waited for it: the same bytes end in the same way."""
        images = [
            dataclasses.replace(one, image_id=image_id)
            for one in settled
            for image_id in (one.image_id, *(waiting.image_id for waiting, _ in self._claims.release(one.image_id)))
        ]
        if images:
            self._images.settle(images)
            self._tracker.record_settled(images)

    def _leave(self, left: list[protocol.Left]) -> None:
        """Give up images for this run, and find out which roots are offline: what else they hold is not tried any more."""
        for one in left:
            self._pending.retry(waiting for waiting, _ in self._claims.release(one.image_id))
        if left:
            self._tracker.record_left([one.why for one in left])
            if self._clock.monotonic() - self._looked_at >= _LOOK_SECONDS:
                scan.refresh_roots(self._library)
                self._looked_at = self._clock.monotonic()

    def _on_changed(self, image: ImageRef) -> None:
        """The file changed after the scan: embed the new content, but give up after three changes. `image` is the file as it is now."""
        self._pending.retry(waiting for waiting, _ in self._claims.release(image.image_id))
        self._changes[image.image_id] += 1
        if self._changes[image.image_id] > _MAX_CHANGES:
            self._settle([Settled(image.image_id, Outcome.FAILED, str(errors.ModifiedDuringRead()), transient=True)])
            return
        if self._images.retries(image):
            self._pending.retry([dataclasses.replace(image, same_size=True)])

    # --- the end of a worker ----------------------------------------------------------------------

    def _on_end(self, slot: WorkerSlot, ended: Ended) -> None:
        self._adopt(slot)
        embedded, unfinished = map(self._stragglers.left_alone, slot.take_all())
        # What went through the model cannot have ended the worker: it is embedded again, without suspicion.
        self._pending.retry(embedded)
        # One that was told to stop, and was ended because it took too long, had nothing to do with any image.
        clean = ended.code == 0 or (slot.dismissed_at is not None and not unfinished)
        over = self._stopping_since is not None or (clean and not unfinished and not self._left())
        without_blame = clean or ended.code in {protocol.EXIT_DEGRADED, protocol.LOST}
        if without_blame and not over:
            self._pending.retry(unfinished)
        elif not over:
            self._on_crash(slot, ended, unfinished)
        slot.ready, slot.dismissed_at, slot.isolated, slot.held_back = False, None, None, ""
        if over or (without_blame and self._working() > self._wanted()):
            slot.stopped = True
        else:
            self._start(slot)

    def _on_crash(self, slot: WorkerSlot, ended: Ended, unfinished: list[ImageRef]) -> None:
        slot.counters.crashes += 1
        if not slot.ready:
            self._pending.retry(unfinished)
            self._crashes.crashed_at_start(slot.config, ended)
            return
        guilty = self._crashes.attribute(unfinished, slot.isolated, ended)
        if guilty is not None:
            reason = str(errors.DecoderCrash(detail=ended.detail))
            self._settle([Settled(guilty.image_id, Outcome.FAILED, reason)])

    # --- how many workers -------------------------------------------------------------------------

    def _working(self) -> int:
        """Count the workers that run or wait for room."""
        return sum(not slot.stopped for slot in self._slots.values())

    def _wanted(self) -> float:
        """Return how many workers there may be; inf on one machine, which has its workers from the start."""
        room = self._runner.room()
        return math.inf if room is None or self._plan.elastic is None else self._plan.elastic.wanted(room)

    def _follow_cluster(self) -> None:
        """Where nodes come and go: divide what they have by now, and start workers where there is room and images wait."""
        room, elastic = self._runner.room(), self._plan.elastic
        if room is None or elastic is None or self._stopping_since is not None or self._pacing.paused is not None:
            return
        self._pacing.resize(room.cores)
        left = len(self._pending) + sum(len(slot.assigned) for slot in self._slots.values())
        needed = math.ceil(left / self._plan.images_per_worker.value) if self._pending else 0
        for _ in range(min(needed, elastic.wanted(room)) - self._working()):
            free = next((slot for slot in self._slots.values() if slot.stopped), None)
            if free is None:
                free = WorkerSlot(dataclasses.replace(self._config, worker=len(self._slots)))
                self._slots[free.worker] = free
                self._counters[free.worker] = free.counters
            free.stopped = False
            self._start(free)

    # --- time -------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._adopt_if_due()
        for slot in self._slots.values():
            if not slot.stopped:
                self._dispatch(slot)
                self._kill_if_hung(slot)
                self._kill_if_overdue(slot)
        request = control.read(self._library.path)
        self._stop_if_requested(by_command=request.stop)
        if request.cpu is not None:
            self._pacing.limit(request.cpu)
        if self._pacing.due:
            self._follow_cluster()
            self._pace(pause_requested=bool(request.pause))
        # Not each time: with many workers messages come hundreds of times a second, and each look is remembered for a minute.
        if self._clock.monotonic() - self._shown_at >= _TICK_SECONDS:
            self._shown_at = self._clock.monotonic()
            self._show()

    def _show(self) -> None:
        self._watch(
            self._tracker.snapshot(
                self._usage,
                self._counters,
                pause=self._pacing.paused,
                held_back=next((slot.held_back for slot in self._slots.values() if slot.held_back), None),
                cores=self._pacing.cores_used,
            )
        )

    def _pace(self, *, pause_requested: bool) -> None:
        self._usage = self._runner.usage()
        running = [worker for worker, slot in self._slots.items() if slot.ready and not slot.stopped]
        for worker, quota in self._pacing.update(self._usage, running, pause_requested=pause_requested).items():
            self._runner.send(worker, protocol.Quota(quota))

    def _stop_if_requested(self, *, by_command: bool) -> None:
        running = [worker for worker, slot in self._slots.items() if not slot.stopped]
        if self._stopping_since is None and (by_command or self._stop_requests):
            self._stopping_since = self._clock.monotonic()
            for worker in running:
                self._runner.send(worker, protocol.Stop())
        elif self._stopping_since is not None:
            overdue = self._clock.monotonic() - self._stopping_since > _STOP_SECONDS
            for worker in running if overdue or self._stop_requests > 1 else ():
                self._runner.kill(worker)

    def _kill_if_hung(self, slot: WorkerSlot) -> None:
        """An image can hang all of its process, beyond the reach of the worker's own time limit."""
        now = self._clock.monotonic()
        limit = 2 * self._plan.seconds_per_image.value + 10
        if self._pacing.paused is not None:
            # A worker that is paused sends nothing.
            slot.last_message_at = now
        if slot.ready and slot.assigned and now - slot.last_message_at > limit:
            self._runner.kill(slot.worker)
            slot.last_message_at = now

    def _kill_if_overdue(self, slot: WorkerSlot) -> None:
        """A worker that was told to stop and does not keeps the run from its end."""
        if slot.dismissed_at is not None and self._clock.monotonic() - slot.dismissed_at > _STOP_SECONDS:
            self._runner.kill(slot.worker)
