"""
`python -m pixfind.worker.decoder_process [NICENESS]`: decodes one picture after the other, from standard input to standard output.

A task is `decoders.TASK`, the pickled task, and the picture; the result `decoders.RESULT` and its bytes. It ends with its standard input.
"""

import json
import os
import pickle
import signal
import sys
from typing import BinaryIO

from pixfind import errors, machine
from pixfind.images import decode
from pixfind.worker import decoders

_OWN_BYTES = 256 << 20
"""of address space for the interpreter and the libraries; what they use of it is less"""

_GRACE_SECONDS = 5
"""The server ends a process that is late; this one only ends one that has lost its server."""


def main() -> None:
    """Run tasks until standard input ends."""
    tasks, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Nothing that a library prints may get between the results.
    os.dup2(2, 1)
    decode.use_one_thread_per_picture()
    machine.be_nice(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    while len(head := tasks.read(decoders.TASK.size)) == decoders.TASK.size:
        task_bytes, data_bytes, memory_bytes, seconds = decoders.TASK.unpack(head)
        _end_after(seconds + _GRACE_SECONDS)
        described = tasks.read(task_bytes)
        if len(described) < task_bytes:
            # Whoever asked was killed.
            return
        task: decoders.Task = pickle.loads(described)  # noqa: S301  from the server, which started this process
        machine.limit_memory(_OWN_BYTES + data_bytes + memory_bytes)
        data = tasks.read(data_bytes)
        if len(data) < data_bytes:
            return
        letter, result = _run(task, data)
        _write(results, letter, result)
        _end_after(0)


def _end_after(seconds: int) -> None:
    """Let the system end this process when the server is not there to do it; 0: never."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _run(task: decoders.Task, data: bytes) -> tuple[bytes, bytes]:
    try:
        return decoders.DONE, task.run(data)
    except MemoryError:
        return decoders.OUT_OF_MEMORY, b""
    except errors.ImageProblem as problem:
        if isinstance(problem.__cause__, MemoryError):
            return decoders.OUT_OF_MEMORY, b""
        described = {"kind": type(problem).__name__, "fields": problem.fields}
        return decoders.REFUSED, json.dumps(described, default=str).encode()


def _write(results: BinaryIO, letter: bytes, result: bytes) -> None:
    try:
        results.write(decoders.RESULT.pack(letter, len(result)))
        results.write(result)
        results.flush()
    except BrokenPipeError:
        # Whoever asked was killed. Without the end of Python, which would write it once more.
        os._exit(0)


if __name__ == "__main__":
    main()
