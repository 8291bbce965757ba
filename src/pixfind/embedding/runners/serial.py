"""
One worker inside this process, by the same protocol as the others.

For Python programs that must not start processes, and for tests. A picture that kills the decoder kills this process.
"""

import queue
import threading

from pixfind.embedding.runners import Ended, drain
from pixfind.worker import process
from pixfind.worker.process import Message, Setup


class Serial:
    """Runs each worker in a thread."""

    def __init__(self) -> None:
        self._inboxes: dict[int, queue.SimpleQueue[Message]] = {}
        self._events: queue.SimpleQueue[tuple[int, Message | Ended]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, setup: Setup) -> None:
        inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._inboxes[setup.worker] = inbox

        def work() -> None:
            try:
                code = process.serve(setup, inbox, lambda message: self._events.put((setup.worker, message)))
            except BaseException as error:  # noqa: BLE001 - border: one worker
                self._events.put((setup.worker, Ended(1, f"{type(error).__name__}: {error}")))
            else:
                self._events.put((setup.worker, Ended(code, f"it ended with {code}")))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)

    def send(self, worker: int, message: Message) -> None:
        self._inboxes[worker].put(message)

    def receive(self, seconds: float) -> list[tuple[int, Message | Ended]]:
        return drain(self._events, seconds)

    def kill(self, worker: int) -> None:
        self.send(worker, {"stop": True})

    def pids(self) -> dict[int, int]:
        return {}

    def close(self) -> None:
        for inbox in self._inboxes.values():
            inbox.put({"stop": True})
        for thread in self._threads:
            thread.join(timeout=30)
