"""
Requests to other machines: what is tried again, what waits, and when a source counts as away.

Owns the difference between a picture that cannot be read and a store that cannot be reached: the second is never the fault of a picture. While a store
is away one request at a time asks whether it has returned, and all others wait for that answer. Must not know what is requested, or by what library.
"""

import math
import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pixfind import errors

_FIRST_PAUSE: Final = 0.5
_MAX_PAUSE: Final = 30.0
"""seconds between two attempts"""

_ASK_AGAIN: Final = 5.0
"""seconds for which a store that is away is not asked again by a process without patience"""

_T = TypeVar("_T")

patience = 0.0
"""seconds for which requests of this process wait for a store that is away; a worker waits, and commands at a terminal do not"""

activity = 0
"""grows with each request that is made or answered: a sign of life while the network takes minutes"""

_guard = threading.Lock()
_held_back: dict[str, str] = {}
"""store -> why requests wait for it"""


class Passing(Exception):  # noqa: N818  an answer among others, which never leaves this package
    """A request failed for a reason that may pass by itself: no connection, throttling, an error of the server. Its text is the reason."""


class Lasting(Exception):  # noqa: N818  as above
    """All requests to this store will fail until somebody does something: no access, no such bucket. Its text is the reason."""


def held_back() -> str | None:
    """Return for which store requests of this process wait, and why; None while none waits."""
    with _guard:
        return next((f"{store}: {why}" for store, why in _held_back.items()), None)


def note_activity() -> None:
    """Say that something is still happening."""
    global activity
    activity += 1


class Gate:
    """Where all requests to one store pass. Used by many threads at a time."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._away_since: float | None = None
        self._why = ""
        self._attempts = 0
        self._next_attempt = 0.0
        self._attempting = False
        self._given_up_until = -math.inf

    def reset(self) -> None:
        """Ask again, whatever was found before."""
        with self._changed:
            self._given_up_until = -math.inf
            self._returned()

    def request(self, ask: Callable[[], _T], *, at_least: float = 0.0, at_most: float | None = None) -> _T:
        """
        Return what `ask` returns; while it raises Passing, wait and ask again, for `patience` seconds, but `at_least` and `at_most` these.

        Raises SourceAway when that has run out and for Lasting, and then at once for all further requests; and what else `ask` raises.
        """
        while True:
            attempts = self._wait_for_turn()
            note_activity()
            try:
                answer = ask()
            except Passing as problem:
                seconds = max(patience, at_least)
                self._failed(str(problem), attempts, seconds if at_most is None else min(seconds, at_most))
            except Lasting as problem:
                self._give_up(str(problem))
            except BaseException:
                self._succeeded(attempts)
                raise
            else:
                self._succeeded(attempts)
                return answer
            finally:
                note_activity()

    def _wait_for_turn(self) -> bool:
        """Return whether this request is the one that finds out whether the store has returned; raises SourceAway."""
        with self._changed:
            while True:
                if time.monotonic() < self._given_up_until:
                    raise errors.SourceAway(detail=f"{self._store}: {self._why}")
                if self._away_since is None:
                    return False
                left = self._next_attempt - time.monotonic()
                if not self._attempting and left <= 0:
                    self._attempting = True
                    return True
                self._changed.wait(None if self._attempting else left)

    def _failed(self, why: str, attempt: bool, seconds: float) -> None:
        with self._changed:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since, self._attempts = now, 0
            if attempt or not self._attempts:
                self._why = why
                pause = min(_MAX_PAUSE, _FIRST_PAUSE * 2**self._attempts)
                self._attempts += 1
                # Many machines wait for one store: not all at the same moment.
                self._next_attempt = now + pause * random.uniform(0.5, 1.0)
                self._attempting = False
            with _guard:
                _held_back[self._store] = self._why
            if now - self._away_since >= seconds:
                self._close(why)
            self._changed.notify_all()

    def _give_up(self, why: str) -> None:
        with self._changed:
            self._close(why)

    def _close(self, why: str) -> None:
        """Let no request pass: in a worker until the next run, elsewhere for a moment."""
        self._why, self._attempting = why, False
        self._given_up_until = math.inf if patience else time.monotonic() + _ASK_AGAIN
        self._returned()

    def _succeeded(self, attempt: bool) -> None:
        # Without the lock for nearly all: nobody waits.
        if attempt or self._away_since is not None:
            with self._changed:
                if attempt:
                    self._attempting = False
                self._returned()

    def _returned(self) -> None:
        self._away_since = None
        with _guard:
            _held_back.pop(self._store, None)
        self._changed.notify_all()
