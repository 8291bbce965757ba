"""
Decoding in processes of their own: uploads and thumbnails of the server, and the pictures of an import.

Owns the processes, and the limits of memory and time for each picture. A picture that crashes its decoder, hangs it or needs too much
memory ends its own call; the process is replaced by the next one. What a process does: `decoder_process`. Must not know what the result is for.

Where the system cannot limit memory (macOS, Windows), the limit on pixels alone holds.
"""

import contextlib
import dataclasses
import json
import math
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from numpy import uint8
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.images import decode, source, thumbnails
from pixfind.images.decode import Limits
from pixfind.models.preprocess import Preprocessing
from pixfind.types import ImageMetadata

TASK: Final = struct.Struct(">QQQL")
"""lengths of the task and of the picture and the limit of memory, in bytes; the limit of time, in seconds"""
RESULT: Final = struct.Struct(">cQ")
"""one of the letters below, and the length in bytes of what follows"""
DONE, REFUSED, OUT_OF_MEMORY = b"d", b"r", b"m"

_COMMAND: Final = (sys.executable, "-m", "pixfind.worker.decoder_process")
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SECONDS: Final = 30.0
"""for one picture"""

_START_SECONDS: Final = 60.0
"""for the process to start, which on a busy machine is no fault of the picture that waits for it"""

_MAX_RESULT_BYTES: Final = 64 << 20
"""A thumbnail or the input of a model is far smaller."""

_SMALL_SIDE: Final = 32
"""pixels to which a JPEG is scaled while it is decoded, where only its metadata and its soundness are wanted"""

_MAX_PROCESSES: Final = 4
_UPLOAD_PROCESSES: Final = 2
_UPLOAD_MEMORY: Final = (256 << 20, 1 << 30)
"""least and most bytes for one upload: a quarter of the free memory, within these"""
_LIBRARY_MEMORY: Final = 1 << 30
"""least bytes for a picture of the library, which a worker has decoded before: half of the free memory, if that is more"""


class Task(Protocol):
    """What a process does with a picture; sent to it by pickle."""

    def run(self, data: bytes) -> bytes:
        """Return the result for the bytes of an image file; raises ImageProblem."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Nothing: the answer says that the process has started."""

    def run(self, data: bytes) -> bytes:
        return data


@dataclass(frozen=True, slots=True)
class MakeThumbnail:
    """A JPEG whose longer side has at most `side` pixels."""

    side: int
    limits: Limits

    def run(self, data: bytes) -> bytes:
        return thumbnails.make(data, self.side, limits=self.limits)


@dataclass(frozen=True, slots=True)
class MakeFrameThumbnail:
    """As MakeThumbnail, of a frame that the process takes out of its video: a container that crashes FFmpeg must not crash the server."""

    location: str
    identity: tuple[int, int]
    """device and number of the file that the server has opened and checked"""
    side: int
    limits: Limits

    def run(self, data: bytes) -> bytes:  # noqa: ARG002  the protocol: what is read lies in the file
        try:
            with open(source.file_of(self.location), "rb") as file:  # noqa: PTH123  locations are strings
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) != self.identity:
                    raise errors.FileMissing
                frame = source.read_frame(file, self.location)
        except OSError as error:
            raise errors.Unreadable(detail=error.strerror or str(error)) from error
        return thumbnails.make(frame.data, self.side, limits=self.limits)


@dataclass(frozen=True, slots=True)
class Prepare:
    """The input of an image encoder: uint8 pixels [side, side, 3] as bytes."""

    preprocessing: Preprocessing
    limits: Limits

    def run(self, data: bytes) -> bytes:
        decoded = decode.decode(data, limits=self.limits, shortest_side=self.preprocessing.decode_side)
        return self.preprocessing.apply(decoded.image).tobytes()


@dataclass(frozen=True, slots=True)
class ReadMetadata:
    """The metadata of a picture that decodes without an error, as JSON."""

    limits: Limits

    def run(self, data: bytes) -> bytes:
        decoded = decode.decode(data, limits=self.limits, shortest_side=_SMALL_SIDE)
        return json.dumps(dataclasses.asdict(decoded.metadata)).encode()


