"""
Workers on the nodes of a Ray cluster: one actor carries one worker.

Owns the actors, the calls to them, and the worker files on this machine: rows that a worker sends are made durable here before the coordinator hears
of them, so nothing durable lies on a node, and a node that is lost costs what was in its hands. What an actor does on its node is in `ray_node`,
the connection in `ray_cluster`. Must not know what the messages mean.
"""

import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.embedding.elastic import Room, taken
from pixfind.embedding.runners import Ended, WorkerUsage, drain
from pixfind.embedding.runners.local import WORKER
from pixfind.embedding.runners.ray_cluster import Cluster, probe, refuse_others
from pixfind.embedding.runners.ray_files import FileSender
from pixfind.embedding.runners.ray_node import NodeWorker, Report
from pixfind.storage import disk, logs
from pixfind.types import ImageRef
from pixfind.worker.model_files import part_of
from pixfind.worker.protocol import (
    LOST,
    Content,
    Embed,
    Fatal,
    Fetch,
    FetchModel,
    FromWorker,
    Rows,
    Stop,
    ToWorker,
    WorkerConfig,
)
from pixfind.worker.sink import FileSink

_KILLED = -9
"""SIGKILL, on every system: what an actor's end without a known cause is taken for"""
_SAVERS = 4
"""threads that make rows durable: most of their time they wait for the disk"""
_MAX_IN_HAND = 16_384
"""images: those that are read ahead, in the model, and embedded but not saved yet are fewer"""
_WAIT_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_UNAVAILABLE_SECONDS = 60.0
"""for which an actor may not be reached before its node counts as lost"""
_NODE_SECONDS = 10.0
"""after the end of an actor in which the end of its node becomes known"""
_KILL_SECONDS = 10.0
"""after which an actor that was told to end its worker, and has not, counts as lost"""

log = logging.getLogger("pixfind.coordinator")


@dataclass(slots=True)
class _Worker:
    """One actor and what is known of it here."""

    config: WorkerConfig
    actor: Any
    images: dict[int, ImageRef] = field(default_factory=dict)
    """what it was assigned last, more than it can have in hand: it may ask for their files, and for no others"""
    sent: int = 0
    """number of the last message to it"""
    unconfirmed: list[tuple[int, ToWorker]] = field(default_factory=list)
    """messages that may not have arrived"""
    taken: int = 0
    """number of the last message from it"""
    node: str = ""
    """Ray's id of its node; empty while it waits for room"""
    usage: WorkerUsage | None = None
    sink: FileSink | None = None
    unavailable_since: float | None = None
    killed_at: float | None = None
    told_to_leave: bool = False
    """its node is about to end"""
    gone: bool = False
    guard: threading.RLock = field(default_factory=threading.RLock)
    """held while what it has sent is taken, and while it ends: nothing is written once its files are closed"""
    order: threading.Lock = field(default_factory=threading.Lock)
    """held while a message gets its number and is sent"""


