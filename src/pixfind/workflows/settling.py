"""
Which changed files are complete: those that look the same twice, some time apart.

A copy over a slow network grows for minutes. Owns when a path has settled; must not know where the notices come from or what is done then.
Times are of the monotonic clock, so a clock that is set changes nothing.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable

from pixfind.types import Clock

QUIET_SECONDS = 0.5
COLLECT_SECONDS = 2.0

Look = tuple[int, int, int] | None


def look_at(path: str) -> Look:
    """Return (inode, size, mtime_ns) of a file, the inode alone of a folder, None where nothing can be seen."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return found.st_ino, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


class Settling:
    """Paths that have changed: those that still may change, and those that are ready."""

    def __init__(self, clock: Clock = time, look: Callable[[str], Look] = look_at) -> None:
        self._clock = clock
        self._look = look
        self._waiting: dict[str, tuple[Look, float]] = {}
        self._ready: dict[str, float] = {}
        """path -> when it became so"""
        self.since: float | None = None
        """when the first of them was noticed"""

    def note(self, paths: Iterable[str]) -> None:
        """A notice came about these paths."""
        now = self._clock.monotonic()
        for path in paths:
            self.since = now if self.since is None else self.since
            self._ready.pop(path, None)
            self._waiting[path] = self._look(path), now

    def update(self) -> None:
        """Look at what waits."""
        now = self._clock.monotonic()
        for path, (before, since) in list(self._waiting.items()):
            if now - since < QUIET_SECONDS:
                continue
            if (look := self._look(path)) == before:
                del self._waiting[path]
                self._ready[path] = now
            else:
                self._waiting[path] = look, now

    @property
    def due(self) -> bool:
        """Whether it is time to scan what is ready: nothing else is about to be, or the first has waited long enough."""
        if not self._ready:
            return False
        return not self._waiting or self._clock.monotonic() - min(self._ready.values()) >= COLLECT_SECONDS

    @property
    def unsettled(self) -> set[str]:
        """Paths that may still change."""
        return set(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether any path is waiting or ready."""
        return bool(self._waiting or self._ready)

    def take(self) -> set[str]:
        """Return what is ready, and forget it."""
        ready = set(self._ready)
        self._ready.clear()
        self.since = self._clock.monotonic() if self._waiting else None
        return ready
