"""
Workers as processes of this machine.

Owns the processes: their pipes and their end. `concurrent.futures` is not used because its workers can neither be killed
one by one nor end without breaking the pool. Must not know what the messages mean.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pixfind import errors, machine
from pixfind.embedding.runners import Ended, WorkerUsage, drain
from pixfind.storage import logs
from pixfind.worker import protocol
from pixfind.worker.protocol import COORDINATOR, FromWorker, ToWorker, WorkerConfig

#: Our threads are counted by the plan; numerical libraries must not add their own.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


#: For what a worker wrote last. The pipe ends with its process group; only what has left the group can hold it open longer.
_DRAIN_SECONDS = 5.0
#: Killed at once, unless it sits in a system call that never returns, as on a server of files that is gone.
_END_SECONDS = 10.0


#: What runs as a worker; tests pass a command that misbehaves.
WORKER = (sys.executable, "-m", "pixfind.worker")


class Local:
    """Runs `command` once per worker."""

    def __init__(self, command: tuple[str, ...] = WORKER) -> None:
        self._command = command
        self._processes: dict[int, WorkerProcess] = {}
        self._events: queue.SimpleQueue[tuple[int, FromWorker | Ended]] = queue.SimpleQueue()

    def start(self, config: WorkerConfig) -> None:
        """Start the process of a worker; its standard error goes to its log."""
        self._processes[config.worker] = WorkerProcess(
            self._command, config, lambda event: self._events.put((config.worker, event))
        )

    def send(self, worker: int, message: ToWorker) -> None:
        """Write a message to a worker's standard input; one to a worker that has ended is dropped."""
        self._processes[worker].send(message)

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        """Return what workers have sent, in the order of each; wait at most `seconds` for the first."""
        return drain(self._events, seconds)

    def kill(self, worker: int) -> None:
        """End a worker, and what it has started, at once."""
        self._processes[worker].kill()

    def usage(self) -> dict[int, WorkerUsage]:
        """Return worker -> what its process has used, for those that have not ended."""
        return usage(self._processes)

    def room(self) -> None:
        """Return nothing: this machine stays as it is."""

    def close(self) -> None:
        """End all workers at once, and wait until they have."""
        end(self._processes.values())


def usage(processes: Mapping[int, "WorkerProcess"]) -> dict[int, WorkerUsage]:
    """Return worker -> what its process has used, for those that have not ended."""
    host = machine.host()
    running = {worker: process.pid for worker, process in processes.items() if not process.gone}
    return {worker: WorkerUsage(host, pid, machine.processor_seconds(pid)) for worker, pid in running.items()}


def end(processes: Collection["WorkerProcess"]) -> None:
    """End these workers, and what they have started, at once; wait until they have ended."""
    for process in processes:
        process.kill()
    for process in processes:
        process.join(_END_SECONDS)


class WorkerProcess:
    """
    One worker's process; its standard error goes to its log.

    Its end is its exit, never the end of a pipe: a child that some library forked may hold the pipe, and may never end. What the
    process leaves behind in its process group is ended with it.
    """

    def __init__(
        self, command: tuple[str, ...], config: WorkerConfig, put: Callable[[FromWorker | Ended], None]
    ) -> None:
        """Start the process; `put` is called in a thread for each message, and at last with its end."""
        process = _started(command, config)
        self.pid = process.pid
        self.gone = False
        """its exit was taken note of: from now on its number may belong to another process"""
        self._process = process
        self._put = put
        self._guard = threading.Lock()
        self._listening = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._reader.start()
        self._waiter.start()
        self.send(config)

    def send(self, message: WorkerConfig | ToWorker) -> None:
        """Send a message; one to a worker that has just ended is dropped: its end is about to be reported."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(protocol.encode(message) + "\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        """End the process and its group at once."""
        with self._guard:
            if not self.gone:
                self._kill_group()

    def join(self, seconds: float) -> None:
        """Wait at most `seconds` until its end has been reported."""
        self._waiter.join(seconds)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.closing(self._process.stdout) as lines:
            for line in lines:
                # What was printed before the worker took its channels, and a line that a kill has cut, are not messages.
                if line.startswith("{") and line.endswith("\n"):
                    self._report(_decoded(line))

    def _report(self, message: FromWorker) -> None:
        with self._guard:
            # A late message would be taken for one of the worker that has its number now.
            if self._listening:
                self._put(message)

    def _wait(self) -> None:
        if hasattr(os, "waitid"):
            # The exit is seen and not yet taken note of: until then nobody else can get the number of the group.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        with self._guard:
            self._kill_group()
            code = self._process.wait()
            self.gone = True
        self._reader.join(_DRAIN_SECONDS)
        with self._guard:
            self._listening = False
            self._put(Ended(code, _how_it_ended(code)))
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _kill_group(self) -> None:
        if os.name == "posix":
            # Nobody is left in it, or (on macOS) nobody but the one whose exit nobody has taken note of.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()


def _started(command: tuple[str, ...], config: WorkerConfig) -> "subprocess.Popen[str]":
    with logs.appending(Path(config.logs) / f"embed_worker_{config.worker}.log") as errors_to:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors_to,
            text=True,
            encoding="ascii",
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), COORDINATOR: str(os.getpid())},
            # Ctrl-C in the terminal is for the coordinator, who then ends the workers cleanly.
            process_group=0 if os.name == "posix" else None,
        )


def _decoded(line: str) -> FromWorker:
    """Return the message in a line; one that is not understood ends the run, as whatever a worker calls fatal."""
    try:
        return protocol.decode_from_worker(line)
    except errors.UnknownMessage as error:
        return protocol.Fatal.of(error)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"
