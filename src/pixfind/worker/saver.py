"""
Saves rows in a thread of its own, so that the model does not wait for the disk.

Owns that thread and the order of saves: one at a time, each reported once its rows are durable. Must not know where rows go (`sink`) or
what a report says.
"""

import queue
import threading
from collections.abc import Callable


class Saver:
    """Runs saves one after the other, beside the thread that calls it."""

    def __init__(self) -> None:
        self._saves: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a save has not ended."""
        return not self._idle.is_set()

    def save(self, save: Callable[[], None]) -> None:
        """Call `save` in the thread, after the save before it has ended; raises what that one raised."""
        self.wait()
        self._idle.clear()
        self._saves.put(save)

    def wait(self) -> None:
        """Return when what was given is saved; raises what the save raised."""
        self._idle.wait()
        self.check()

    def check(self) -> None:
        """Raise what a save raised; no save is begun after one that failed."""
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """End the thread, after the save that it is at."""
        self._saves.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (save := self._saves.get()) is not None:
            try:
                save()
            except BaseException as problem:  # noqa: BLE001 - border: raised again in the thread of the model
                self._problem = problem
            finally:
                self._idle.set()
