"""
How many workers a run on a cluster has: as many as there is room for, within what was asked for, while nodes come and go.

Owns that number. Must not know how workers are started (`coordinator` starts and leaves out) or what a cluster is (`runners.ray_cluster`).
"""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Node:
    """What one node of a cluster offers, whether it is in use or not."""

    name: str
    """of its machine"""
    cores: float
    gpus: float
    memory: int
    """bytes"""

    def fitting(self, cpus: float, gpus: float) -> int:
        """Return how many workers fit that take so much each; both amounts may be 0, but not together."""
        return int(min(offered // taken for offered, taken in ((self.cores, cpus), (self.gpus, gpus)) if taken))


@dataclass(frozen=True, slots=True)
class Room:
    """What the nodes of a cluster offer together."""

    nodes: tuple[Node, ...]

    @property
    def cores(self) -> float:
        """Cores of all nodes."""
        return sum(node.cores for node in self.nodes)

    @property
    def largest(self) -> float:
        """Cores of the largest node."""
        return max((node.cores for node in self.nodes), default=0.0)

    @property
    def memory(self) -> int:
        """Bytes of all nodes."""
        return sum(node.memory for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    def fitting(self, cpus: float, gpus: float) -> int:
        """Return how many workers fit that take so much each; none is divided between two nodes."""
        return sum(node.fitting(cpus, gpus) for node in self.nodes)


def taken(threads: int, device: str, room: Room) -> tuple[float, float]:
    """Return (cores, GPUs) that a worker takes of its node: with `--device cuda` each has a GPU of its own."""
    return min(threads, room.largest) or 1.0, float(device == "cuda")


@dataclass(frozen=True, slots=True)
class WorkerRange:
    """How many workers were asked for: from `least` to `most`; the same number twice where it is fixed."""

    least: int
    most: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse "4" and "1-16"; raises ValueError."""
        least, dash, most = text.partition("-")
        found = cls(int(least), int(most if dash else least))
        if not 1 <= found.least <= found.most:
            raise ValueError(text)
        return found

    @property
    def fixed(self) -> bool:
        """Whether it is one number."""
        return self.least == self.most

    def __str__(self) -> str:
        return f"{self.least}" if self.fixed else f"{self.least}-{self.most}"


@dataclass(frozen=True, slots=True)
class Elastic:
    """What decides how many workers a cluster has."""

    least: int
    """so many are started and wait for room, which tells an autoscaler that nodes are wanted"""
    most: float
    """inf: as many as the share allows"""
    share: float
    """of the cluster's cores, 0 to 1; where no most was asked for, it bounds the number too"""
    cpus: float
    """cores that each worker takes of its node"""
    gpus: float
    """GPUs that each worker takes of its node"""

    def wanted(self, room: Room) -> int:
        """Return how many workers there should be where there is so much room."""
        fitting = room.fitting(self.cpus, self.gpus)
        if not self.gpus and math.isinf(self.most):
            fitting = min(fitting, math.floor(self.share * room.cores / self.cpus))
        return int(max(self.least, min(self.most, fitting)))
