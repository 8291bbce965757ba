"""kill -9 at any instant: nothing durable is lost, nothing is done twice that reached the disk."""

import os
import random
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing.waiting import wait_for


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def workers_of(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_again_and_again_it_ends_complete(library: Library, start: Callable, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        process = start(workers=2)
        time.sleep(chance.uniform(0.2, 1.6))
        whom = chance.choice(("worker", "coordinator", "all"))
        victims = {"worker": workers_of(process.pid)[:1], "coordinator": [process.pid]}
        kill(victims.get(whom, [*workers_of(process.pid), process.pid]))
        if whom != "worker":
            process.communicate(timeout=60)
            assert [] == verify.verify(library)
        else:
            _, told = process.communicate(timeout=60)
            assert 0 == process.returncode, told
    process = start(workers=2)
    _, told = process.communicate(timeout=60)

    assert 0 == process.returncode, told
    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_worker_that_is_killed_is_replaced_within_the_run(library: Library, start: Callable) -> None:
    process = start("hang", "picture_00020", seconds=4.0)
    while not (library.data / "indices_worker_0.npy").exists():
        time.sleep(0.05)
    time.sleep(1.0)
    kill(workers_of(process.pid))
    said, told = process.communicate(timeout=60)

    assert 0 == process.returncode, told
    assert "40 1" == said.strip()
    assert (39, 1) == (library.catalogue.ledger()["embedded"], library.catalogue.ledger()["failed"])


def test_workers_end_when_their_coordinator_is_killed(library: Library, start: Callable) -> None:
    process = start("hang", "picture_00020")
    while not workers_of(process.pid):
        time.sleep(0.05)
    time.sleep(1.0)
    orphans = workers_of(process.pid)
    assert orphans
    kill([process.pid])
    process.communicate(timeout=20)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in orphans if psutil.pid_exists(pid)], timeout=10)

    assert [] == alive
    process = start()
    process.communicate(timeout=60)
    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_lock_left_by_a_crash_blocks_nobody(library: Library, start: Callable) -> None:
    process = start("hang", "picture_00020")
    wait_for(lambda: library.holder() is not None)
    kill([process.pid])
    process.communicate(timeout=20)

    with library.lock("add"):
        pass
    assert library.holder() is None
