"""
A run that embeds: started in a process of its own, and requests to it: stop, pause, resume, take another share.

What is requested lies in `control.json`; the coordinator of the run reads it a few times a second. Imports nothing heavy.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pixfind import errors
from pixfind.library import control, watch_lock
from pixfind.library.library import Library
from pixfind.storage import logs

#: Commands that requests reach, as the holder of a library's lock is named.
EMBEDDING_VERBS = frozenset({"embed", "index", "read-text", "thumbnails", "watch"})


@dataclass(frozen=True, slots=True)
class Running:
    """A process that a request reaches."""

    verb: str
    pid: int
    """0: a watch that has not said yet which process it is"""


def embedding(library: Library) -> Running:
    """Return the process that embeds a library; raises NothingRunning where none does."""
    holder = library.holder()
    if holder is None or holder["verb"] not in EMBEDDING_VERBS:
        raise errors.NothingRunning(path=library.path)
    return Running(str(holder["verb"]), int(holder["pid"]))


def to_stop(library: Library) -> Running:
    """Return the process that `stop` ends: the one that embeds a library, or else the watch; raises NothingRunning where there is neither."""
    with contextlib.suppress(errors.NothingRunning):
        if (found := embedding(library)).verb != "watch":
            return found
    if (watch := watch_lock.read(library.path)) is None:
        raise errors.NothingRunning(path=library.path)
    return Running("watch", watch.pid)


def request(library: Library, requested: control.ControlRequest) -> Running:
    """Ask the process that embeds a library for something, and return which it is; raises NothingRunning where none does."""
    found = embedding(library)
    control.request(library.path, requested)
    return found


def stop(library: Library) -> tuple[Running, Callable[[], bool]]:
    """
    Ask the process that embeds a library to end, or else the watch; return which it is, and what tells whether it has ended.

    Raises NothingRunning where there is neither.
    """
    found = to_stop(library)
    if found.verb != "watch":
        pid = request(library, control.ControlRequest(stop=True)).pid
        return found, lambda: (library.holder() or {}).get("pid") != pid
    watch_lock.request_stop(library.path)
    return found, lambda: watch_lock.read(library.path) is None


def start_detached(library: Library, words: Sequence[str]) -> int:
    """
    Run `pixfind WORDS` in a process that outlives this one, and return its id; what it prints goes to the library's embed.log.

    Raises LibraryLocked while another process writes.
    """
    library.refuse_second_writer()
    with logs.appending(library.logs / "embed.log") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pixfind", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return process.pid