class RayRunner:
    """Runs workers as actors of a cluster."""

    def __init__(self, cluster: Cluster, *, command: tuple[str, ...] = WORKER) -> None:
        """Use `cluster`, which is closed with this; workers run as `command` on its nodes."""
        self.cluster = cluster
        self._ray = cluster.ray
        self._command = command
        self._events: queue.SimpleQueue[tuple[int, FromWorker | Ended]] = queue.SimpleQueue()
        self._workers: dict[int, _Worker] = {}
        self._calls: dict[Any, _Worker] = {}
        """the answer that is waited for -> worker"""
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._savers = ThreadPoolExecutor(_SAVERS, "rows")
        self._files = FileSender()
        # In a group of its own each kind of call has one thread, so that a call that waits holds up no other kind.
        self._actor = cluster.ray.remote(max_restarts=0, concurrency_groups={"in": 1, "out": 1, "end": 1})(
            _actor_class(cluster.ray)
        )
        self._fetcher = threading.Thread(target=self._fetch, daemon=True)
        self._fetcher.start()

    def start(self, config: WorkerConfig) -> None:
        """Start a worker where there is room for it, now or once there is."""
        cpus, gpus = taken(config.threads, config.device, self.cluster.room())
        actor = self._actor.options(num_cpus=cpus, num_gpus=gpus)
        worker = _Worker(config, actor.remote(config, self._command))
        with self._guard:
            self._workers[config.worker] = worker
        self._ask(worker)

    def send(self, worker: int, message: ToWorker) -> None:
        """Pass a message to a worker; one that still waits for room, and is to stop, never starts."""
        known = self._workers[worker]
        if isinstance(message, Stop) and not known.node:
            self._end(known, Ended(0, "it was not needed any more"))
        self._pass_on(known, message)

    def _pass_on(self, worker: _Worker, message: ToWorker) -> bool:
        """Call the actor with a message; return whether it is on its way."""
        if isinstance(message, Embed):
            worker.images.update((image.image_id, image) for image in message.images)
            while len(worker.images) > _MAX_IN_HAND:
                del worker.images[next(iter(worker.images))]
        # Numbers and calls in the same order: an actor drops what comes before its predecessor.
        with worker.order:
            if worker.gone:
                return False
            worker.sent += 1
            worker.unconfirmed.append((worker.sent, message))
            worker.actor.deliver.remote(((worker.sent, message),))
            return True

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        """Return what workers have sent, in the order of each; wait at most `seconds`. Raises ClusterUnreachable when the head is gone."""
        arrived = drain(self._events, seconds)
        if not arrived and (lost := self.cluster.lost) is not None:
            raise lost
        self._leave_nodes_that_end()
        return arrived

    def kill(self, worker: int) -> None:
        """End a worker, and what it has started, at once; one whose node does not answer is given up after ten seconds."""
        known, now = self._workers[worker], time.monotonic()
        if known.gone:
            return
        if known.killed_at is None:
            known.killed_at = now
            known.actor.kill.remote()
        elif now - known.killed_at > _KILL_SECONDS:
            self._end(known, Ended(LOST, "its node does not answer"))

    def room(self) -> Room:
        """Return what the nodes of the cluster offer at the moment."""
        return self.cluster.room()

    def usage(self) -> dict[int, WorkerUsage]:
        """Return worker -> what its process has used on its node."""
        return {number: one.usage for number, one in self._workers.items() if one.usage is not None and not one.gone}

    def close(self) -> None:
        """End all workers at once, close their files here, and leave the cluster."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self.cluster.lost is None:
            for worker in self._workers.values():
                if not worker.gone:
                    worker.actor.end.remote()
            self._fetcher.join()
        self._files.close()
        self._savers.shutdown()
        for worker in self._workers.values():
            self._close_files(worker)
        self.cluster.close()

    def _leave_nodes_that_end(self) -> None:
        """Let workers end whose nodes are about to: what is in the model is saved, and the rest is embedded elsewhere."""
        draining = self.cluster.draining
        for number, worker in self._workers.items() if draining else ():
            if worker.node in draining and not worker.told_to_leave and not worker.gone:
                worker.told_to_leave = True
                log.info("worker %d: its node is about to end", number)
                self.send(number, Stop())

    # --- calls ------------------------------------------------------------------------------------

    def _ask(self, worker: _Worker) -> None:
        call = worker.actor.report.remote(worker.taken)
        with self._guard:
            self._calls[call] = worker

    def _fetch(self) -> None:
        """Wait for answers, and let a thread take each; the next call to a worker is made when the answer before was taken."""
        while not self._closed.is_set() and self.cluster.lost is None:
            with self._guard:
                calls = list(self._calls)
            if not calls:
                self._closed.wait(_WAIT_SECONDS / 10)
                continue
            ready, _ = self._ray.wait(calls, timeout=_WAIT_SECONDS)
            if ready:
                ready, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
            for call in ready:
                with self._guard:
                    worker = self._calls.pop(call)
                self._savers.submit(self._take, worker, call)

    def _take(self, worker: _Worker, call: Any) -> None:
        """Take an answer, or find out why there is none."""
        try:
            report = self._ray.get(call)
            with worker.guard:
                if not worker.gone:
                    self._on_report(worker, report)
        except errors.OperationError as error:
            self._events.put((worker.config.worker, Fatal.of(error)))
        except OSError as error:
            fatal = disk.translated(error, "used", error.filename or f"a file of worker {worker.config.worker}")
            self._events.put((worker.config.worker, Fatal.of(fatal)))
        except self._ray.exceptions.ActorUnavailableError as error:
            self._aside(self._on_silence, worker, error)
        except self._ray.exceptions.RayError as error:
            self._aside(self._on_death, worker, error)

    @staticmethod
    def _aside(wait: Callable[[_Worker, Exception], None], worker: _Worker, error: Exception) -> None:
        """Wait in a thread of its own: rows of other workers need those that save."""
        threading.Thread(target=wait, args=(worker, error), daemon=True).start()

    def _on_report(self, worker: _Worker, report: Report) -> None:
        if not worker.node:
            refuse_others(report.host, report.versions, probe()())
        worker.node, worker.usage, worker.unavailable_since = report.node, report.usage, None
        with logs.appending(Path(worker.config.logs) / f"embed_worker_{worker.config.worker}.log") as file:
            file.write(report.log)
        for number, event in report.events:
            if number <= worker.taken:
                continue
            worker.taken = number
            if isinstance(event, Rows):
                self._save(worker, event)
            elif isinstance(event, Fetch):
                self._send_file(worker, event.image_id)
            elif isinstance(event, FetchModel):
                self._pass_on(worker, part_of(worker.config.model, event))
            elif isinstance(event, Ended):
                self._end(worker, event)
                return
            else:
                self._events.put((worker.config.worker, event))
        self._confirm(worker, report.received)
        self._ask(worker)

    def _confirm(self, worker: _Worker, received: float) -> None:
        """Forget the messages that have arrived."""
        with worker.order:
            arrived = [message for number, message in worker.unconfirmed if number <= received]
            worker.unconfirmed = [one for one in worker.unconfirmed if one[0] > received]
        self._files.arrived(arrived)

    def _send_file(self, worker: _Worker, image_id: int) -> None:
        """Send the file of an image to a node that cannot see it."""
        image = worker.images.get(image_id)
        if image is None:
            self._pass_on(worker, Content(image_id, b"", 0, 0, b"", problem=errors.FileMissing.__name__))
        else:
            self._files.ask(image, lambda content: self._pass_on(worker, content))

    def _save(self, worker: _Worker, rows: Rows) -> None:
        if worker.sink is None:
            config = worker.config
            worker.sink = FileSink(Path(config.data), config.worker, config.dimension)
        worker.sink.append_sent(rows)

    # --- ends -------------------------------------------------------------------------------------

    def _on_silence(self, worker: _Worker, error: Exception) -> None:
        """The network stalls, or the node is gone and nobody knows it yet: ask again, and repeat what may not have arrived."""
        worker.unavailable_since = worker.unavailable_since or time.monotonic()
        if time.monotonic() - worker.unavailable_since > _UNAVAILABLE_SECONDS:
            self._end(worker, Ended(LOST, f"its node cannot be reached: {error}"))
            return
        if self._closed.wait(_RETRY_SECONDS):
            return
        with worker.order:
            repeated = tuple(worker.unconfirmed)
            if repeated:
                worker.actor.deliver.remote(repeated)
        self._ask(worker)

    def _on_death(self, worker: _Worker, error: Exception) -> None:
        """The actor has ended. With its node: that speaks against no image; else as if it was killed."""
        deadline = time.monotonic() + _NODE_SECONDS
        while worker.node and self.cluster.is_alive(worker.node) and time.monotonic() < deadline:
            if self._closed.wait(_RETRY_SECONDS):
                return
        if not worker.node or self.cluster.is_alive(worker.node):
            self._end(worker, Ended(_KILLED, f"its actor ended: {str(error).splitlines()[0]}"))
        else:
            self._end(worker, Ended(LOST, "its node ended"))

    def _end(self, worker: _Worker, ended: Ended) -> None:
        with worker.guard:
            if worker.gone:
                return
            with worker.order:
                worker.gone = True
            # The files first: the worker that replaces this one locks them.
            self._close_files(worker)
        self._confirm(worker, math.inf)
        if worker.node:
            worker.actor.end.remote()
        else:
            self._ray.kill(worker.actor)
        if ended.code == LOST:
            log.info("worker %d: %s", worker.config.worker, ended.detail)
        self._events.put((worker.config.worker, ended))

    @staticmethod
    def _close_files(worker: _Worker) -> None:
        if worker.sink is not None:
            with contextlib.suppress(OSError):
                worker.sink.close()
            worker.sink = None


def _actor_class(ray: Any) -> type:
    """Return the class of the actors: `NodeWorker`, with a group of calls for each of its methods."""

    class Actor(NodeWorker):
        def __init__(self, config: WorkerConfig, command: tuple[str, ...]) -> None:
            import ray

            super().__init__(config, ray.get_runtime_context().get_node_id(), command)

        deliver = ray.method(concurrency_group="in")(NodeWorker.deliver)
        report = ray.method(concurrency_group="out")(NodeWorker.report)
        kill = ray.method(concurrency_group="end")(NodeWorker.kill)

        @ray.method(concurrency_group="end")  # type: ignore[misc]  # Ray has no types here
        def end(self) -> None:
            import ray

            self.clear()
            # Not os._exit, which Ray would report as a crash.
            ray.actor.exit_actor()

    return Actor
