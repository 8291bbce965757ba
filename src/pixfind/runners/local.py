"""
Workers as processes of this machine.

Owns the processes: their pipes, their end, their death. `concurrent.futures` is not used because its workers can neither be killed
one by one nor die without breaking the pool. Must not know what the messages mean.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from pixfind.runners import Ended, drain
from pixfind.worker import Message, Setup, setup_line

#: Our threads are counted by the plan; numerical libraries must not add their own.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Local:
    """Runs `command` once per worker; tests pass a command that misbehaves."""

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", "pixfind.worker")) -> None:
        self._command = command
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._events: queue.SimpleQueue[tuple[int, Message | Ended]] = queue.SimpleQueue()

    def start(self, setup: Setup) -> None:
        log_path = Path(setup.logs) / f"embed_worker_{setup.worker}.log"
        with log_path.open("a", encoding="utf-8") as errors_to:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors_to,
                text=True,
                encoding="ascii",
                env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
                # Ctrl-C in the terminal is for the coordinator, who then ends the workers cleanly.
                process_group=0 if os.name == "posix" else None,
            )
        self._processes[setup.worker] = process
        self._write(process, setup_line(setup))
        threading.Thread(target=self._listen, args=(setup.worker, process), daemon=True).start()

    def send(self, worker: int, message: Message) -> None:
        self._write(self._processes[worker], json.dumps(message))

    def receive(self, seconds: float) -> list[tuple[int, Message | Ended]]:
        return drain(self._events, seconds)

    def kill(self, worker: int) -> None:
        self._processes[worker].kill()

    def pids(self) -> dict[int, int]:
        return {worker: process.pid for worker, process in self._processes.items() if process.poll() is None}

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    def _listen(self, worker: int, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with _closing(process.stdout) as lines:
            for line in lines:
                # A line that was cut by a kill is not a message.
                with contextlib.suppress(json.JSONDecodeError):
                    self._events.put((worker, json.loads(line)))
        code = process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        self._events.put((worker, Ended(code, _how_it_ended(code))))

    @staticmethod
    def _write(process: "subprocess.Popen[str]", line: str) -> None:
        assert process.stdin is not None
        # A worker that has just died: its end is on the way to `receive`.
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(line + "\n")
            process.stdin.flush()


def _closing(stream: IO[str]) -> contextlib.closing[IO[str]]:
    return contextlib.closing(stream)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"
