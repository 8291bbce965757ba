"""
One worker: a process that embeds what it is told to and saves it in its own pair of files.

Owns the pipeline of one process: files are read and decoded by `prefetch`, the model runs in this thread, rows are saved about twice
a second. Never sees SQLite: it gets paths and ids, and reports how many rows are durable. The coordinator deals, adopts and replaces it.

The protocol is one JSON object a line, in both directions; see docs/explanation/architecture.md. A closed standard input means that the
coordinator is gone: the worker ends at once, which is safe at any instant.
"""

import dataclasses
import json
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.images import decode
from pixfind.models import hub
from pixfind.models.encoders import ImageEncoder, open_image_encoder
from pixfind.storage import worker_files
from pixfind.types import Outcome
from pixfind.worker import embed
from pixfind.worker.batch_size import Batches
from pixfind.worker.prefetch import MOST, Loaders
from pixfind.worker.throttle import Throttle

_SAVE_SECONDS = 0.5
_SAVE_ROWS = 4096
_TICK_SECONDS = 0.1
_PATIENCE_FOR_FILES = 30.0
_REPLAN_SECONDS = 5.0
_PARENT_SECONDS = 1.0
_WAITS = 0.1
"""share of the time that the model may wait for the disk before more is read at a time"""

RETIRED = 75
"""exit code of a worker whose threads hang in pictures: replace it, blame nothing on what it still held"""

COORDINATOR = "PIXFIND_COORDINATOR"
"""environment: the process that started this one; by the time that it is asked for it may have ended"""

