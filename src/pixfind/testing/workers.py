"""
Workers that misbehave: `python -m pixfind.testing.workers HOW ARGUMENT`, in the place of `python -m pixfind.worker`.

Each stands for something that was seen in the field: a decoder that crashes, one that never returns, one that eats all memory, a
process that is killed from outside. They do it when a picture's path contains the argument; "count" and "hold" take a file instead, which
notes what was taken up, and holds everything back while it is there.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pixfind.images import decode
from pixfind.models.encoders import ImageEncoder
from pixfind.worker import embed, process

HOWS = (
    "crash",
    "hang",
    "hang-whole",
    "eat-memory",
    "exit",
    "count",
    "hold",
    "leave-child",
    "leave-child-and-hang",
    "leave-daemon",
)


_LOOK_SECONDS = 0.02


def command(how: str, argument: str) -> tuple[str, ...]:
    """Return the command of a worker that behaves as `how` says, for `runners.local.Local`."""
    assert how in HOWS
    return (sys.executable, "-m", "pixfind.testing.workers", how, argument)


def crash() -> None:
    """A decoder that runs over its buffer: the process is gone at once."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    """A decoder in an endless loop, in one thread."""
    while True:
        time.sleep(60)


def hang_whole() -> None:
    """A decoder that loops without letting go of the interpreter: no thread of the process runs any more."""
    ctypes.PyDLL(None).pause()


def eat_memory() -> None:
    """A decoder that allocates until it is refused."""
    eaten = []
    while True:
        eaten.append(bytearray(1 << 26))


def leave_child() -> None:
    """A library that forks a process, which never ends and holds all that this one has open; its number goes to the log."""
    _fork()


def leave_child_and_hang() -> None:
    """Both."""
    leave_child()
    hang()


def leave_daemon() -> None:
    """The same, and the child has left our process group, so that nobody ends it."""
    _fork(ctypes.PyDLL(None).setsid)


def _fork(first: Callable[[], object] = lambda: None) -> None:
    # As native code does it: Python's own hooks do not run.
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        first()
        while True:
            ctypes.PyDLL(None).pause()
    # In one piece: other threads write too.
    os.write(2, f"left {child}\n".encode())


def leave() -> None:
    """A library that calls exit()."""
    os._exit(3)


def _counted(path: str, load: Callable[..., embed.Loaded]) -> Callable[..., embed.Loaded]:
    """Note each image in `path` before it is decoded: what was done, whatever came of it."""
    lock = threading.Lock()

    def counted(file: embed.Read, encoder: ImageEncoder, limits: decode.Limits) -> embed.Loaded:
        with lock, Path(path).open("a", encoding="ascii") as log:
            log.write(f"{file.image.image_id}\n")
        return load(file, encoder, limits)

    return counted


def _held(gate: str, load: Callable[..., embed.Loaded]) -> Callable[..., embed.Loaded]:
    """Take up each image once the file `gate` is gone: until then the worker keeps all that it was assigned."""

    def held(file: embed.Read, encoder: ImageEncoder, limits: decode.Limits) -> embed.Loaded:
        while Path(gate).exists():
            time.sleep(_LOOK_SECONDS)
        return load(file, encoder, limits)

    return held


def main() -> int:
    how, argument = sys.argv[1:]
    load = embed.load
    if how in {"count", "hold"}:
        embed.load = {"count": _counted, "hold": _held}[how](argument, load)
        return process.main()
    misbehave = {
        "crash": crash,
        "hang": hang,
        "hang-whole": hang_whole,
        "eat-memory": eat_memory,
        "exit": leave,
        "leave-child": leave_child,
        "leave-child-and-hang": leave_child_and_hang,
        "leave-daemon": leave_daemon,
    }[how]

    def poisoned(file: embed.Read, encoder: ImageEncoder, limits: decode.Limits) -> embed.Loaded:
        if argument in file.image.path:
            misbehave()
        return load(file, encoder, limits)

    embed.load = poisoned
    return process.main()


if __name__ == "__main__":
    main()
