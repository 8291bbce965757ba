"""
One worker inside this process, by the same protocol as the others.

For Python programs that must not start processes, and for tests. A picture that kills the decoder kills this process.
"""

import queue
import threading

from pixfind.embedding.runners import Ended, drain
from pixfind.worker import pipeline
from pixfind.worker.protocol import FromWorker, Stop, ToWorker, WorkerConfig


class Serial:
    """Runs each worker in a thread."""

    def __init__(self) -> None:
        self._inboxes: dict[int, pipeline.Inbox] = {}
        self._events: queue.SimpleQueue[tuple[int, FromWorker | Ended]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, config: WorkerConfig) -> None:
        inbox: pipeline.Inbox = queue.SimpleQueue()
        self._inboxes[config.worker] = inbox

        def work() -> None:
            try:
                code = pipeline.serve(config, inbox, lambda message: self._events.put((config.worker, message)))
            except BaseException as error:  # noqa: BLE001 - border: one worker
                self._events.put((config.worker, Ended(1, f"{type(error).__name__}: {error}")))
            else:
                self._events.put((config.worker, Ended(code, f"it ended with {code}")))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)

    def send(self, worker: int, message: ToWorker) -> None:
        self._inboxes[worker].put(message)

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        return drain(self._events, seconds)

    def kill(self, worker: int) -> None:
        self.send(worker, Stop())

    def pids(self) -> dict[int, int]:
        return {}

    def close(self) -> None:
        for inbox in self._inboxes.values():
            inbox.put(Stop())
        for thread in self._threads:
            thread.join(timeout=30)