Message = dict[str, Any]
log = logging.getLogger("pixfind.worker")


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a worker is told at its start."""

    worker: int
    data: str
    logs: str
    model: str
    """name or directory of the model"""
    dimension: int
    precision: str
    device: str
    threads: int
    decoders: int
    """pictures decoded at a time"""
    read_ahead: int
    """bytes of files held in memory at most"""
    batches: tuple[int, ...]
    """sizes of a batch to try on a processor; the fastest is kept"""
    gpu_batches: tuple[int, ...]
    """... and on anything else"""
    max_pixels: int
    max_scaled_pixels: int
    seconds_per_image: float
    memory: int
    """bytes of data that this worker may take"""
    allowance: float
    """cores that this worker may use"""
    nice: int = 0
    plan: tuple[str, ...] = ()
    """lines for the top of the log"""


@dataclass(frozen=True, slots=True)
class _Moment:
    """The seconds per stage at one moment."""

    at: float
    stages: dict[str, float]

    @classmethod
    def now(cls, stages: dict[str, float]) -> "_Moment":
        return cls(time.monotonic(), dict(stages))

    def share(self, before: "_Moment", stage: str) -> float:
        """Seconds a second that went into a stage since `before`."""
        return (self.stages[stage] - before.stages[stage]) / (self.at - before.at)


class Worker:
    """The pipeline of one process."""

    def __init__(
        self, setup: Setup, encoder: ImageEncoder, pair: worker_files.Pair, send: Callable[[Message], None]
    ) -> None:
        self.setup = setup
        self.batches = Batches(setup.batches if encoder.device == "cpu" else setup.gpu_batches)
        self.events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        """("message", from the coordinator) and ("read" | "loaded" | "problem", from our threads)"""
        self.throttle = Throttle(setup.allowance)
        self._encoder = encoder
        self._pair = pair
        self._send = send
        limits = decode.Limits(setup.max_pixels, setup.max_scaled_pixels)
        self._loaders = Loaders(encoder, limits, self.events, decoders=setup.decoders, room=setup.read_ahead)
        self._in_hand: dict[int, embed.Task] = {}
        self._asked: dict[int, embed.Read] = {}
        self._ready: list[embed.Loaded] = []
        self._rows: list[worker_files.Row] = []
        self._embeddings: list[NDArray[np.float16]] = []
        self._outcomes: list[Message] = []
        self._saved_at = time.monotonic()
        self._stages = dict.fromkeys(("read", "decode", "model", "save", "wait"), 0.0)
        self._bytes = 0
        self._processor = time.process_time()
        self._stuck = 0
        self._planned = _Moment.now(self._stages)
        self._stopping = False

    def run(self) -> int:
        """Work until told to stop; return the exit code."""
        while True:
            self._take_events()
            self._give_up_hanging()
            full = len(self._ready) >= self.batches.size or self._stopping or not self._loading()
            # Paused in short pieces, so that a stop or another allowance is heard meanwhile.
            if self._ready and full and (self.throttle.pause(_TICK_SECONDS) or self._stopping):
                self._forward()
            if self._due():
                self._save()
            if self._stopping and not self._ready:
                self._save()
                return 0
            self._replan()
            if self._stuck >= self.setup.decoders:
                self._save()
                return RETIRED

    # --- events -----------------------------------------------------------------------------------

    def _take_events(self) -> None:
        """Handle what has arrived; wait only when there is nothing for the model."""
        wait = 0.0 if len(self._ready) >= self.batches.size else _TICK_SECONDS
        began = time.perf_counter()
        try:
            event = self.events.get(timeout=wait) if wait else self.events.get_nowait()
        except queue.Empty:
            event = None
        if self._in_hand:
            self._stages["wait"] += time.perf_counter() - began
        claims: list[list[Any]] = []
        while event is not None:
            self._handle(*event, claims)
            try:
                # A full batch goes first; the events stay in their queue.
                event = self.events.get_nowait() if len(self._ready) < self.batches.size else None
            except queue.Empty:
                event = None
        if claims:
            self._send({"claim": claims})

    def _handle(self, kind: str, content: Any, claims: list[list[Any]]) -> None:
        match kind:
            case "message":
                self._obey(content)
            case "read":
                self._asked[content.task.image_id] = content
                claims.append([content.task.image_id, content.original.fingerprint.hash.hex()])
            case "loaded" if content.image_id in self._in_hand:
                self._stages["read"] += content.seconds[0]
                self._stages["decode"] += content.seconds[1]
                self._bytes += content.fingerprint.size
                self._ready.append(content)
            case "problem" if content[0].image_id in self._in_hand:
                self._fail(*content)

    def _obey(self, message: Message) -> None:
        for entry in message.get("embed", ()):
            task = embed.Task(*entry)
            self._in_hand[task.image_id] = task
            self._loaders.take(task)
        for image_id in message.get("granted", ()):
            self._loaders.load(self._asked.pop(image_id))
        for image_id in message.get("refused", ()):
            self._asked.pop(image_id)
            self._forget(image_id)
        if "allowance" in message:
            self.throttle.allowance = message["allowance"]
        self._stopping = self._stopping or bool(message.get("stop"))

    # --- outcomes and limits ----------------------------------------------------------------------

    def _fail(self, task: embed.Task, problem: BaseException) -> None:
        self._forget(task.image_id)
        if isinstance(problem, errors.ChangedSince):
            self._outcomes.append(
                {"id": task.image_id, "changed": [problem.fields["size"], problem.fields["mtime_ns"]]}
            )
            return
        if not isinstance(problem, errors.ImageProblem):
            # Border: one image. A bug of ours in one picture must not end the others; the log has the trace.
            log.error("image %d: %s", task.image_id, task.path, exc_info=problem)
            problem = errors.Damaged(detail=f"{type(problem).__name__}: {problem}")
        outcome = Outcome.SKIPPED if problem.skipped else Outcome.FAILED
        log.warning("%s: %s: %s", outcome, task.path, problem)
        self._outcomes.append(
            {"id": task.image_id, "outcome": outcome, "reason": str(problem), "transient": problem.transient}
        )

    def _forget(self, image_id: int) -> None:
        self._in_hand.pop(image_id, None)
        self._loaders.forget(image_id)

    def _give_up_hanging(self) -> None:
        """Fail pictures that take too long. Their thread cannot be stopped; a worker with none left retires."""
        limit = self.setup.seconds_per_image
        for image_id, began in list(self._loaders.began.items()):
            if time.monotonic() - began > limit and image_id in self._in_hand:
                self._stuck += 1
                self._fail(self._in_hand[image_id], errors.TakesTooLong(seconds=limit))

    def _replan(self) -> None:
        """More reads at a time when the model waits for the disk: nothing else here can be had for nothing."""
        if time.monotonic() - self._planned.at < _REPLAN_SECONDS:
            return
        before, self._planned = self._planned, _Moment.now(self._stages)
        waits, reads, decodes = (self._planned.share(before, stage) for stage in ("wait", "read", "decode"))
        if waits > _WAITS and reads > decodes and self._loaders.width < MOST:
            self._loaders.grow(max(1, self._loaders.width // 2))
            log.info("%d loaders: the model waits for the disk %.0f%% of the time", self._loaders.width, 100 * waits)

    def _loading(self) -> bool:
        return len(self._in_hand) > len(self._ready) + len(self._asked)

    # --- model and files --------------------------------------------------------------------------

    def _forward(self) -> None:
        size = self.batches.size
        batch, self._ready = self._ready[:size], self._ready[size:]
        began = time.perf_counter()
        embeddings, without = embed.embed(self._encoder, [loaded.pixels for loaded in batch])
        seconds = time.perf_counter() - began
        self._stages["model"] += seconds
        self.batches.ran(len(batch), seconds)
        for place in without:
            self._fail(self._in_hand[batch[place].image_id], errors.NoEmbedding())
        batch = [one for place, one in enumerate(batch) if place not in without]
        self._rows += [worker_files.Row(one.image_id, one.fingerprint, one.facts) for one in batch]
        self._embeddings.append(embeddings)
        for one in batch:
            self._forget(one.image_id)
        # More can be dealt at once; these are done for, though not durable yet.
        self._send({"embedded": [one.image_id for one in batch]})

    def _due(self) -> bool:
        if not self._rows and not self._outcomes:
            return False
        idle = not self._in_hand
        return idle or len(self._rows) >= _SAVE_ROWS or time.monotonic() - self._saved_at >= _SAVE_SECONDS

    def _save(self) -> None:
        """Make the rows durable, then report them: the coordinator adopts what it hears of."""
        began = time.perf_counter()
        rows = len(self._rows)
        if rows:
            embeddings = np.concatenate(self._embeddings)
            self._pair.append(worker_files.index_rows(self._rows, embeddings), embeddings)
        self._stages["save"] += time.perf_counter() - began
        self._saved_at = time.monotonic()
        stages = {**self._stages, "pace": self.throttle.waited}
        self._send(
            {
                "saved": rows,
                "outcomes": self._outcomes,
                "stages": stages,
                "bytes": self._bytes,
                "loaders": self._loaders.width,
                "processor": time.process_time() - self._processor,
            }
        )
        if rows:
            log.info("saved %d rows, %d in all", rows, self._pair.count)
        self._rows, self._embeddings, self._outcomes = [], [], []


# --- the process ----------------------------------------------------------------------------------


def serve(setup: Setup, messages: "queue.SimpleQueue[Message]", send: Callable[[Message], None]) -> int:
    """
    Embed what `messages` deal, until one of them says stop; return the exit code.

    Sends {"ready": ...} once the model is loaded and the worker files are ours, and {"fatal": ...} for a LibraryError.
    """
    try:
        lock = worker_files.lock(Path(setup.data), setup.worker, patience=_PATIENCE_FOR_FILES)
        try:
            encoder = open_image_encoder(
                hub.resolve(setup.model, offline=True),
                threads=setup.threads,
                precision=setup.precision,
                device=setup.device,
            )
            paths = worker_files.paths(Path(setup.data), setup.worker)
            with worker_files.Pair(*paths, setup.dimension, write=True) as pair:
                log.info("ready: %s on %s, %s", setup.model, encoder.device, encoder.precision)
                worker = Worker(setup, encoder, pair, send)
                ready = {"device": encoder.device, "precision": encoder.precision, "batch": worker.batches.largest}
                send({"ready": ready})
                threading.Thread(target=_forward_messages, args=(messages, worker), daemon=True).start()
                return worker.run()
        finally:
            lock.release()
    except errors.LibraryError as error:
        log.error("%s", error)  # noqa: TRY400 - a known error needs no trace
        send({"fatal": {"error": type(error).__name__, "fields": {k: str(v) for k, v in error.fields.items()}}})
        return error.exit_code


def _forward_messages(messages: "queue.SimpleQueue[Message]", worker: Worker) -> None:
    while True:
        worker.events.put(("message", messages.get()))


def start_log(setup: Setup) -> None:
    """Write this process's log to logs/embed_worker_K.log, the plan first."""
    handler = logging.FileHandler(
        Path(setup.logs) / f"embed_worker_{setup.worker}.log", encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("pixfind")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    log.info("worker %d, process %d", setup.worker, os.getpid())
    for line in setup.plan:
        log.info("plan: %s", line)


def _read_messages(source: TextIO, messages: "queue.SimpleQueue[Message]") -> None:
    for line in source:
        messages.put(json.loads(line))
    _end_at_once()


def _end_with(coordinator: int) -> None:
    """End when our parent is another one by now: a process that the coordinator forked may hold our standard input open for ever."""
    while os.getppid() == coordinator:
        time.sleep(_PARENT_SECONDS)
    _end_at_once()


def _end_at_once() -> NoReturn:
    """The coordinator is gone. Ending here loses what is not saved yet and nothing else, and frees our files for the next one."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        # The group is ours: what a library started ends with us.
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _own_channels() -> tuple[TextIO, TextIO]:
    """
    Take standard input and output as the channels of the protocol, and put harmless ones in their place.

    Whatever a library prints must not get into them, and whatever it starts must not hold them: they are closed on exec, and a child
    that is forked without one gets the null device.
    """
    channels = (os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: [os.dup2(null, channel) for channel in channels])
    return os.fdopen(channels[0], encoding="ascii"), os.fdopen(channels[1], "w", encoding="ascii")


def main() -> int:
    """Run as `python -m pixfind.worker`: the setup is the first line of standard input."""
    coordinator = int(os.environ.get(COORDINATOR, os.getppid()))
    threading.Thread(target=_end_with, args=(coordinator,), daemon=True).start()
    source, channel = _own_channels()
    setup = Setup(**json.loads(source.readline()))
    start_log(setup)
    machine.be_nice(setup.nice)
    machine.limit_memory(setup.memory)
    decode.use_one_thread_per_picture()
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_read_messages, args=(source, messages), daemon=True).start()
    guard = threading.Lock()

    def send(message: Message) -> None:
        with guard:
            channel.write(json.dumps(message) + "\n")
            channel.flush()

    code = serve(setup, messages, send)
    channel.close()
    # Not sys.exit: a thread that hangs in a picture would keep the process.
    logging.shutdown()
    os._exit(code)


def setup_line(setup: Setup) -> str:
    """Return the first line that `main` expects."""
    return json.dumps(dataclasses.asdict(setup))
