"""
One thread for each library of a collection, so that a library that hangs holds up nobody but itself.

Not a thread pool of the standard library: the end of the process waits for its threads, and one that hangs would keep the process.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Lane:
    """A thread that runs one function after another."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"library {name}", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Run `work` after what was submitted before; a future that is cancelled is never begun."""
        future: Future[T] = Future()
        self._queue.put((future, work))
        return future

    def close(self, last: Callable[[], object], patience: float) -> None:
        """Run `last` at the end, and wait for it at most `patience` seconds."""
        self.submit(last)
        self._queue.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            future, work = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  raised again where the result is awaited
                future.set_exception(error)
