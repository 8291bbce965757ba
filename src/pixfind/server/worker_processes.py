"""
Several processes that answer on one address: `pixfind serve --workers N`.

Owns their start, their return after an end that nobody asked for, and their end with the server. They share one listening socket, and through the
system's cache the embeddings, which are mapped; each has the model, the index's codes, its limits and its metrics for itself.
A worker is `python -m pixfind.server.worker_processes`; what it is to do comes over its standard input, because all users of a machine can read the
arguments of a program, and there is a token in it. It ends with that input. It answers with one line over a pipe of its own, as any library may print
to standard output: that it is ready, or why not.
"""

import base64
import contextlib
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NoReturn

from pixfind import errors
from pixfind.collection.config import CollectionConfig
from pixfind.embedding.interrupts import stopping_on_signals
from pixfind.server import child_process, server
from pixfind.server.credentials import Token
from pixfind.server.server import Options

log = logging.getLogger("pixfind.server")

_FIRST_PAUSE, _MAX_PAUSE = 0.5, 60.0
"""seconds before a worker that ended by itself is started again"""
_LASTING_SECONDS = 60.0
"""A worker that ran so long had begun well: the next pause is short again."""
_END_SECONDS = 10.0
_READY = b"ready\n"
_STANDARD_ERROR = 2
_INTERRUPTED = 130
"""exit code, as after a SIGINT"""


def run(
    served: Path | CollectionConfig,
    options: Options,
    token: Token | None,
    listening: socket.socket,
    announce: Callable[[], None],
) -> None:
    """
    Serve a library, or several as one, with `options.workers` processes until this one is interrupted; `announce` is called once all are ready.

    Raises as `running`.
    """
    stop = threading.Event()
    with running(served, options, token, listening), stopping_on_signals(stop.set):
        announce()
        stop.wait()


@contextlib.contextmanager
def running(
    served: Path | CollectionConfig, options: Options, token: Token | None, listening: socket.socket
) -> Iterator[None]:
    """
    Answer requests with `options.workers` processes, of which one that ends by itself is replaced, until the end of the block.

    Raises what a worker raises at its start, ServerWorkerEnded for one that ends without a word, ServerWorkerNotStarted where the system starts no
    process, and OneProcessOnly where processes cannot share a socket.
    """
    if os.name == "nt":
        raise errors.OneProcessOnly(workers=options.workers)
    with contextlib.ExitStack() as held:
        # The watch, where there is one, is that of the first.
        workers = [
            _Worker((served, replace(options, watch=options.watch and number == 0), token), listening)
            for number in range(options.workers)
        ]
        for worker in workers:
            held.callback(worker.wait)
        for worker in workers:
            # All are asked to end before any is waited for.
            held.callback(worker.end)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.ready()
        for worker in workers:
            worker.keep()
        yield


class _Worker:
    """One process that answers, and the one that takes its place when it ends."""

    def __init__(self, task: tuple[Path | CollectionConfig, Options, Token | None], listening: socket.socket) -> None:
        self._task = task
        self._listening = listening
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._answer: BinaryIO | None = None
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)

    def start(self) -> None:
        """Start a process, unless the server ends; raises ServerWorkerNotStarted."""
        # The task too: `end` closes the pipe that it goes through.
        with self._guard:
            if self._closing.is_set():
                return
            try:
                answer, ready_pipe = os.pipe()
            except OSError as error:
                raise errors.ServerWorkerNotStarted(detail=error.strerror or error) from error
            try:
                self._process = process = subprocess.Popen(
                    [sys.executable, "-m", "pixfind.server.worker_processes"],
                    stdin=subprocess.PIPE,
                    # What a library prints goes where the log goes: the server's standard output is for programs that read it.
                    stdout=_STANDARD_ERROR,
                    pass_fds=[self._listening.fileno(), ready_pipe],
                    # Ctrl-C in the terminal is for the server, which then ends its workers.
                    start_new_session=True,
                )
            except OSError as error:
                os.close(answer)
                raise errors.ServerWorkerNotStarted(detail=error.strerror or error) from error
            finally:
                os.close(ready_pipe)
            self._answer = os.fdopen(answer, "rb")
            assert process.stdin is not None
            task = base64.b64encode(pickle.dumps((*self._task, self._listening.fileno(), ready_pipe)))
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(task + b"\n")
                process.stdin.flush()

    def ready(self) -> None:
        """Wait until the process is ready; raises what kept it from that, and ServerWorkerEnded where it did not say."""
        process = self._process
        assert process is not None
        assert self._answer is not None
        line = self._answer.readline()
        if line == _READY:
            return
        if not line:
            raise errors.ServerWorkerEnded(how=_ending(process.wait()))
        said = json.loads(line)
        raise getattr(errors, said["error"])(**said["fields"])

    def keep(self) -> None:
        """From now on start a process again that ends by itself."""
        self._thread.start()

    def end(self) -> None:
        """Tell the process to end, and start none after it."""
        self._closing.set()
        with self._guard:
            process = self._process
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()

    def wait(self) -> None:
        """Wait until the process has ended, and after a while kill it."""
        if self._process is not None:
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        if self._thread.is_alive():
            self._thread.join()
        self._close()

    # --- the thread -------------------------------------------------------------------------------

    def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while (process := self._process) is not None:
            began = time.monotonic()
            code = process.wait()
            if self._closing.is_set():
                self._close()
                return
            why = self._why()
            self._close()
            if time.monotonic() - began >= _LASTING_SECONDS:
                pause = _FIRST_PAUSE
            log.warning(
                "a worker of the server (process %d) %s%s; another takes its place", process.pid, _ending(code), why
            )
            while not self._closing.wait(pause):
                pause = min(2 * pause, _MAX_PAUSE)
                try:
                    self.start()
                    break
                except errors.ServerWorkerNotStarted as error:
                    log.warning("%s", str(error).partition("\n")[0])

    def _why(self) -> str:
        """Return what a worker that has ended said of an error at its start, to be put behind its end; `ready` has read that of the first."""
        if self._answer is None:
            return ""
        for line in self._answer.read().splitlines():
            with contextlib.suppress(ValueError, KeyError):
                return f" ({json.loads(line)['text']})"
        return ""

    def _close(self) -> None:
        process = self._process
        for pipe in (None if process is None else process.stdin, self._answer):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


# --- the worker -------------------------------------------------------------------------------------


def main() -> NoReturn:
    """Answer requests as the first line of standard input says, until that is closed."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        # The server has ended before it had said what to do.
        sys.exit(_INTERRUPTED)
    # From our parent, over a pipe that nobody else has.
    served, options, token, descriptor, ready_pipe = pickle.loads(base64.b64decode(line))  # noqa: S301
    os.set_inheritable(ready_pipe, False)
    listening = socket.socket(fileno=descriptor)
    code = 0
    try:
        # After a SIGINT uvicorn lets what is open be closed, after a SIGTERM not.
        child_process.end_with_input(lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            server.answer(served, options, token, listening, lambda: _say(ready_pipe, _READY))
        except errors.OperationError as error:
            said = {
                "error": type(error).__name__,
                "fields": error.fields,
                "text": str(error).partition("\n")[0].rstrip("."),
            }
            _say(ready_pipe, json.dumps(said, default=str).encode() + b"\n")
            code = error.exit_code
    except KeyboardInterrupt:
        # The server has ended before this worker had begun.
        code = _INTERRUPTED
    sys.exit(code)


def _say(ready_pipe: int, line: bytes) -> None:
    # The server that has started this process may be gone.
    with contextlib.suppress(BrokenPipeError):
        os.write(ready_pipe, line)


if __name__ == "__main__":
    main()