class DecoderPool:
    """At most `count` processes that decode, each started when it is first needed. Thread-safe."""

    def __init__(
        self, count: int, memory_bytes: int, *, seconds: float = _SECONDS, command: tuple[str, ...] = _COMMAND
    ) -> None:
        self.count = count
        self.limits = decode.limits_for(memory_bytes).value
        self._memory = memory_bytes
        self._seconds = seconds
        # Last in, first out: no more processes than are busy at the same time.
        self._free: queue.LifoQueue[_Decoder] = queue.LifoQueue()
        self._decoders = [_Decoder(command) for _ in range(count)]
        for decoder in self._decoders:
            self._free.put(decoder)

    @classmethod
    def for_uploads(cls) -> Self:
        """Return the decoders of pictures that clients send."""
        least, most = _UPLOAD_MEMORY
        return cls(_UPLOAD_PROCESSES, min(most, max(least, machine.memory().value // 4)))

    @classmethod
    def for_library(cls, *, seconds: float = _SECONDS, count: int | None = None, nice: int = 0) -> Self:
        """Return the decoders of the library's own pictures; each may take `seconds`, and lets programs of less niceness go first."""
        if count is None:
            count = max(1, min(_MAX_PROCESSES, int(machine.cores().value)))
        memory = max(_LIBRARY_MEMORY, machine.memory().value // 2)
        return cls(count, memory, seconds=seconds, command=(*_COMMAND, str(nice)))

    def thumbnail(self, data: bytes, side: int) -> bytes:
        """Return a JPEG as `images.thumbnails.make` does; raises ImageProblem, DecodingFailed."""
        return self.run(MakeThumbnail(side, self.limits), data)

    def frame_thumbnail(self, location: str, identity: tuple[int, int], side: int) -> bytes:
        """Return a JPEG of a frame of the video with this device and number; raises ImageProblem, DecodingFailed."""
        return self.run(MakeFrameThumbnail(location, identity, side, self.limits), b"")

    def prepare(self, data: bytes, preprocessing: Preprocessing) -> NDArray[uint8]:
        """Return the input of an image encoder, uint8 [side, side, 3]; raises ImageProblem, DecodingFailed."""
        pixels = self.run(Prepare(preprocessing, self.limits), data)
        return np.frombuffer(pixels, uint8).reshape(preprocessing.side, preprocessing.side, 3)

    def metadata(self, data: bytes) -> ImageMetadata:
        """Return the metadata of a picture that can be decoded; raises ImageProblem, DecodingFailed."""
        return ImageMetadata(**json.loads(self.run(ReadMetadata(self.limits), data)))

    def run(self, task: Task, data: bytes) -> bytes:
        """Run a task in a free process, and wait for one; raises ImageProblem, DecodingFailed."""
        decoder = self._free.get()
        try:
            return decoder.run(task, data, self._memory, self._seconds)
        finally:
            self._free.put(decoder)

    @property
    def processor_seconds(self) -> float:
        """The processor time of the processes that run now."""
        return sum(decoder.processor_seconds for decoder in self._decoders)

    def close(self) -> None:
        """End all processes, also those that are busy."""
        for decoder in self._decoders:
            decoder.close()


class _Decoder:
    """One process, replaced when it ends."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def run(self, task: Task, data: bytes, memory_bytes: int, seconds: float) -> bytes:
        """Run a task, in a new process where there is none; raises ImageProblem, DecodingFailed."""
        if self._closed:
            raise errors.DecodingFailed(detail="was closed")
        process = self._process
        if process is None or process.poll() is not None:
            self.end()
            process = self._start()
            self._exchange(process, _Start(), b"", memory_bytes, _START_SECONDS)
        return self._exchange(process, task, data, memory_bytes, seconds)

    def _exchange(
        self, process: "subprocess.Popen[bytes]", task: Task, data: bytes, memory_bytes: int, seconds: float
    ) -> bytes:
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            letter, result = _ask(process, pickle.dumps(task), data, memory_bytes, seconds)
            problem = _problem(result) if letter == REFUSED else None
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            self.end()
            detail = f"took longer than {seconds:g} s" if late.is_set() else f"crashed ({_ending(process)})"
            raise errors.DecodingFailed(detail=detail) from error
        finally:
            timer.cancel()
        if letter == DONE:
            return result
        if problem is not None:
            raise problem
        # What is left of a picture that filled the memory is not worth keeping.
        self.end()
        raise errors.DecodingFailed(detail=f"needs more than {memory_bytes >> 20:,} MiB of memory")

    @property
    def processor_seconds(self) -> float:
        process = self._process
        return 0.0 if process is None else machine.processor_seconds(process.pid)

    def close(self) -> None:
        self._closed = True
        self.end()

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
            # Ctrl-C in the terminal is for the process that asks.
            process_group=0 if os.name == "posix" else None,
        )
        return process


def _ask(
    process: "subprocess.Popen[bytes]", task: bytes, data: bytes, memory_bytes: int, seconds: float
) -> tuple[bytes, bytes]:
    """Send a task and return what comes back; raises OSError, EOFError and ValueError when the process ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(TASK.pack(len(task), len(data), memory_bytes, math.ceil(seconds)))
    process.stdin.write(task)
    process.stdin.write(data)
    process.stdin.flush()
    head = process.stdout.read(RESULT.size)
    if len(head) < RESULT.size:
        raise EOFError
    letter, length = RESULT.unpack(head)
    if length > _MAX_RESULT_BYTES:
        raise EOFError
    result = process.stdout.read(length)
    if len(result) < length:
        raise EOFError
    return letter, result


def _ending(process: "subprocess.Popen[bytes]") -> str:
    # Another thread may be ending it: `close`.
    code = process.wait()
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _problem(described: bytes) -> errors.ImageProblem:
    """Return the error that a process has described: JSON, because what a hostile picture has taken over is not believed."""
    values = json.loads(described)
    known = {kind.__name__: kind for kind in errors.ImageProblem.__subclasses__()}
    return known[values["kind"]](**values["fields"])
