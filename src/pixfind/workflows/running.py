"""
A run that embeds: started in a process of its own, and requests to it: stop, pause, resume, take another share.

What is requested lies in `control.json`; the coordinator of the run reads it a few times a second. Imports nothing heavy.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence

from pixfind import errors
from pixfind.library import control, watch_lock
from pixfind.library.library import Library
from pixfind.storage import logs

#: Commands that run a coordinator, as the holder of a library's lock is named.
EMBEDDING_VERBS = frozenset({"embed", "index", "watch"})


def request(library: Library, requested: control.ControlRequest) -> int:
    """Ask the process that embeds a library for something, and return its id; raises NothingRunning where none does."""
    holder = library.holder()
    if holder is None or holder["verb"] not in EMBEDDING_VERBS:
        raise errors.NothingRunning(path=library.path)
    control.request(library.path, requested)
    return int(holder["pid"])


def stop(library: Library) -> tuple[str, Callable[[], bool]]:
    """
    Ask the process that embeds a library to end, or else the watch; return its command, and what tells whether it has ended.

    Raises NothingRunning where there is neither.
    """
    holder = library.holder()
    verb = str(holder["verb"]) if holder else ""
    if verb != "watch" and verb in EMBEDDING_VERBS:
        pid = request(library, control.ControlRequest(stop=True))
        return verb, lambda: (library.holder() or {}).get("pid") != pid
    if watch_lock.read(library.path) is None:
        raise errors.NothingRunning(path=library.path)
    watch_lock.request_stop(library.path)
    return "watch", lambda: watch_lock.read(library.path) is None


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
