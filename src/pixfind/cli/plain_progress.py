"""
Progress where there is no terminal: a line every few seconds.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pixfind.types import format_transfer

if TYPE_CHECKING:
    # A type alone: what a command does not need it does not wait for.
    from pixfind.embedding.progress import Snapshot

BYTES = "bytes"
"""the unit of a bar that shows sizes, the rate and the time left"""

_PLAIN_SECONDS = 5.0


class PlainProgress:
    """Progress where there is no terminal: a line every few seconds."""

    def __init__(self, say: Callable[[str], None], what: str, unit: str) -> None:
        self._say = say
        self._what = what
        self._unit = unit
        self._shown_at = time.monotonic()
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        if self._first is None:
            self._first = time.monotonic(), done
        if time.monotonic() - self._shown_at >= _PLAIN_SECONDS:
            self._shown_at = time.monotonic()
            if self._unit == BYTES and total:
                self._say(f"{self._what}: {format_transfer(done, total, *self._first, time.monotonic())}")
                return
            of = f" of {total:,}" if total else ""
            self._say(f"{self._what}: {done:,}{of} {self._unit}".rstrip())


class PlainRun:
    """A running embed where there is no terminal."""

    def __init__(self, say: Callable[[str], None], what: str) -> None:
        self._say, self._what = say, what
        self._shown_at = time.monotonic()

    def __call__(self, snapshot: "Snapshot") -> None:
        if time.monotonic() - self._shown_at >= _PLAIN_SECONDS:
            self._shown_at = time.monotonic()
            self._say(f"{self._what}: {snapshot.done:,} of {snapshot.total:,}, {snapshot.line()}")
