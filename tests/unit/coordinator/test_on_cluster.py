"""The coordinator on a cluster: workers come and go with their nodes, and what a slow one holds is tried a second time."""

import dataclasses
import math
from collections import Counter

import pytest
from tests.unit.coordinator.conftest import SEGV, Make, counts, outcomes, run

from pixfind.embedding.elastic import Elastic, Node, Room
from pixfind.library import merge
from pixfind.testing.scripted import (
    Dies,
    FallsSilent,
    Hangs,
    Scripted,
)
from pixfind.worker.protocol import LOST, Quota


def cluster_of(nodes: int) -> Room:
    """So many nodes of one core each."""
    return Room((Node("node", cores=1.0, gpus=0.0, memory=1 << 32),) * nodes)


def elastic(least: int = 1, most: float = math.inf) -> Elastic:
    """One core for each worker, and all cores may be used."""
    return Elastic(least, most, share=1.0, cpus=1.0, gpus=0.0)


def test_workers_are_added_when_nodes_join_and_a_late_one_gets_work(make: Make) -> None:
    library, workers = make(60), Scripted(seconds=0.5)
    workers.offered = cluster_of(1)
    workers.at(3.0, lambda: setattr(workers, "offered", cluster_of(3)))
    run(library, workers, elastic=elastic())

    assert [0, 1, 2] == workers.started
    assert {0, 1, 2} == {worker for worker, _ in workers.dispatched()}
    assert (60, 0, 0, 0) == counts(library)


@pytest.mark.parametrize(("most", "images_per_worker", "started"), [(2, 1, 2), (math.inf, 30, 2), (math.inf, 1, 9)])
def test_no_more_workers_are_added_than_were_asked_for_or_the_images_need(
    make: Make, most: float, images_per_worker: int, started: int
) -> None:
    workers = Scripted(seconds=0.5, batch=1)
    workers.offered = cluster_of(1)
    workers.at(1.5, lambda: setattr(workers, "offered", cluster_of(9)))
    run(make(40), workers, elastic=elastic(most=most), images_per_worker=images_per_worker)

    assert list(range(started)) == workers.started


def test_a_worker_that_leaves_with_its_node_waits_for_room_only_where_so_many_were_asked_for(make: Make) -> None:
    def after_a_loss(least: int) -> list[int]:
        workers = Scripted({"10.jpg": [Dies(LOST)]}, seconds=0.5)
        workers.offered = cluster_of(2)
        workers.at(0.5, lambda: setattr(workers, "offered", cluster_of(1)))
        library = make(30)
        run(library, workers, count=2, elastic=elastic(least=least))
        assert (30, 0, 0, 0) == counts(library)
        return workers.started

    assert [0, 1] == after_a_loss(least=1)
    assert 3 == len(after_a_loss(least=2))


def test_a_place_that_became_free_is_taken_again_when_a_node_joins(make: Make) -> None:
    library, workers = make(60), Scripted({"10.jpg": [Dies(LOST)]}, seconds=0.5)
    workers.offered = cluster_of(2)
    workers.at(0.5, lambda: setattr(workers, "offered", cluster_of(1)))
    workers.at(10.0, lambda: setattr(workers, "offered", cluster_of(2)))
    run(library, workers, count=2, elastic=elastic())

    assert 3 == len(workers.started)
    assert {0, 1} == set(workers.started), "no number is new: worker files are reused"
    assert (60, 0, 0, 0) == counts(library)


def test_the_budget_grows_with_the_cluster(make: Make) -> None:
    workers = Scripted(seconds=0.5)
    workers.offered = cluster_of(1)
    workers.at(5.0, lambda: setattr(workers, "offered", cluster_of(4)))
    half = dataclasses.replace(elastic(most=1), share=0.5)
    run(make(40), workers, elastic=half)
    told = [message.cpu_quota for _, message in workers.sent if isinstance(message, Quota)]

    assert max(told[1:3]) <= 0.5
    assert 1.5 < told[-1] <= 2.0


def test_what_a_slow_node_holds_at_the_end_is_assigned_a_second_time_and_the_first_row_counts(make: Make) -> None:
    library, workers = make(40), Scripted({"03.jpg": [FallsSilent(1000.0)]})
    workers.nodes = {0: "fast", 1: "slow"}
    report = run(library, workers, count=2)
    assigned = Counter(image for _, images in workers.dispatched() for image in images)

    assert {1, 2} == set(assigned.values()), "some were assigned a second time"
    assert (40, 0, 0, 0) == counts(library)
    # What the slow one had made durable and could not report is in its worker file, and became nothing.
    rows = sum(library.catalogue.rows_scanned(worker) for worker in (0, 1))
    assert rows > 40
    assert 40 == merge.merge(library).rows == report.outcomes["embedded"]
    assert workers.clock.passed < 60, "the run does not wait for the slow one"


def test_on_one_node_nothing_is_assigned_a_second_time(make: Make) -> None:
    library, workers = make(40), Scripted({"03.jpg": [FallsSilent(50.0)]})
    workers.nodes = {0: "one", 1: "one"}
    run(library, workers, count=2)

    assert {1} == set(Counter(image for _, images in workers.dispatched() for image in images).values())
    assert (40, 0, 0, 0) == counts(library)


def test_an_image_that_crashes_both_workers_that_hold_it_fails_alone(make: Make) -> None:
    library, workers = make(40), Scripted({"03.jpg": [FallsSilent(15.0), Dies(SEGV), Dies(SEGV)], "37.jpg": Dies(SEGV)})
    workers.nodes = {0: "fast", 1: "slow"}
    run(library, workers, count=2)

    assert (39, 0, 1, 0) == counts(library)
    assert "failed" == outcomes(library)["37.jpg"][0]


def test_a_worker_that_does_not_end_when_nothing_is_left_is_ended(make: Make) -> None:
    library, workers = make(8), Scripted(starts=[None, Hangs()])
    report = run(library, workers, count=2)

    assert ([1], 0, False) == (sorted(set(workers.killed)), report.deaths, report.stopped)
    assert (8, 0, 0, 0) == counts(library)
