"""
One watch for each library: its lock, what it says about itself, and the request to end.

`watch.lock` is held as long as a watch runs, and says nothing about who writes: that is `library.lock`, which a watch takes for a moment at a time.
`watch.json` says how it watches. A request to end has a file of its own, because `control.json` is emptied by whatever run comes next.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.storage import disk, locks
from pixfind.types import Reason

_LOCK = "watch.lock"
_STATE = "watch.json"
_STOP = "watch-stop.json"


@dataclass(frozen=True, slots=True)
class WatchState:
    """What a running watch says about itself."""

    pid: int
    rescan_minutes: float
    rescanned: dict[str, str] = field(default_factory=dict)
    """root -> why it is scanned every `rescan_minutes`; changes of all others are noticed at once"""
    reasons: dict[str, dict[str, Any]] = field(default_factory=dict)
    """the same as kind, message and values"""


def read(library: Path) -> WatchState | None:
    """Return how a library is watched; None when it is not. Of one that has said nothing yet it is known only that it runs."""
    if not locks.is_held(library / _LOCK):
        return None
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = WatchState(**json.loads((library / _STATE).read_text(encoding="utf-8")))
        if (
            type(found.pid) is int
            and type(found.rescanned) is dict is type(found.reasons)
            and type(found.rescan_minutes) in {int, float}
        ):
            return found
    return WatchState(0, 0.0)


@contextlib.contextmanager
def held(library: Path) -> Iterator[None]:
    """Be the one watch of a library in the block; raises AlreadyWatched."""
    try:
        lock = locks.acquire(library / _LOCK, patience=0)
    except locks.HeldError as error:
        state = read(library)
        raise errors.AlreadyWatched(path=library, pid=state.pid if state and state.pid else "?") from error
    try:
        disk.delete(library / _STOP)
        yield
    finally:
        with contextlib.suppress(*disk.FAILURES):
            disk.delete(library / _STATE)
            disk.delete(library / _STOP)
        lock.release()


def tell(library: Path, rescan_minutes: float, rescanned: Mapping[str, Reason]) -> None:
    """Say how the library is watched from now on."""
    state = WatchState(
        os.getpid(),
        rescan_minutes,
        {root: why.message for root, why in rescanned.items()},
        {root: asdict(why) for root, why in rescanned.items()},
    )
    disk.publish(library / _STATE, json.dumps(asdict(state)).encode())


def request_stop(library: Path) -> None:
    """Ask the watch of a library to end."""
    disk.publish(library / _STOP, b"{}")


def stop_requested(library: Path) -> bool:
    """Tell whether the watch was asked to end."""
    return (library / _STOP).exists()
