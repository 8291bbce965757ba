"""
One worker inside this process, by the same protocol as the others.

For Python programs that must not start processes, and for tests. An image that crashes the decoder crashes this process.
"""

import queue
import threading

from pixfind.embedding.runners import Ended, WorkerUsage, drain
from pixfind.worker import pipeline
from pixfind.worker.protocol import FromWorker, Stop, ToWorker, WorkerConfig


class Serial:
    """Runs each worker in a thread."""

    def __init__(self) -> None:
        self._inboxes: dict[int, pipeline.Inbox] = {}
        self._events: queue.SimpleQueue[tuple[int, FromWorker | Ended]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, config: WorkerConfig) -> None:
        """Start a worker in a thread."""
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
        """Put a message into a worker's inbox."""
        self._inboxes[worker].put(message)

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        """Return what workers have sent, in the order of each; wait at most `seconds` for the first."""
        return drain(self._events, seconds)

    def kill(self, worker: int) -> None:
        """Stop a worker: a thread cannot be ended, so it saves what it has and ends by itself."""
        self.send(worker, Stop())

    def usage(self) -> dict[int, WorkerUsage]:
        """Return nothing: what the workers use is part of this process."""
        return {}

    def room(self) -> None:
        """Return nothing: this machine stays as it is."""

    def close(self) -> None:
        """Stop all workers, and wait until they have saved."""
        for inbox in self._inboxes.values():
            inbox.put(Stop())
        for thread in self._threads:
            thread.join(timeout=30)
