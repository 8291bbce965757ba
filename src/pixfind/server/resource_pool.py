"""
A few threads, each call with a thing of its own that two threads must not use at once: an open library.

Owns how many calls may wait: a server that is behind says so at once, instead of answering everybody late.
"""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pixfind import errors

T = TypeVar("T")
R = TypeVar("R")


class Threads(Generic[T]):
    """Runs functions of a T, as many at a time as there are Ts."""

    def __init__(
        self, name: str, things: list[T], *, most_waiting: int, renewed: Callable[[T], T] = lambda thing: thing
    ) -> None:
        self.things = things
        self._renewed = renewed
        self.waiting = 0
        """calls that run or wait"""
        self.done = 0
        self._most = most_waiting
        self._free: queue.SimpleQueue[T] = queue.SimpleQueue()
        for thing in things:
            self._free.put(thing)
        self._executor = ThreadPoolExecutor(len(things), thread_name_prefix=name)

    async def run(self, work: Callable[[T], R]) -> R:
        """Return what `work` returns; raises Busy at once when too many calls wait."""
        if self.waiting >= self._most:
            raise errors.Busy
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._do, work)
        finally:
            self.waiting -= 1
            self.done += 1

    def close(self) -> None:
        """Wait for what runs; what waits is dropped."""
        self._executor.shutdown(cancel_futures=True)

    def _do(self, work: Callable[[T], R]) -> R:
        thing = self._free.get()
        try:
            # The model of the library may have been changed since this thing was used last.
            after = self._renewed(thing)
            self.things[self.things.index(thing)] = thing = after
            return work(thing)
        finally:
            self._free.put(thing)
