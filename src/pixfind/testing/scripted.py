"""
Workers that follow a script, on a clock that the test turns: a whole run in milliseconds, without a process or a thread.

`Scripted` is a `Runner`. Its workers read real files and write real worker files, so that `library.adopt` and `verify` prove what came
of it; what they do not do is decode, and use a model. Messages pass through JSON, as they do on a pipe.
"""

import collections
import json
import math
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.embedding.runners import Ended
from pixfind.images import source
from pixfind.library.library import Library
from pixfind.storage import worker_files
from pixfind.testing.waiting import Clock
from pixfind.types import Facts, Outcome
from pixfind.worker import embed
from pixfind.worker.process import Message, Setup


@dataclass(frozen=True, slots=True)
class Dies:
    """The worker ends when it comes to the image."""

    code: int = -signal.SIGSEGV
    saved: bool = False
    """what it had embedded before is durable, but nobody was told"""


@dataclass(frozen=True, slots=True)
class Hangs:
    """The worker says nothing any more, and does nothing."""


@dataclass(frozen=True, slots=True)
class Fails:
    """The image ends without an embedding."""

    reason: str = "not an image: no decoder knows these bytes"
    outcome: Outcome = Outcome.FAILED
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """The file is found to be another one than was dealt."""

    content: bytes


Fate = Dies | Hangs | Fails | Changes | None
"""what an image does to its worker; None: it is embedded"""

Fates = Mapping[str, Fate | Sequence[Fate]]
"""file name -> its fate: the same at each attempt, or one after the other and embedded after the last"""


@dataclass(slots=True)
class _Worker:
    """One worker, between two messages."""

    setup: Setup
    ready: bool = False
    resting: bool = False
    hanging: bool = False
    stopping: bool = False
    inbox: "collections.deque[Message]" = field(default_factory=collections.deque)
    tasks: "collections.deque[embed.Task]" = field(default_factory=collections.deque)
    asked: dict[int, embed.Read] = field(default_factory=dict)
    granted: "collections.deque[embed.Read]" = field(default_factory=collections.deque)
    rows: list[worker_files.Row] = field(default_factory=list)
    outcomes: list[Message] = field(default_factory=list)
    seconds: float = 0.0
    """that it spent on images"""


