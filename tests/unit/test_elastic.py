"""How many workers a cluster has."""

import math

import pytest

from pixfind.embedding.elastic import Elastic, Node, Room, WorkerRange, taken
from pixfind.types import Choice
from pixfind.workflows.options import EmbedOptions, plan_for

GIB = 2**30


def room(*cores: float, gpus: float = 0.0) -> Room:
    """Nodes with so many cores, and `gpus` each."""
    return Room(tuple(Node(f"node {place}", each, gpus, 64 * GIB) for place, each in enumerate(cores)))


@pytest.mark.parametrize(("text", "least", "most"), [("4", 4, 4), ("1-16", 1, 16), ("3-3", 3, 3)])
def test_a_number_of_workers_is_one_or_a_range(text: str, least: int, most: int) -> None:
    assert WorkerRange(least, most) == WorkerRange.parse(text)


@pytest.mark.parametrize("text", ["", "0", "-3", "4-", "5-4", "0-4", "many", "1-2-3", "1.5"])
def test_what_is_no_number_of_workers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        WorkerRange.parse(text)


@pytest.mark.parametrize(
    ("least", "most", "share", "cpus", "nodes", "wanted"),
    [
        (1, math.inf, 0.8, 1.0, (4.0, 4.0), 6),
        (1, math.inf, 1.0, 1.0, (4.0, 4.0), 8),
        (1, 64, 0.8, 1.0, (4.0, 4.0), 8),
        (1, 3, 0.8, 1.0, (4.0, 4.0), 3),
        (16, 64, 0.8, 1.0, (4.0, 4.0), 16),
        (1, 64, 0.8, 3.0, (4.0, 4.0, 2.0), 2),
        (1, math.inf, 0.8, 1.0, (), 1),
    ],
)
def test_there_are_as_many_workers_as_the_nodes_have_room_for_within_what_was_asked_for(
    least: int, most: float, share: float, cpus: float, nodes: tuple[float, ...], wanted: int
) -> None:
    assert wanted == Elastic(least, most, share, cpus, gpus=0.0).wanted(room(*nodes))


def test_workers_with_a_gpu_are_as_many_as_there_are_gpus() -> None:
    cpus, gpus = taken(2, "cuda", room(8.0, 8.0, gpus=1.0))

    assert 2 == Elastic(1, math.inf, 0.8, cpus, gpus).wanted(room(8.0, 8.0, gpus=1.0))


def test_the_plan_for_a_cluster_follows_what_was_asked_for() -> None:
    def workers(nodes: Room, workers: int | None = None, most_workers: int | None = None) -> Choice[int]:
        return plan_for(EmbedOptions(workers=workers, most_workers=most_workers), None, nodes).workers

    assert 8 == workers(room(4.0), workers=8).value
    assert 3 == workers(room(4.0)).value
    assert 4 == workers(room(4.0), workers=1, most_workers=16).value
    assert "of 1 to 16" in workers(room(4.0), workers=1, most_workers=16).reason
    assert 6 == workers(room(4.0), workers=6, most_workers=16).value


def test_on_one_machine_no_workers_come_and_go() -> None:
    assert plan_for(EmbedOptions(), None, None).elastic is None
