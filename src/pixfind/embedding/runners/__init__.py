"""
How batches are spread: one protocol, several carriers.

A runner starts workers, passes messages both ways and tells when one has ended. What the messages say is the business of `worker.protocol`
and `coordinator`. `local` runs processes on this machine, `serial` one worker in this process.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from pixfind.worker.protocol import FromWorker, ToWorker, WorkerConfig


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker is no more."""

    code: int
    """exit code; negative: the signal that ended it"""
    detail: str


class Runner(Protocol):
    """Starts workers and carries their messages."""

    def start(self, config: WorkerConfig) -> None:
        """Start the worker that `config` describes; one number runs once at a time."""

    def send(self, worker: int, message: ToWorker) -> None:
        """Pass a message to a worker; a message to a worker that has ended is dropped."""

    def receive(self, seconds: float) -> list[tuple[int, FromWorker | Ended]]:
        """Return what workers have sent, in the order of each; wait for the first at most `seconds`."""

    def kill(self, worker: int) -> None:
        """End a worker at once."""

    def pids(self) -> dict[int, int]:
        """Return worker -> process id of those that run on this machine in processes of their own."""

    def close(self) -> None:
        """End all workers at once."""


def drain(events: Any, seconds: float) -> list[Any]:
    """Return all that a queue holds, waiting for the first at most `seconds`."""
    import queue

    found = []
    try:
        found.append(events.get(timeout=seconds))
        while True:
            found.append(events.get_nowait())
    except queue.Empty:
        return found