class Scripted:
    """
    Runs workers that do what `fates` says of each file.

    Each call of `receive` lets every worker do one thing, which takes `seconds`; when nobody has anything to do, the clock goes on by
    as long as the coordinator would wait. A run that has not ended after an hour of that clock is an error of the coordinator.
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
        self.sent: list[tuple[int, Message]] = []
        """all that the coordinator said, to whom"""
        self.killed: list[int] = []
        self.finished = False
        self._fates = {
            name: collections.deque(f) if isinstance(f, Sequence) else f for name, f in (fates or {}).items()
        }
        self._starts = collections.deque(starts)
        self._batch = batch
        self._save_every = save_every
        self._seconds = seconds
        self._workers: dict[int, _Worker] = {}
        self._ended: list[tuple[int, Message | Ended]] = []
        self._planned: list[tuple[float, Callable[[], object]]] = []

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something from outside once so many seconds of the clock have passed: a kill, a question, a word to the run."""
        self._planned.append((seconds, action))

    def dealt(self) -> list[tuple[int, list[int]]]:
        """Return (worker, image ids) of each dealing."""
        return [(worker, [entry[0] for entry in m["embed"]]) for worker, m in self.sent if "embed" in m]

    # --- a Runner ---------------------------------------------------------------------------------

    def start(self, setup: Setup) -> None:
        assert setup.worker not in self._workers, f"worker {setup.worker} runs already"
        self.started.append(setup.worker)
        self._workers[setup.worker] = _Worker(setup)

    def send(self, worker: int, message: Message) -> None:
        sent = json.loads(json.dumps(message))
        self.sent.append((worker, sent))
        if worker in self._workers:
            self._workers[worker].inbox.append(sent)

    def receive(self, seconds: float) -> list[tuple[int, Message | Ended]]:
        self._do_what_is_planned()
        worked = False
        events: list[tuple[int, Message | Ended]] = []
        for number, worker in list(self._workers.items()):
            said = self._step(worker)
            worked = worked or bool(said)
            events += ((number, one if isinstance(one, Ended) else json.loads(json.dumps(one))) for one in said)
        self.clock.sleep(self._seconds if worked else seconds)
        assert self.clock.passed < 3600, "the run does not end"  # noqa: PLR2004
        return [*self._take_ended(), *events]

    def kill(self, worker: int) -> None:
        """End a worker at once: what it has not saved is lost."""
        self.killed.append(worker)
        if self._workers.pop(worker, None) is not None:
            self._ended.append((worker, Ended(-signal.SIGKILL, "ended by SIGKILL")))

    def pids(self) -> dict[int, int]:
        return {}

    def close(self) -> None:
        self._workers.clear()
        self.finished = True

    # --- the workers ------------------------------------------------------------------------------

    def _do_what_is_planned(self) -> None:
        due = [(at, action) for at, action in self._planned if at <= self.clock.passed]
        self._planned = [planned for planned in self._planned if planned not in due]
        for _, action in due:
            action()

    def _take_ended(self) -> list[tuple[int, Message | Ended]]:
        ended, self._ended = self._ended, []
        return ended

    def _end(self, worker: _Worker, code: int) -> list[Message | Ended]:
        del self._workers[worker.setup.worker]
        return [
            Ended(code, f"ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}")
        ]

    def _step(self, worker: _Worker) -> list[Message | Ended]:
        """Do one thing; return what the coordinator hears of it."""
        if worker.hanging:
            return []
        if not worker.ready:
            return self._become_ready(worker)
        while worker.inbox:
            self._obey(worker, worker.inbox.popleft())
        if worker.stopping:
            return [*self._save(worker), *self._end(worker, 0)]
        if not worker.resting and (worker.granted or worker.tasks):
            worker.seconds += self._seconds
            said = self._load(worker)
            if worker.setup.worker not in self._workers:
                return said
            return [*said, *self._save(worker, at_least=self._save_every)]
        return self._save(worker)

    def _become_ready(self, worker: _Worker) -> list[Message | Ended]:
        match self._starts.popleft() if self._starts else None:
            case Dies(code):
                return self._end(worker, code)
            case Hangs():
                worker.hanging = True
                return []
        worker.ready = True
        return [{"ready": {"device": "script", "precision": "fp16", "batch": self._batch}}]

    def _obey(self, worker: _Worker, message: Message) -> None:
        worker.tasks.extend(embed.Task(*entry) for entry in message.get("embed", ()))
        worker.granted.extend(worker.asked.pop(image_id) for image_id in message.get("granted", ()))
        for image_id in message.get("refused", ()):
            worker.asked.pop(image_id)
        if "allowance" in message:
            worker.resting = not message["allowance"]
        worker.stopping = worker.stopping or bool(message.get("stop"))

    def _load(self, worker: _Worker) -> list[Message | Ended]:
        """Take one image through, or ask whether another one with the same bytes is being embedded."""
        if worker.granted:
            return self._meet(worker, worker.granted.popleft())
        task = worker.tasks.popleft()
        try:
            file = embed.read(task)
        except errors.ChangedSince as problem:
            changed = [problem.fields["size"], problem.fields["mtime_ns"]]
            worker.outcomes.append({"id": task.image_id, "changed": changed})
            return []
        except errors.ImageProblem as problem:
            self._fail(worker, task.image_id, Fails(str(problem), transient=problem.transient))
            return []
        if not task.twins:
            return self._meet(worker, file)
        worker.asked[task.image_id] = file
        return [{"claim": [[task.image_id, file.original.fingerprint.hash.hex()]]}]

    def _meet(self, worker: _Worker, file: embed.Read) -> list[Message | Ended]:
        """Let an image have its fate."""
        image_id, fingerprint = file.task.image_id, file.original.fingerprint
        match self._fate(file.task.path):
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
            case Changes(content):
                Path(file.task.path).write_bytes(content)
                now = source.read(file.task.path).fingerprint
                worker.outcomes.append({"id": image_id, "changed": [now.size, now.mtime_ns]})
                return []
        worker.rows.append(worker_files.Row(image_id, fingerprint, Facts()))
        return [{"embedded": [image_id]}]

    def _fate(self, path: str) -> Fate:
        fate = self._fates.get(Path(path).name)
        if isinstance(fate, collections.deque):
            return fate.popleft() if fate else None
        return fate

    @staticmethod
    def _fail(worker: _Worker, image_id: int, fails: Fails) -> None:
        outcome = {"outcome": fails.outcome, "reason": fails.reason, "transient": fails.transient}
        worker.outcomes.append({"id": image_id, **outcome})

    def _save(self, worker: _Worker, at_least: int = 1) -> list[Message | Ended]:
        if len(worker.rows) + len(worker.outcomes) < at_least:
            return []
        saved, outcomes = self._write(worker), worker.outcomes
        worker.outcomes = []
        stages = {"read": 0.0, "decode": 0.0, "model": worker.seconds, "save": 0.0, "wait": 0.0, "pace": 0.0}
        figures = {"bytes": 0, "loaders": 1, "processor": worker.seconds}
        return [{"saved": saved, "outcomes": outcomes, "stages": stages, **figures}]

    @staticmethod
    def _write(worker: _Worker) -> int:
        rows, worker.rows = worker.rows, []
        if rows:
            setup = worker.setup
            embeddings = np.stack([_embedding(row.fingerprint.hash, setup.dimension) for row in rows])
            with worker_files.Pair(
                *worker_files.paths(Path(setup.data), setup.worker), setup.dimension, write=True
            ) as pair:
                pair.append(worker_files.index_rows(rows, embeddings), embeddings)
        return len(rows)


def _embedding(content: bytes, dimension: int) -> NDArray[np.float16]:
    """One unit row [d] float16 that depends on the content alone."""
    drawn = np.random.default_rng(list(content)).normal(size=dimension)
    row: NDArray[np.float16] = (drawn / math.sqrt(float(drawn @ drawn))).astype(np.float16)
    return row


def scripted_setup(library: Library) -> Setup:
    """Return the setup of scripted workers of a library whose model is known."""
    return Setup(
        worker=0,
        data=str(library.data),
        logs=str(library.logs),
        model="scripted",
        dimension=library.dimension,
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
        allowance=math.inf,
    )
