"""kill -9 at any instant: nothing durable is lost, nothing is done twice that reached the disk."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.storage import npy_header
from pixfind.testing import wait_for


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


def rows_of_workers(library: Library) -> int:
    """Rows that workers have made durable and nobody has merged."""
    return sum(npy_header.shape(path)[0] for path in library.data.glob("indices_worker_*.npy"))


def times_ready(library: Library) -> int:
    """How often a worker has loaded its model."""
    return sum(log.read_text(encoding="utf-8").count(" ready: ") for log in library.logs.glob("embed_worker_*.log"))


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that holds every picture back while it is there: start("hold", gate)."""
    path = tmp_path / "gate"
    path.touch()
    return path


def wait_for_chance(chance: random.Random, library: Library, process: "subprocess.Popen[str]") -> None:
    """Wait for a state that chance picks, and a chance instant longer; no longer than the process lives."""
    ready, rows = times_ready(library) + 1, rows_of_workers(library) + chance.randint(1, 20)
    states: list[Callable[[], object]] = [
        lambda: True,
        lambda: workers_of(process.pid),
        lambda: times_ready(library) >= ready,
        lambda: rows_of_workers(library) >= rows,
    ]
    reached = chance.choice(states)
    wait_for(lambda: process.poll() is not None or reached())
    time.sleep(chance.uniform(0, 0.2))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_again_and_again_it_ends_complete(library: Library, start: Callable, seed: int) -> None:
    """At states that chance picks, and a chance instant after each: whatever the instant, the promise is the same."""
    chance = random.Random(seed)
    for _ in range(8):
        process = start(workers=2)
        wait_for_chance(chance, library, process)
        whom = chance.choice(("worker", "coordinator", "all"))
        victims = {"worker": workers_of(process.pid)[:1], "coordinator": [process.pid]}
        kill(victims.get(whom, [*workers_of(process.pid), process.pid]))
        _, told = process.communicate(timeout=600)
        if whom != "worker":
            assert [] == verify.verify(library)
        else:
            assert 0 == process.returncode, told
    process = start(workers=2)
    _, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_worker_that_is_killed_is_replaced_within_the_run(library: Library, start: Callable, gate: Path) -> None:
    process = start("hold", gate)
    wait_for(lambda: times_ready(library))
    kill(workers_of(process.pid))
    wait_for(lambda: times_ready(library) == 2)
    gate.unlink()
    said, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert "40 1" == said.strip()
    assert 40 == library.catalogue.ledger()["embedded"]


def test_workers_end_when_their_coordinator_is_killed(library: Library, start: Callable, gate: Path) -> None:
    process = start("hold", gate)
    wait_for(lambda: times_ready(library))
    orphans = workers_of(process.pid)
    assert orphans
    kill([process.pid])
    process.communicate(timeout=600)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in orphans if psutil.pid_exists(pid)], timeout=600)

    assert [] == alive
    process = start()
    process.communicate(timeout=600)
    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_lock_left_by_a_crash_blocks_nobody(library: Library, start: Callable, gate: Path) -> None:
    process = start("hold", gate)
    wait_for(lambda: library.holder() is not None)
    kill([process.pid])
    process.communicate(timeout=600)

    with library.lock("add", patience=50):
        pass
    assert library.holder() is None
