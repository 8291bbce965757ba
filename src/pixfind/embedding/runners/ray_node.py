"""
What an actor does on its node of a cluster: it carries the messages of one worker, which is a process of its own beside it.

A process of its own, as on the library's machine: its exit code tells a crash from a kill, which Ray does not, and a crash, a limit of memory
or a hang meets no thread of Ray's. The worker ends with the actor, and the actor with its node, or when nobody has fetched anything for long.
Owns the delivery of messages in both directions, each exactly once and in order over calls that may be repeated. Must not import Ray, or know
what the messages mean.
"""

import collections
import contextlib
import dataclasses
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors, machine
from pixfind.embedding.runners import Ended, WorkerUsage
from pixfind.embedding.runners.local import WORKER, WorkerProcess, usage
from pixfind.embedding.runners.ray_cluster import probe
from pixfind.storage import locks
from pixfind.worker.protocol import FromWorker, ToWorker, WorkerConfig

POLL_SECONDS = 1.0
"""for which a call waits when the worker has nothing to tell"""

ALONE_SECONDS = 45.0
"""after which an actor that nobody calls ends: longer than a network stalls, and a coordinator calls each second"""

_MAX_EVENTS = 64
"""messages in one answer: with up to 4,096 rows in some of them a few megabytes"""

_LOG_BYTES = 1 << 16

_PREFIX, _LOCK = "pixfind-worker-", "lock"
_REFUSED = (locks.HeldError, errors.OperationError, OSError)


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker has told since the messages that were acknowledged."""

    node: str
    """Ray's id of the node"""
    host: str
    """name of its machine"""
    versions: dict[str, str]
    """package -> version there; a node may have joined after all others were asked"""
    events: tuple[tuple[int, FromWorker | Ended], ...]
    """(number, message), numbered from 1 without gaps"""
    received: int
    """number of the last message that reached the worker"""
    usage: WorkerUsage | None
    """None: its process has ended"""
    log: str
    """what it wrote into its log since the last report"""


class NodeWorker:
    """The worker of one actor."""

    def __init__(
        self, config: WorkerConfig, node: str, command: tuple[str, ...] = WORKER, alone: float = ALONE_SECONDS
    ) -> None:
        """Start the worker on this node, with a folder for its log that nobody needs afterwards."""
        self._node, self._host, self._versions = node, machine.host(), probe()()
        self._folder, self._ours = _own_folder()
        self._log = self._folder / f"embed_worker_{config.worker}.log"
        self._log_read = 0
        self._arrived = threading.Condition()
        self._events: collections.deque[tuple[int, FromWorker | Ended]] = collections.deque()
        self._told = 0
        self._received = 0
        self._alone = alone
        self._called_at = time.monotonic()
        self._cleared = threading.Event()
        threading.Thread(target=self._end_when_alone, daemon=True).start()
        here = dataclasses.replace(config, data=str(self._folder), logs=str(self._folder), sends_rows=True)
        self._number = config.worker
        self._process = WorkerProcess(command, here, self._tell)

    def deliver(self, messages: tuple[tuple[int, ToWorker], ...]) -> None:
        """Pass numbered messages to the worker; those that a repeated call brings again are dropped."""
        for number, message in messages:
            if number == self._received + 1:
                self._received = number
                self._process.send(message)

    def report(self, acknowledged: int) -> Report:
        """Return what came after the message `acknowledged`, which is forgotten here; wait at most a second for it."""
        self._called_at = time.monotonic()
        with self._arrived:
            while self._events and self._events[0][0] <= acknowledged:
                self._events.popleft()
            self._arrived.wait_for(lambda: bool(self._events), POLL_SECONDS)
            events = tuple(self._events)[:_MAX_EVENTS]
        used = usage({self._number: self._process}).get(self._number)
        if used is not None:
            used = dataclasses.replace(used, node=self._node)
        return Report(self._node, self._host, self._versions, events, self._received, used, self._new_log())

    def kill(self) -> None:
        """End the worker at once; its end is reported."""
        self._process.kill()

    def clear(self) -> None:
        """End the worker, and leave nothing on the node."""
        self._cleared.set()
        self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._ours.close()

    def _tell(self, event: FromWorker | Ended) -> None:
        with self._arrived:
            self._told += 1
            self._events.append((self._told, event))
            self._arrived.notify()

    def _new_log(self) -> str:
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(self._log_read)
            new = log.read(_LOG_BYTES)
            self._log_read += len(new)
            return new.decode("utf-8", "backslashreplace")
        return ""

    def _end_when_alone(self) -> None:
        """End when the coordinator is gone. Ray ends actors then too, but not where the head of the cluster went first."""
        while not self._cleared.wait(min(1.0, self._alone / 4)):
            if time.monotonic() - self._called_at >= self._alone:
                self.clear()
                os._exit(1)


def _own_folder() -> tuple[Path, contextlib.ExitStack]:
    """Make a folder that is ours until the stack is closed; delete those of actors that were killed and could not."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Of another user or a living actor, or just being deleted by another one.
        with contextlib.suppress(*_REFUSED), locks.held(folder / _LOCK, patience=0):
            shutil.rmtree(folder)
    while True:
        folder, ours = Path(tempfile.mkdtemp(prefix=_PREFIX)), contextlib.ExitStack()
        with contextlib.suppress(*_REFUSED):
            ours.enter_context(locks.held(folder / _LOCK, patience=0))
            # Another actor may have deleted it before it was locked.
            if folder.is_dir():
                return folder, ours
