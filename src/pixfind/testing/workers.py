"""
Workers that misbehave: `python -m pixfind.testing.workers HOW ARGUMENT`, in the place of `python -m pixfind.worker`.

Each stands for something that was seen in the field: a decoder that crashes, one that never returns, one that eats all memory, a
process that is killed from outside. They do it when a picture's path contains the argument; "count" and "hold" take a file instead, which
notes what was taken up, and holds everything back while it is there; "slow" takes seconds and a file, and notes there each batch, when it slept and which process it was; "blind" sees no picture whose path contains the argument.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import decode
from pixfind.images.pixels import Pixels
from pixfind.models.encoders import ImageEncoder
from pixfind.types import ImageRef
from pixfind.worker import embed, process

_LOOK_SECONDS = 0.02


def command(how: str, argument: str) -> tuple[str, ...]:
    """Return the command of a worker that behaves as `how` says, for `runners.local.Local`."""
    assert how in _HOWS
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


def _at_image(misbehave: Callable[[], object]) -> Callable[[str], None]:
    """Return what lets a worker misbehave at the images whose path contains the argument."""

    def prepare(argument: str) -> None:
        load = embed.load

        def poisoned(file: embed.Read, encoder: embed.Preparer, limits: decode.Limits) -> embed.Loaded:
            if argument in file.image.path:
                misbehave()
            return load(file, encoder, limits)

        embed.load = poisoned

    return prepare


def _count(path: str) -> None:
    """Note each image in `path` before it is decoded: what was done, whatever came of it."""
    lock, load = threading.Lock(), embed.load

    def counted(file: embed.Read, encoder: embed.Preparer, limits: decode.Limits) -> embed.Loaded:
        with lock, Path(path).open("a", encoding="ascii") as log:
            log.write(f"{file.image.image_id}\n")
        return load(file, encoder, limits)

    embed.load = counted


def _hold(gate: str) -> None:
    """Take up each image once the file `gate` is gone: until then the worker keeps all that it was assigned."""
    load = embed.load

    def held(file: embed.Read, encoder: embed.Preparer, limits: decode.Limits) -> embed.Loaded:
        while Path(gate).exists():
            time.sleep(_LOOK_SECONDS)
        return load(file, encoder, limits)

    embed.load = held


def _slow(argument: str) -> None:
    """Let each image take so many seconds in the model, without any processor time: two cores carry many such workers."""
    seconds, log = argument.split(",", 1)
    compute = embed.embed

    def slow(encoder: ImageEncoder, batch: Sequence[Pixels]) -> tuple[NDArray[np.float16], set[int]]:
        began = time.time()
        time.sleep(float(seconds) * len(batch))
        with Path(log).open("a", encoding="ascii") as file:
            file.write(f"{len(batch)} {began} {time.time()} {os.getpid()}\n")
        return compute(encoder, batch)

    embed.embed = slow


def _blind(argument: str) -> None:
    """See no picture with the argument in its path: a node that has not mounted the folder."""
    read = embed.read

    def blind(image: ImageRef) -> embed.Read:
        if argument in image.path:
            raise errors.FileMissing
        return read(image)

    embed.read = blind


_HOWS: Final[dict[str, Callable[[str], None]]] = {
    "crash": _at_image(crash),
    "hang": _at_image(hang),
    "hang-whole": _at_image(hang_whole),
    "eat-memory": _at_image(eat_memory),
    "exit": _at_image(leave),
    "leave-child": _at_image(leave_child),
    "leave-child-and-hang": _at_image(leave_child_and_hang),
    "leave-daemon": _at_image(leave_daemon),
    "count": _count,
    "hold": _hold,
    "slow": _slow,
    "blind": _blind,
}
"""HOW -> what prepares the worker for the argument"""


def main() -> int:
    how, argument = sys.argv[1:]
    _HOWS[how](argument)
    return process.main()


if __name__ == "__main__":
    main()
