"""
Workers that stay between runs: each keeps its model loaded, and the next run that wants the same model wakes it.

For a process that embeds again and again, such as `pixfind watch`: a start costs seconds, waking a worker a twentieth of one. Owns which workers
rest, for how long, and which run may wake them; a run sees workers that start and end. Must not know what the other messages mean.
"""

import queue
import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import Self

from pixfind import errors
from pixfind.embedding.runners import Ended, WorkerUsage, drain
from pixfind.embedding.runners.local import WORKER, WorkerProcess, end, usage
from pixfind.worker import protocol
from pixfind.worker.protocol import Fatal, FromWorker, Rest, Resting, Stop, ToWorker, WorkerConfig

KEEP_LOADED = 300.0
"""seconds that workers rest, by default"""


class _State(Enum):
    WORKING = auto()
    """in a run"""
    WOKEN = auto()
    """in a run, and has said nothing yet: whether it still lives nobody knows"""
    LEAVING = auto()
    """in a run, and was told to rest"""
    RESTING = auto()
    """between two runs, with its model"""
    GONE = auto()
    """what it still sends is for nobody"""


class _Worker:
    """One process, over several runs."""

    def __init__(self, config: WorkerConfig, state: _State) -> None:
        self.config = config
        self.state = state
        self.process: WorkerProcess
        self.alarm: threading.Timer | None = None
        """ends it when it has rested long enough"""

    def serves(self, config: WorkerConfig) -> bool:
        """Return whether it may serve this run: with the same encoder, and no nicer than it has been made."""
        return (self.config.encoder, self.config.nice) == (config.encoder, config.nice)

    def rest_ends(self) -> None:
        """Take back the alarm."""
        if self.alarm is not None:
            self.alarm.cancel()


class Warm:
    """
    Runs `command` once per worker, as `runners.local.Local` does, and lets workers rest when a run has ended cleanly.

    A worker that was killed, that crashed or hung, or whose run did not end cleanly never rests. One that ends while it rests is no crash: the next
    run starts another in its place. Use it in a `with`, or call `release` at the end.
    """

    def __init__(self, keep_loaded: float = KEEP_LOADED, command: tuple[str, ...] = WORKER) -> None:
        """Let workers rest for `keep_loaded` seconds at most; 0: end them with their run."""
        self._keep_loaded = min(keep_loaded, threading.TIMEOUT_MAX)
        self._command = command
        self._workers: dict[int, _Worker] = {}
        self._events: queue.SimpleQueue[tuple[_Worker, FromWorker | Ended]] = queue.SimpleQueue()
        self._guard = threading.Lock()
        """an alarm must not end a worker that is just being woken"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.release()

    # --- a Runner ---------------------------------------------------------------------------------

    def start(self, config: WorkerConfig) -> None:
        """Wake the worker of this number if it rests with the encoder that is wanted; start one otherwise."""
        self._retire(lambda worker: worker.process.gone or not worker.serves(config))
        with self._guard:
            worker = self._workers.get(config.worker)
            woken = worker is not None and worker.state is _State.RESTING
            if worker is not None and woken:
                worker.rest_ends()
                worker.config, worker.state = config, _State.WOKEN
        if worker is not None and woken:
            worker.process.send(config)
        else:
            self._start(config)

    def send(self, worker: int, message: ToWorker) -> None:
        """Pass a message to a worker; a stop becomes a rest, and what follows it is dropped."""
        known = self._workers[worker]
        if known.state is _State.LEAVING or known.state is _State.RESTING:
            return
        if isinstance(message, Stop) and self._keep_loaded > 0:
            known.state, message = _State.LEAVING, Rest()
        known.process.send(message)

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        """Return what workers have sent, in the order of each; wait at most `seconds` for the first."""
        arrived = drain(self._events, seconds)
        return [
            (worker.config.worker, passed) for worker, event in arrived for passed in self._passed_on(worker, event)
        ]

    def kill(self, worker: int) -> None:
        """End a worker, and what it has started, at once."""
        self._workers[worker].process.kill()

    def usage(self) -> dict[int, WorkerUsage]:
        """Return worker -> what its process has used, for those of the run."""
        return usage({number: worker.process for number, worker in self._workers.items() if _in_run(worker)})

    def room(self) -> None:
        """Return nothing: this machine stays as it is."""

    def close(self) -> None:
        """End the run: workers that do not rest by now are ended at once."""
        left = [worker for worker in self._workers.values() if _in_run(worker)]
        end([worker.process for worker in left])
        for worker in left:
            worker.state = _State.GONE

    # --- rest -------------------------------------------------------------------------------------

    def release(self) -> None:
        """End the workers that rest, and give their memory back."""
        self._retire(lambda _: True)

    def idle(self) -> list[int]:
        """Return the process ids of the workers that rest."""
        idle = [worker.process for worker in self._workers.values() if worker.state is _State.RESTING]
        return [process.pid for process in idle if not process.gone]

    def _retire(self, chosen: Callable[[_Worker], bool]) -> None:
        """End those of the idle workers, and wait until they have ended."""
        with self._guard:
            retired = [each for each in self._workers.values() if each.state is _State.RESTING and chosen(each)]
            for worker in retired:
                worker.rest_ends()
                worker.state = _State.GONE
        end([worker.process for worker in retired])

    def _let_rest(self, worker: _Worker) -> None:
        """Let a worker rest for as long as workers may."""
        with self._guard:
            worker.state = _State.RESTING
            worker.alarm = threading.Timer(self._keep_loaded, self._on_alarm, [worker])
            worker.alarm.daemon = True
            worker.alarm.start()

    def _on_alarm(self, worker: _Worker) -> None:
        """End a worker that has rested long enough; in a thread of its own."""
        with self._guard:
            if worker.state is _State.RESTING:
                worker.state = _State.GONE
                worker.process.kill()

    # --- processes --------------------------------------------------------------------------------

    def _start(self, config: WorkerConfig) -> None:
        worker = _Worker(config, _State.WORKING)
        worker.process = WorkerProcess(self._command, config, lambda event: self._events.put((worker, event)))
        self._workers[config.worker] = worker

    def _passed_on(self, worker: _Worker, event: FromWorker | Ended) -> list[FromWorker | Ended]:
        """Return what the run gets to see of an event."""
        before = worker.state
        match event:
            case _ if before is _State.GONE:
                return []
            case Ended():
                worker.state = _State.GONE
                if before is _State.WOKEN:
                    # It ended while it rested, or by being woken: no picture has to do with it.
                    self._start(worker.config)
                return [] if before is _State.WOKEN or before is _State.RESTING else [event]
            case Resting() if before is _State.LEAVING:
                self._let_rest(worker)
                return [Ended(0, "it rests")]
            case Resting():
                return [Fatal.of(errors.UnknownMessage(detail=protocol.encode(event)))]
        if before is _State.WOKEN:
            worker.state = _State.WORKING
        return [event]


def _in_run(worker: _Worker) -> bool:
    return worker.state in {_State.WORKING, _State.WOKEN, _State.LEAVING}
