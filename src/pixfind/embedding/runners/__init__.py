"""
What carries workers: one protocol, several runners.

A runner starts workers, passes messages both ways and reports when one has ended. Must not know what the messages mean, which is for
`worker.protocol` and `embedding.coordinator`. `local` runs processes on this machine, `serial` one worker in this process, `ray` workers on the nodes of a cluster.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from pixfind.embedding.elastic import Room
from pixfind.worker.protocol import FromWorker, ToWorker, WorkerConfig


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has ended."""

    code: int
    """exit code; negative: the signal that ended it"""
    detail: str


@dataclass(frozen=True, slots=True)
class WorkerUsage:
    """What the process of a worker has used so far."""

    host: str
    """name of the machine that it runs on"""
    pid: int
    """its process id there"""
    processor_seconds: float
    """user and system time of all its threads since it started"""
    node: str = ""
    """id of the cluster's node that it runs on; empty on this machine"""

    @property
    def process(self) -> tuple[str, int]:
        """Host and process id: another value for the worker that replaces this one, whose time begins at zero again."""
        return self.host, self.pid


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

    def usage(self) -> dict[int, WorkerUsage]:
        """Return worker -> what it has used, for those that run in processes of their own; others are part of this process."""

    def room(self) -> Room | None:
        """Return what a cluster offers at the moment; None where workers run on this machine."""

    def close(self) -> None:
        """End all workers at once."""


def drain(events: Any, seconds: float) -> list[Any]:
    """Return all that a queue holds, waiting at most `seconds` for the first."""
    import queue

    found = []
    try:
        found.append(events.get(timeout=seconds))
        while True:
            found.append(events.get_nowait())
    except queue.Empty:
        return found
