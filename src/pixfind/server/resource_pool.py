"""
A thread pool in which each call has exclusive use of one pooled resource, such as an open library.

Owns the length of the queue: when the server falls behind, a call is refused at once instead of answered late.
"""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pixfind import errors

T = TypeVar("T")
R = TypeVar("R")


class ResourcePool(Generic[T]):
    """Run functions in a thread pool, each with exclusive use of one resource; as many threads as resources."""

    def __init__(
        self, name: str, resources: list[T], *, max_queue: int, refresh: Callable[[T], T] = lambda resource: resource
    ) -> None:
        self.resources = resources
        self._refresh = refresh
        self.waiting = 0
        """calls that are running or queued"""
        self.completed = 0
        """calls that have ended"""
        self._max_queue = max_queue
        self._free: queue.SimpleQueue[T] = queue.SimpleQueue()
        for resource in resources:
            self._free.put(resource)
        self._executor = ThreadPoolExecutor(len(resources), thread_name_prefix=name)

    async def run(self, work: Callable[[T], R]) -> R:
        """Run `work` with a free resource and return its result; raises Overloaded at once when the queue is full."""
        if self.waiting >= self._max_queue:
            raise errors.Overloaded
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._call, work)
        finally:
            self.waiting -= 1
            self.completed += 1

    def close(self) -> None:
        """Wait for running calls and cancel those that are queued."""
        self._executor.shutdown(cancel_futures=True)

    def _call(self, work: Callable[[T], R]) -> R:
        resource = self._free.get()
        try:
            # The library may have switched models since this resource was last used.
            current = self._refresh(resource)
            self.resources[self.resources.index(resource)] = resource = current
            return work(resource)
        finally:
            self._free.put(resource)
