"""What a library forks must not hold a run: the end of a process is its exit, not the end of a pipe that somebody else has."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from pixfind.library.library import Library
from pixfind.testing import wait_for


@pytest.fixture
def left(library: Library) -> Iterator[Callable[[], list[int]]]:
    """Return the children that workers left behind so far; those that live on are ended with the test."""

    def found() -> list[int]:
        logs = library.logs.glob("embed_worker_*.log")
        return [int(pid) for log in logs for pid in re.findall(r"^left (\d+)$", log.read_text(), re.MULTILINE)]

    yield found
    for pid in filter(psutil.pid_exists, found()):
        os.kill(pid, signal.SIGKILL)


def ended(pids: list[int]) -> bool:
    """Wait until all have ended, or their exit waits for a parent that does not ask."""
    alive = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs([one for one in alive if one.status() != psutil.STATUS_ZOMBIE], timeout=600)
    return not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_child_that_a_worker_left_ends_with_it(start: Callable, left: Callable, workers: int) -> None:
    process = start("leave-child", "picture_0001", workers=workers)
    said, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert "40 0" == said.strip()
    assert 10 == len(left())
    assert ended(left())


def test_a_child_that_left_the_group_as_well_does_not_hold_the_run(start: Callable, left: Callable) -> None:
    process = start("leave-daemon", "picture_00013")
    said, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert "40 0" == said.strip()
    assert [True] == [psutil.pid_exists(pid) for pid in left()]


def test_children_of_workers_end_when_the_coordinator_is_killed(start: Callable, left: Callable) -> None:
    process = start("leave-child-and-hang", "picture_00013", seconds=600)
    wait_for(lambda: process.poll() is not None or left())
    assert process.poll() is None
    workers = [child.pid for child in psutil.Process(process.pid).children()]
    process.kill()
    process.communicate(timeout=600)

    assert ended([*workers, *left()])


def test_a_worker_whose_input_somebody_holds_sees_the_end_of_its_coordinator() -> None:
    coordinator = (
        "import os, subprocess, sys\n"
        "os.environ['PIXFIND_COORDINATOR'] = str(os.getpid())\n"
        "worker = subprocess.Popen([sys.executable, '-m', 'pixfind.worker'], process_group=0)\n"
        "print(worker.pid, flush=True)\n"
        "worker.wait()\n"
    )
    # The worker's input is this pipe, which stays open here.
    with subprocess.Popen(
        [sys.executable, "-c", coordinator], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()

        assert ended([worker])
