"""
A few pictures prepared for a model, each decoded in another process: `python -m pixfind.worker.sample` answers, `prepared` asks.

Owns that process and its end: a picture that crashes its decoder, starves it or never ends it is left out, and costs nothing but a new process.
Must not know the library or what the pictures are for.
"""

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO, Self

import numpy as np
from PIL import Image

from pixfind import errors, machine
from pixfind.images import decode, source
from pixfind.images.pixels import Pixels
from pixfind.models.preprocess import Preprocessing

COMMAND = (sys.executable, "-m", "pixfind.worker.sample")
_MEMORY = 2 << 30
"""bytes that the process may allocate"""
_SECONDS = 60.0
"""that a picture may take"""
_MAX_ENDS = 5
"""processes that may end before their time; a library with more such pictures, or on a drive that hangs, is not waited for"""
_STARTED, _MADE, _LEFT_OUT = b"=", b"+", b"-"


def prepared(
    paths: Sequence[str], made: Preprocessing, *, seconds: float = _SECONDS, command: Sequence[str] = COMMAND
) -> list[Pixels]:
    """
    Return pixels [side, side, 3] uint8 of each picture that can be decoded, in their order; `paths` are those of the catalogue.

    `command` is what answers; tests pass one that misbehaves.
    """
    found: list[Pixels] = []
    waiting = list(reversed(paths))
    for _ in range(_MAX_ENDS):
        if not waiting:
            break
        with _Decoder(made.side, command) as decoder, contextlib.suppress(_EndedError):
            decoder.start(made)
            while waiting:
                # Taken before it is tried, so that the next process does not meet it.
                pixels = decoder.ask(waiting.pop(), seconds)
                if pixels is not None:
                    found.append(pixels)
    return found


class _EndedError(Exception):
    """The process ended, or did not answer in time."""


class _Decoder:
    """One process that decodes what it is asked for."""

    def __init__(self, side: int, command: Sequence[str]) -> None:
        self._shape = (side, side, 3)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0 if os.name == "posix" else None,
        )
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # In a thread: a decoder that hangs in the system cannot be killed, and its pipe never ends.
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(OSError):
            self._stream("stdin").close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS)

    def start(self, made: Preprocessing) -> None:
        """Wait until it has started: that is no picture's fault; raises _EndedError."""
        preprocessing = {**dataclasses.asdict(made), "interpolation": int(made.interpolation)}
        self._write({"preprocessing": preprocessing, "sources": source.used()})
        self._answer(_SECONDS)

    def ask(self, path: str, seconds: float) -> Pixels | None:
        """Return the pixels of a picture, None for a file that is none; raises _EndedError."""
        self._write(path)
        answer = self._answer(seconds)
        return np.frombuffer(answer, np.uint8).reshape(self._shape) if answer else None

    def _answer(self, seconds: float) -> bytes:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty as error:
            raise _EndedError from error
        if answer is None:
            raise _EndedError
        return answer

    def _write(self, line: object) -> None:
        try:
            self._stream("stdin").write(json.dumps(line).encode("ascii") + b"\n")
            self._stream("stdin").flush()
        except OSError as error:
            raise _EndedError from error

    def _read(self) -> None:
        with self._stream("stdout") as answers:
            while kind := answers.read(1):
                size = int(np.prod(self._shape)) if kind == _MADE else 0
                answer = answers.read(size)
                if len(answer) < size:
                    break
                self._answers.put(answer)
        self._answers.put(None)

    def _stream(self, name: str) -> BinaryIO:
        stream: BinaryIO = getattr(self._process, name)
        return stream


def load(path: str, made: Preprocessing, limits: decode.Limits) -> Pixels:
    """Read and decode one picture, and prepare it for the model; raises ImageProblem."""
    data = source.read(path).data
    return made.apply(decode.decode(data, limits=limits, shortest_side=made.decode_side).image)


def main() -> None:
    """Answer each line of standard input, the JSON of a path, with pixels; the first line has the preprocessing and the sources."""
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the answers.
    os.dup2(2, 1)
    machine.limit_memory(_MEMORY)
    decode.use_one_thread_per_picture()
    first = json.loads(sys.stdin.readline())
    # Without them a store at another endpoint would be looked for at the vendor's.
    source.use(first["sources"])
    settings = first["preprocessing"]
    settings["interpolation"] = Image.Resampling(settings["interpolation"])
    made = Preprocessing(**settings)
    limits = decode.limits_for(_MEMORY).value
    _send(answers, _STARTED)
    for line in sys.stdin:
        try:
            answer = _MADE + load(json.loads(line), made, limits).tobytes()
        except (errors.ImageProblem, MemoryError):
            answer = _LEFT_OUT
        _send(answers, answer)


def _send(answers: BinaryIO, answer: bytes) -> None:
    answers.write(answer)
    answers.flush()


if __name__ == "__main__":
    main()
