"""
Workers that follow a script, on a clock that the test turns: a whole run in milliseconds, without a process or a thread.

`Scripted` is a `Runner`. Its workers read real files and write real worker files, so that `commit.adopt` and `verify` prove what came
of it; what they do not do is decode, and use a model. Messages are encoded and decoded, as they are on a pipe.
"""

import collections
import math
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.embedding.elastic import Room
from pixfind.embedding.runners import Ended, WorkerUsage
from pixfind.images import source
from pixfind.testing.waiting import Clock
from pixfind.types import EmbeddedImage, ImageMetadata, ImageRef, Outcome, Settled
from pixfind.worker import embed, protocol
from pixfind.worker.protocol import ClaimsAnswered, Embed, FromWorker, Quota, Stop, ToWorker, WorkerConfig
from pixfind.worker.sink import FileSink


@dataclass(frozen=True, slots=True)
class Dies:
    """The worker ends when it comes to the image."""

    code: int = -signal.SIGSEGV
    saved: bool = False
    """what it had embedded before is durable, but has not been reported"""


@dataclass(frozen=True, slots=True)
class Hangs:
    """The worker sends nothing any more, and does nothing."""


@dataclass(frozen=True, slots=True)
class WaitsForRoom:
    """The worker never starts, and ends when it receives a stop: as on a cluster that is full."""


@dataclass(frozen=True, slots=True)
class Fails:
    """The image ends without an embedding."""

    reason: str = "not an image: no decoder knows these bytes"
    outcome: Outcome = Outcome.FAILED
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """The file is found to have changed since it was assigned."""

    content: bytes


@dataclass(frozen=True, slots=True)
class FallsSilent:
    """The worker continues, but for so many seconds nothing that it says arrives: as over a network that stalls."""

    seconds: float


Fate = Dies | Hangs | WaitsForRoom | Fails | Changes | FallsSilent | None
"""what an image does to its worker; None: it is embedded"""

Fates = Mapping[str, Fate | Sequence[Fate]]
"""file name -> its fate: the same at each attempt, or one after the other and embedded after the last"""


@dataclass(slots=True)
class _Worker:
    """One worker, between two messages."""

    config: WorkerConfig
    ready: bool = False
    paused: bool = False
    hanging: bool = False
    waiting: bool = False
    ended: bool = False
    stopping: bool = False
    silent_until: float = 0.0
    unsaid: list[FromWorker | Ended] = field(default_factory=list)
    inbox: "collections.deque[ToWorker]" = field(default_factory=collections.deque)
    images: "collections.deque[ImageRef]" = field(default_factory=collections.deque)
    claimed: dict[int, embed.Read] = field(default_factory=dict)
    granted: "collections.deque[embed.Read]" = field(default_factory=collections.deque)
    rows: list[EmbeddedImage] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    changed: list[protocol.Changed] = field(default_factory=list)
    seconds: float = 0.0
    """that it spent on images"""


