"""
One worker: from messages that assign images to rows in a sink, or to texts.

Owns the pipeline: `prefetch` reads and decodes files, the model runs in this thread (`work`), `saver` makes rows durable about twice a second. Never sees SQLite:
it gets paths and ids, and reports which rows are durable; the coordinator assigns, adopts and replaces. Must not know what carries the messages
(`process` does, or `embedding.runners.serial`) or where rows go (`sink`).
"""

import contextlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.images import decode, source
from pixfind.models import hub
from pixfind.models.encoders import ImageEncoder, open_image_encoder
from pixfind.models.readers import TextReader, open_text_reader
from pixfind.storage import disk
from pixfind.types import ImageRef, Outcome, Settled
from pixfind.worker import embed, prefetch, protocol
from pixfind.worker.batch_size import BatchSizeTuner
from pixfind.worker.files import FilesOfNode
from pixfind.worker.model_files import with_model
from pixfind.worker.protocol import Claim, Embedded, FromWorker, Ready, Saved, ToWorker, WorkerConfig
from pixfind.worker.saver import Saver
from pixfind.worker.sink import FileSink, MessageSink
from pixfind.worker.throttle import Throttle
from pixfind.worker.work import EmbedWork, ReadWork, Results, Work

_SAVE_SECONDS = 0.5
_SAVE_ROWS = 4096
_TICK_SECONDS = 0.1
_TUNE_SECONDS = 5.0
_LIFE_SECONDS = 5.0
_MAX_WAIT_SHARE = 0.1
"""share of the time that the model may wait for the disk before more files are read at a time"""

Inbox = queue.SimpleQueue[ToWorker]
Send = Callable[[FromWorker], None]

log = logging.getLogger("pixfind.worker")


@dataclass(frozen=True, slots=True)
class _StageSample:
    """The seconds per stage at one moment."""

    at: float
    """monotonic seconds"""
    stages: Mapping[str, float]

    @classmethod
    def now(cls, stages: Mapping[str, float]) -> "_StageSample":
        return cls(time.monotonic(), dict(stages))

    def share(self, before: "_StageSample", stage: str) -> float:
        """Return the seconds per second that went into a stage since `before`."""
        return (self.stages[stage] - before.stages[stage]) / (self.at - before.at)