class Scripted:
    """
    Runs simulated workers: `fates` defines what happens with each file.

    Each call of `receive` lets every worker take one step of `seconds`; when all are idle, the clock advances by the time that the
    coordinator would wait. A run that has not ended after an hour of that clock is an error of the coordinator.
    """

    def __init__(
        self,
        fates: Fates | None = None,
        *,
        clock: Clock | None = None,
        starts: Sequence[Fate] = (),
        batch: int = 4,
        save_every: int = 4,
        seconds: float = 0.01,
    ) -> None:
        self.clock = clock or Clock()
        self.started: list[int] = []
        """workers, in the order of their starts"""
        self.sent: list[tuple[int, ToWorker]] = []
        """(worker, message) of all that the coordinator sent"""
        self.killed: list[int] = []
        self.finished = False
        self.offered: Room | None = None
        """what the cluster offers, where there is one"""
        self.nodes: dict[int, str] = {}
        """worker -> its node, where there is a cluster"""
        self._fates = {
            name: collections.deque(f) if isinstance(f, Sequence) else f for name, f in (fates or {}).items()
        }
        self._starts = collections.deque(starts)
        self._batch = batch
        self._save_every = save_every
        self._seconds = seconds
        self._workers: dict[int, _Worker] = {}
        self._ended: list[tuple[int, FromWorker | Ended]] = []
        self._planned: list[tuple[float, Callable[[], object]]] = []

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something from outside once so many seconds of the clock have passed: a kill, a question, a word to the run."""
        self._planned.append((seconds, action))

    def dispatched(self) -> list[tuple[int, list[int]]]:
        """Return (worker, image ids) of each message that assigned images."""
        return [
            (worker, [image.image_id for image in message.images])
            for worker, message in self.sent
            if isinstance(message, Embed)
        ]

    # --- a Runner ---------------------------------------------------------------------------------

    def start(self, config: WorkerConfig) -> None:
        assert config.worker not in self._workers, f"worker {config.worker} runs already"
        self.started.append(config.worker)
        self._workers[config.worker] = _Worker(config)

    def send(self, worker: int, message: ToWorker) -> None:
        sent = protocol.decode_to_worker(protocol.encode(message))
        self.sent.append((worker, sent))
        if worker in self._workers:
            self._workers[worker].inbox.append(sent)

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        self._do_what_is_planned()
        worked = False
        events: list[tuple[int, FromWorker | Ended]] = []
        for number, worker in list(self._workers.items()):
            said = self._heard(worker, self._step(worker))
            worked = worked or bool(said)
            events += (
                (number, one if isinstance(one, Ended) else protocol.decode_from_worker(protocol.encode(one)))
                for one in said
            )
        self.clock.sleep(self._seconds if worked else seconds)
        assert self.clock.passed < 3600, "the run does not end"  # noqa: PLR2004
        return [*self._take_ended(), *events]

    def kill(self, worker: int) -> None:
        """End a worker at once: what it has not saved is lost."""
        self.killed.append(worker)
        if self._workers.pop(worker, None) is not None:
            self._ended.append((worker, Ended(-signal.SIGKILL, "ended by SIGKILL")))

    def usage(self) -> dict[int, WorkerUsage]:
        return {k: WorkerUsage("", 0, 0.0, node=self.nodes[k]) for k in self._workers if k in self.nodes}

    def room(self) -> Room | None:
        return self.offered

    def close(self) -> None:
        self._workers.clear()
        self.finished = True

    # --- the workers ------------------------------------------------------------------------------

    def _do_what_is_planned(self) -> None:
        due = [(at, action) for at, action in self._planned if at <= self.clock.passed]
        self._planned = [planned for planned in self._planned if planned not in due]
        for _, action in due:
            action()

    def _take_ended(self) -> list[tuple[int, FromWorker | Ended]]:
        ended, self._ended = self._ended, []
        return ended

    def _heard(self, worker: _Worker, said: list[FromWorker | Ended]) -> list[FromWorker | Ended]:
        """Return what arrives of what a worker says."""
        worker.unsaid += said
        if self.clock.passed < worker.silent_until:
            return []
        said, worker.unsaid = worker.unsaid, []
        if any(isinstance(one, Ended) for one in said):
            del self._workers[worker.config.worker]
        return said

    def _end(self, worker: _Worker, code: int) -> list[FromWorker | Ended]:
        worker.ended = True
        return [
            Ended(code, f"ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}")
        ]

    def _step(self, worker: _Worker) -> list[FromWorker | Ended]:
        """Do one thing; return what it sends to the coordinator."""
        if worker.hanging or worker.ended:
            return []
        if not worker.ready:
            return self._become_ready(worker)
        while worker.inbox:
            self._apply(worker, worker.inbox.popleft())
        if worker.stopping:
            return [*self._save(worker), *self._end(worker, 0)]
        if not worker.paused and (worker.granted or worker.images):
            worker.seconds += self._seconds
            said = self._load(worker)
            if worker.ended:
                return said
            return [*said, *self._save(worker, at_least=self._save_every)]
        return self._save(worker)

    def _become_ready(self, worker: _Worker) -> list[FromWorker | Ended]:
        if worker.waiting:
            return self._end(worker, 0) if Stop() in worker.inbox else []
        match self._starts.popleft() if self._starts else None:
            case Dies(code):
                return self._end(worker, code)
            case Hangs():
                worker.hanging = True
                return []
            case WaitsForRoom():
                worker.waiting = True
                return []
        worker.ready = True
        return [protocol.Ready("script", "fp16", self._batch)]

    def _apply(self, worker: _Worker, message: ToWorker) -> None:
        match message:
            case Embed(images):
                worker.images.extend(images)
            case ClaimsAnswered(granted, refused):
                worker.granted.extend(worker.claimed.pop(image_id) for image_id in granted)
                for image_id in refused:
                    worker.claimed.pop(image_id)
            case Quota(cpu_quota):
                worker.paused = not cpu_quota
            case Stop():
                worker.stopping = True

    def _load(self, worker: _Worker) -> list[FromWorker | Ended]:
        """Take one image through, or ask whether a file with the same bytes is being embedded."""
        if worker.granted:
            return self._apply_fate(worker, worker.granted.popleft())
        image = worker.images.popleft()
        try:
            file = embed.read(image)
        except errors.ModifiedSinceScan as problem:
            now = problem.fields
            worker.changed.append(protocol.Changed(image.image_id, now["size"], now["mtime_ns"]))
            return []
        except errors.ImageProblem as problem:
            self._fail(worker, image.image_id, Fails(str(problem), transient=problem.transient))
            return []
        if not image.same_size:
            return self._apply_fate(worker, file)
        worker.claimed[image.image_id] = file
        return [protocol.Claim(((image.image_id, file.original.fingerprint.hash),))]

    def _apply_fate(self, worker: _Worker, file: embed.Read) -> list[FromWorker | Ended]:
        """Let an image have its fate."""
        image_id, fingerprint = file.image.image_id, file.original.fingerprint
        match self._fate(file.image.path):
            case Dies(code, saved):
                if saved:
                    self._write(worker)
                return self._end(worker, code)
            case Hangs():
                worker.hanging = True
                return []
            case Fails() as fails:
                self._fail(worker, image_id, fails)
                return []
            case FallsSilent(seconds):
                worker.silent_until = self.clock.passed + seconds
            case Changes(content):
                Path(file.image.path).write_bytes(content)
                now = source.read(file.image.path).fingerprint
                worker.changed.append(protocol.Changed(image_id, now.size, now.mtime_ns))
                return []
        worker.rows.append(EmbeddedImage(image_id, fingerprint, ImageMetadata()))
        return [protocol.Embedded((image_id,))]

    def _fate(self, path: str) -> Fate:
        fate = self._fates.get(Path(path).name)
        if isinstance(fate, collections.deque):
            return fate.popleft() if fate else None
        return fate

    @staticmethod
    def _fail(worker: _Worker, image_id: int, fails: Fails) -> None:
        worker.settled.append(Settled(image_id, fails.outcome, fails.reason, fails.transient))

    def _save(self, worker: _Worker, at_least: int = 1) -> list[FromWorker | Ended]:
        if len(worker.rows) + len(worker.settled) + len(worker.changed) < at_least:
            return []
        saved = protocol.Saved(
            rows=self._write(worker),
            settled=tuple(worker.settled),
            changed=tuple(worker.changed),
            left=(),
            stages={
                "read": 0.0,
                "network": 0.0,
                "decode": 0.0,
                "model": worker.seconds,
                "save": 0.0,
                "wait": 0.0,
                "pace": 0.0,
            },
            bytes_read=0,
            loader_threads=1,
            processor_seconds=worker.seconds,
        )
        worker.settled, worker.changed = [], []
        return [saved]

    @staticmethod
    def _write(worker: _Worker) -> int:
        rows, worker.rows = worker.rows, []
        if rows:
            config = worker.config
            embeddings = np.stack([_embedding(row.fingerprint.hash, config.dimension) for row in rows])
            with FileSink(Path(config.data), config.worker, config.dimension) as sink:
                sink.append(rows, embeddings)
        return len(rows)


def _embedding(content: bytes, dimension: int) -> NDArray[np.float16]:
    """One unit row [d] float16 that depends on the content alone."""
    drawn = np.random.default_rng(list(content)).normal(size=dimension)
    row: NDArray[np.float16] = (drawn / math.sqrt(float(drawn @ drawn))).astype(np.float16)
    return row


def scripted_config(data: Path, logs: Path, dimension: int) -> WorkerConfig:
    """Return a configuration for workers that save embeddings of so many numbers in `data`."""
    return WorkerConfig(
        worker=0,
        data=str(data),
        logs=str(logs),
        model="scripted",
        model_hash="0" * 64,
        dimension=dimension,
        precision="fp16",
        device="cpu",
        threads=1,
        decoders=1,
        read_ahead=1 << 20,
        batches=(4,),
        gpu_batches=(4,),
        max_pixels=1_000_000,
        max_scaled_pixels=1_000_000,
        seconds_per_image=60.0,
        memory=1 << 30,
        cpu_quota=math.inf,
    )