class Worker:
    """The pipeline of one worker."""

    def __init__(self, config: WorkerConfig, work: Work, send: Send) -> None:
        self.batch_size = BatchSizeTuner(config.batches if work.device == "cpu" else config.gpu_batches)
        self.events: queue.SimpleQueue[ToWorker | prefetch.Event] = queue.SimpleQueue()
        """messages of the coordinator, and what the prefetcher's threads report"""
        self._config = config
        self._work = work
        self._send = send
        self._throttle = Throttle(config.cpu_quota)
        limits = decode.Limits(config.max_pixels, config.max_scaled_pixels)
        self.files_of_node = FilesOfNode(send, config.maps) if config.sends_rows else None
        """files that this machine may not see"""
        self._prefetcher = prefetch.Prefetcher(
            work.preparer,
            limits,
            self.events,
            decoders=config.decoders,
            byte_budget=config.read_ahead,
            files=self.files_of_node,
        )
        self._assigned: dict[int, ImageRef] = {}
        self._claimed: dict[int, embed.Read] = {}
        self._loaded: list[embed.Loaded] = []
        self._results = Results()
        self._saver = Saver()
        self._settled: list[Settled] = []
        self._changed: list[protocol.Changed] = []
        self._left: list[protocol.Left] = []
        self._held_back = ""
        self._saved_at = time.monotonic()
        self._stages = dict.fromkeys(("read", "network", "decode", "model", "save", "wait"), 0.0)
        self._bytes_read = 0
        self._processor_at_start = time.process_time()
        self._hung_threads = 0
        self._sampled = _StageSample.now(self._stages)
        self._shown_life_at, self._activity = time.monotonic(), self._network_activity()
        self._stopping = False
        self._rests = False
        self.closed = False
        """no more events are taken"""

    def run(self) -> int:
        """Work until stopped; return the exit code, or RESTS where the worker can be used again and was asked to rest. Raises OperationError when rows cannot be saved."""
        while True:
            self._take_events()
            self._fail_overdue()
            full = len(self._loaded) >= self.batch_size.size or self._stopping or not self._awaits_images()
            # Paused in short pieces, so that a stop or another quota is noticed meanwhile.
            if self._loaded and full and (self._throttle.pause(_TICK_SECONDS) or self._stopping):
                self._forward()
            if self._save_is_due():
                self._save()
            if self._stopping and not self._loaded:
                self._save_all()
                # What a thread is at would continue beside the next run.
                return protocol.RESTS if self._rests and not self._assigned and not self._hung_threads else 0
            self._tune_threads()
            self._show_life()
            if self._hung_threads >= self._config.decoders:
                self._save_all()
                return protocol.EXIT_DEGRADED

    def close(self) -> None:
        """End the threads that load images, and the one that saves."""
        self.closed = True
        if self.files_of_node is not None:
            self.files_of_node.close()
        self._prefetcher.close()
        self._saver.close()

    # --- events -----------------------------------------------------------------------------------

    def _take_events(self) -> None:
        """Handle what has arrived; wait only when there is nothing for the model."""
        wait = 0.0 if len(self._loaded) >= self.batch_size.size else _TICK_SECONDS
        began = time.perf_counter()
        try:
            event = self.events.get(timeout=wait) if wait else self.events.get_nowait()
        except queue.Empty:
            event = None
        if self._assigned:
            self._stages["wait"] += time.perf_counter() - began
        claims: list[tuple[int, bytes]] = []
        while event is not None:
            self._handle(event, claims)
            try:
                # A full batch goes first; the events stay in their queue.
                event = self.events.get_nowait() if len(self._loaded) < self.batch_size.size else None
            except queue.Empty:
                event = None
        if claims:
            self._send(Claim(tuple(claims)))

    def _handle(self, event: ToWorker | prefetch.Event, claims: list[tuple[int, bytes]]) -> None:
        match event:
            case embed.Read(image, original):
                self._claimed[image.image_id] = event
                claims.append((image.image_id, original.fingerprint.hash))
            case embed.Loaded():
                if event.image_id in self._assigned:
                    networked = event.fetched or source.is_address(self._assigned[event.image_id].path)
                    stage = "network" if networked else "read"
                    self._stages[stage] += event.seconds[0]
                    self._stages["decode"] += event.seconds[1]
                    self._bytes_read += event.fingerprint.size
                    self._loaded.append(event)
            case prefetch.Failed(image, problem):
                if image.image_id in self._assigned:
                    self._fail(image, problem)
            case _:
                self._apply(event)

    def _apply(self, message: ToWorker) -> None:
        match message:
            case protocol.Embed(images):
                for image in images:
                    self._assigned[image.image_id] = image
                    self._prefetcher.take(image)
            case protocol.ClaimsAnswered(granted, refused):
                for image_id in granted:
                    self._prefetcher.load(self._claimed.pop(image_id))
                for image_id in refused:
                    self._claimed.pop(image_id)
                    self._forget(image_id)
            case protocol.Quota(cpu_quota):
                self._throttle.cpu_quota = cpu_quota
            case protocol.Stop() | protocol.Rest():
                self._stopping = True
                self._rests = isinstance(message, protocol.Rest)

    # --- outcomes and limits ----------------------------------------------------------------------

    def _fail(self, image: ImageRef, problem: BaseException) -> None:
        self._forget(image.image_id)
        if isinstance(problem, errors.ModifiedSinceScan):
            self._changed.append(protocol.Changed(image.image_id, problem.fields["size"], problem.fields["mtime_ns"]))
            return
        if isinstance(problem, errors.SourceAway):
            self._left.append(protocol.Left(image.image_id, problem.fields["detail"]))
            return
        if not isinstance(problem, errors.ImageProblem):
            # Border: one image. A bug of ours in one image must not end the others; the log has the trace.
            log.error("image %d: %s", image.image_id, source.for_logs(image.path), exc_info=problem)
            problem = errors.Damaged(detail=f"{type(problem).__name__}: {problem}")
        outcome = Outcome.SKIPPED if problem.skipped else Outcome.FAILED
        log.warning("%s: %s: %s", outcome, source.for_logs(image.path), problem)
        self._settled.append(Settled(image.image_id, outcome, str(problem), problem.transient))

    def _forget(self, image_id: int) -> None:
        self._assigned.pop(image_id, None)
        self._prefetcher.forget(image_id)

    def _fail_overdue(self) -> None:
        """Fail images that take too long. Their thread cannot be stopped; a worker with none left ends as degraded."""
        limit = self._config.seconds_per_image
        for image_id, began in list(self._prefetcher.began.items()):
            if time.monotonic() - began > limit and image_id in self._assigned:
                self._hung_threads += 1
                self._fail(self._assigned[image_id], errors.DecodeTimeout(seconds=limit))

    def _show_life(self) -> None:
        """Send a message while an archive is being looked into, or the network is slow: that may take longer than the coordinator waits for one."""
        if (held_back := source.held_back() or "") != self._held_back:
            self._held_back = held_back
            self._send(protocol.HeldBack(held_back))
        if time.monotonic() - self._shown_life_at < _LIFE_SECONDS:
            return
        activity = self._network_activity()
        if held_back or activity != self._activity:
            self._send(Embedded(()))
        self._shown_life_at, self._activity = time.monotonic(), activity

    def _network_activity(self) -> int:
        return source.activity() + (self.files_of_node.activity if self.files_of_node is not None else 0)

    def _tune_threads(self) -> None:
        """Read more files at a time when the model waits for the disk: nothing else here costs no processor time."""
        if time.monotonic() - self._sampled.at < _TUNE_SECONDS:
            return
        before, self._sampled = self._sampled, _StageSample.now(self._stages)
        waits, reads, fetches, decodes = (
            self._sampled.share(before, stage) for stage in ("wait", "read", "network", "decode")
        )
        threads = self._prefetcher.threads
        most = prefetch.MAX_NETWORK_THREADS if fetches > reads else prefetch.MAX_THREADS
        if waits > _MAX_WAIT_SHARE and reads + fetches > decodes and threads < most:
            self._prefetcher.grow(max(1, threads // 2), most)
            log.info(
                "%d loader threads: the model waits for the %s %.0f%% of the time",
                self._prefetcher.threads,
                "network" if fetches > reads else "disk",
                100 * waits,
            )

    def _awaits_images(self) -> bool:
        """Return whether threads are at work on images, so that the next batch may grow."""
        return len(self._assigned) > len(self._loaded) + len(self._claimed)

    # --- model and rows ---------------------------------------------------------------------------

    def _forward(self) -> None:
        size = self.batch_size.size
        batch, self._loaded = self._loaded[:size], self._loaded[size:]
        began = time.perf_counter()
        problems = self._work.do(batch, self._results)
        seconds = time.perf_counter() - began
        self._stages["model"] += seconds
        self.batch_size.record(len(batch), seconds)
        for position, problem in problems.items():
            self._fail(self._assigned[batch[position].image_id], problem)
        batch = [loaded for position, loaded in enumerate(batch) if position not in problems]
        for loaded in batch:
            self._forget(loaded.image_id)
        # More can be assigned at once: these are through, though not durable yet.
        self._send(Embedded(tuple(loaded.image_id for loaded in batch)))

    def _save_is_due(self) -> bool:
        self._saver.check()
        if not (self._results or self._settled or self._changed or self._left):
            return False
        if len(self._results) >= _SAVE_ROWS:
            # More are not kept in memory, however slow the disk is.
            return True
        idle = not self._assigned
        return not self._saver.busy and (idle or time.monotonic() - self._saved_at >= _SAVE_SECONDS)

    def _save_all(self) -> None:
        self._save()
        self._saver.wait()

    def _save(self) -> None:
        """Let the saver make the rows durable and then report them: the coordinator adopts what is reported."""
        results, settled, changed, left = self._results, tuple(self._settled), tuple(self._changed), tuple(self._left)
        self._saver.save(lambda: self._save_now(results, settled, changed, left))
        self._results, self._settled, self._changed, self._left = Results(), [], [], []
        self._saved_at = time.monotonic()

    def _save_now(
        self,
        results: Results,
        settled: tuple[Settled, ...],
        changed: tuple[protocol.Changed, ...],
        left: tuple[protocol.Left, ...],
    ) -> None:
        """In the thread of the saver."""
        began = time.perf_counter()
        self._work.save(results)
        self._stages["save"] += time.perf_counter() - began
        self._send(
            Saved(
                rows=len(results.images),
                settled=settled,
                changed=changed,
                left=left,
                stages={**self._stages, "pace": self._throttle.waited},
                bytes_read=self._bytes_read,
                loader_threads=self._prefetcher.threads,
                processor_seconds=time.process_time() - self._processor_at_start,
                texts=tuple(results.texts),
            )
        )


class EncoderOfRuns:
    """The image encoder, or the reader, of the runs that one process serves: loaded again only for a run that needs another one."""

    def __init__(self) -> None:
        self._wanted: object = None
        self._encoder: ImageEncoder | None = None
        self._reader: TextReader | None = None

    def open(self, config: WorkerConfig) -> ImageEncoder:
        """Return the encoder that a run needs; raises OperationError."""
        if self._encoder is None or self._wanted != config.encoder:
            # Never two at a time in memory.
            self._encoder, self._reader = None, None
            self._encoder = open_image_encoder(
                hub.resolve(config.model, offline=True),
                threads=config.threads,
                precision=config.precision,
                device=config.device,
            )
            self._wanted = config.encoder
        return self._encoder

    def open_reader(self, config: WorkerConfig) -> TextReader:
        """Return the reader that a run needs; raises OperationError."""
        if self._reader is None or self._wanted != config.encoder:
            self._encoder, self._reader = None, None
            self._reader = open_text_reader(config.threads)
            self._wanted = config.encoder
        return self._reader


def serve(config: WorkerConfig, inbox: Inbox, send: Send, encoders: EncoderOfRuns | None = None) -> int:
    """
    Do with what the messages in `inbox` assign what `config` says, until one of them is Stop or Rest; return the exit code, or RESTS.

    Sends Ready once the model is loaded and the worker files are locked, and Fatal for an OperationError.
    """
    try:
        if config.sends_rows:
            config = with_model(config, inbox, send)
        source.use((root, json.loads(settings)) for root, settings in config.sources)
        with _open_work(config, encoders or EncoderOfRuns(), send) as work, source.patient(config.patience):
            log.info("ready: %s on %s, %s", config.model, work.device, work.precision)
            worker = Worker(config, work, send)
            send(Ready(work.device, work.precision, worker.batch_size.largest))
            threading.Thread(target=_pass_on, args=(inbox, worker), daemon=True).start()
            try:
                return worker.run()
            finally:
                # A worker may run in a process that continues: its threads would keep the model for ever.
                worker.close()
                inbox.put(protocol.Stop())
    except errors.OperationError as error:
        return _fatal(error, send)
    except OSError as error:
        # Border: the worker's own files. Those of images are met in `prefetch`, so no image is to blame.
        log.exception("a file of our own")
        return _fatal(disk.translated(error, "used", error.filename or f"a file of worker {config.worker}"), send)


@contextlib.contextmanager
def _open_work(config: WorkerConfig, encoders: EncoderOfRuns, send: Send) -> Iterator[Work]:
    if config.reads_text:
        yield ReadWork(encoders.open_reader(config))
    elif config.sends_rows:
        yield EmbedWork(encoders.open(config), MessageSink(send))
    else:
        with FileSink(Path(config.data), config.worker, config.dimension) as sink:
            yield EmbedWork(encoders.open(config), sink)


def _fatal(error: errors.OperationError, send: Send) -> int:
    """End the run, not only this worker: the next one would meet the same."""
    log.error("%s", error)
    send(protocol.Fatal.of(error))
    return error.exit_code


def _pass_on(inbox: Inbox, worker: Worker) -> None:
    while not worker.closed:
        message = inbox.get()
        if isinstance(message, protocol.Content):
            # At once: a thread waits for it, and the model may be at work for seconds.
            assert worker.files_of_node is not None
            worker.files_of_node.answer(message)
        else:
            worker.events.put(message)
