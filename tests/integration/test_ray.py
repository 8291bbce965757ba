"""
Embedding on a Ray cluster: real nodes on this machine, which come, go and are killed.

What was promised for one machine holds: every picture has exactly one embedding, that of a serial run to the bit, and the death of a node speaks
against no picture.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pixfind import errors
from pixfind.embedding import progress
from pixfind.embedding.progress import RunReport
from pixfind.embedding.runners import ray_cluster
from pixfind.embedding.runners.local import WORKER
from pixfind.embedding.runners.ray import RayRunner
from pixfind.embedding.runners.serial import Serial
from pixfind.library import control, scan, verify
from pixfind.library.library import Library
from pixfind.storage import worker_files
from pixfind.testing import make_broken, make_image, make_library, make_pictures, waiting
from pixfind.testing.clusters import Nodes
from pixfind.testing.libraries import QUIET
from pixfind.testing.workers import command
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra"),
    pytest.mark.filterwarnings("default"),  # Ray's own, in Ray's threads
]

PICTURES = 120

wait_for = functools.partial(waiting.wait_for, limit=240.0)
"""A node of Ray is six processes: on a busy machine one takes a minute to start."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """One node with room, for tests that leave it as it is."""
    nodes = Nodes()
    nodes.add()
    yield nodes
    nodes.shut_down()


@pytest.fixture
def own_cluster() -> Iterator[Nodes]:
    """A head, for tests that add and kill."""
    nodes = Nodes()
    yield nodes
    with contextlib.suppress(Exception):
        nodes.shut_down()


@pytest.fixture
def pending(tmp_path: Path) -> Iterator[Library]:
    make_pictures(tmp_path / "pictures", PICTURES)
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as library:
        yield library


class Gate:
    """Workers with its `command` take up no picture until it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    @property
    def command(self) -> tuple[str, ...]:
        return command("hold", str(self._path))

    def open(self) -> None:
        self._path.unlink(missing_ok=True)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A closed gate, which at the latest the end of the test opens."""
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


def embed_on(
    nodes: Nodes, library: Library, workers: int = 1, most: int | None = None, worker: tuple[str, ...] = WORKER
) -> RunReport:
    options = dataclasses.replace(QUIET, workers=workers, most_workers=most)
    with contextlib.closing(RayRunner(ray_cluster.Cluster(nodes.address), command=worker)) as runner:
        return embed(library, options, runner=runner)


def while_embedding(library: Library, run: Callable[[Library], object], act: Callable[[], object]) -> None:
    """
    Run `run` in another thread, with the library opened there, and `act` in this one: Ray starts nodes in no other.

    Where `act` fails, the run is told to stop, and how it ended is noted on the failure.
    """
    problems: list[BaseException] = []

    def running() -> None:
        try:
            with Library.open(library.path, write=True) as opened:
                run(opened)
        except BaseException as problem:  # noqa: BLE001 - told below
            problems.append(problem)

    thread = threading.Thread(target=running, daemon=True)
    thread.start()
    try:
        act()
    except BaseException as failure:
        control.request(library.path, control.ControlRequest(stop=True))
        thread.join(60.0)
        state = "has not ended" if thread.is_alive() else "has ended"
        failure.add_note(f"The run {state}, with these problems: {problems}")
        raise
    thread.join()
    assert [] == problems


def by_name(library: Library) -> dict[str, bytes]:
    """File name -> its embedding, to the bit."""
    rows = np.asarray(library.embeddings())
    found = library.catalogue._connection.execute("SELECT path, embedding_index FROM images WHERE outcome = 'embedded'")
    return {Path(path).name: rows[row].tobytes() for path, row in found}


def assert_whole(library: Library, *, failed: int = 0) -> None:
    """Each picture has exactly one embedding, the one of a serial run."""
    merge(library)
    assert [] == verify.verify(library)
    counts = library.catalogue.ledger()
    assert (PICTURES, failed, 0) == (counts["embedded"], counts["failed"], counts["pending"])
    assert PICTURES == library.merged_rows
    with make_library(library.path.parent / "serial", library.path.parent / "pictures") as serial:
        assert by_name(serial) == by_name(library)


def workers_of() -> set[int]:
    """Ids of the worker processes below actors."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_worker = {"pixfind.worker", "pixfind.testing.workers"} & set(process.cmdline())
            if is_worker and "ray::" in (process.parent() or process).cmdline()[0]:
                found.add(process.pid)
    return found


def log_of(library: Library, worker: int) -> str:
    log = library.logs / f"embed_worker_{worker}.log"
    return log.read_text(encoding="utf-8") if log.exists() else ""


def ledger(library: Library) -> dict[str, int]:
    with Library.open(library.path) as opened:
        return dict(opened.catalogue.ledger())


def seen(library: Library) -> dict[str, Any]:
    """What `status` shows of the run."""
    return progress.read(library.path) or {"workers": [], "done": 0, "pause": None}


def actor_of(worker: int) -> psutil.Process:
    parent = psutil.Process(worker).parent()
    assert parent is not None
    return parent


def with_version(place: Path, version: str) -> Path:
    """Return a folder that makes a process take pixfind for another version."""
    other = place / "other" / f"pixfind-{version}.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pixfind\nVersion: {version}\n")
    return other.parent


def test_a_run_on_a_node_gives_what_a_serial_run_gives(cluster: Nodes, pending: Library) -> None:
    make_broken(pending.path.parent / "pictures" / "broken.jpg", "truncated")
    scan.add(pending, pending.path.parent / "pictures")

    report = embed_on(cluster, pending)

    assert {"embedded": PICTURES, "failed": 1} == report.outcomes
    log = (pending.logs / "embed_worker_0.log").read_text(encoding="utf-8")
    assert "ready: starter" in log
    assert_whole(pending, failed=1)


def test_a_worker_for_which_there_is_never_room_does_not_keep_the_run_from_its_end(
    cluster: Nodes, pending: Library
) -> None:
    embed_on(cluster, pending, workers=3)

    assert_whole(pending)


def test_a_picture_that_crashes_its_decoder_fails_alone(cluster: Nodes, pending: Library) -> None:
    make_image(pending.path.parent / "pictures" / "poison.jpg", seed=10_000)
    scan.add(pending, pending.path.parent / "pictures")

    report = embed_on(cluster, pending, worker=command("crash", "poison"))

    assert {"embedded": PICTURES, "failed": 1} == report.outcomes
    (pending.path.parent / "pictures" / "poison.jpg").unlink()
    assert_whole(pending, failed=1)


def test_pictures_that_a_node_cannot_see_are_sent_to_it(cluster: Nodes, pending: Library) -> None:
    pictures = pending.path.parent / "pictures"
    make_broken(pictures / "broken.jpg", "truncated")
    shutil.copy(pictures / "picture_00003.jpg", pictures / "copy.jpg")
    scan.add(pending, pictures)

    report = embed_on(cluster, pending, worker=command("blind", "/pictures/"))

    assert {"embedded": PICTURES, "duplicate": 1, "failed": 1} == report.outcomes
    assert ["truncated"] == [reason.split(":")[0] for reason in report.failures]
    (pictures / "copy.jpg").unlink()
    assert_whole(pending, failed=1)


@pytest.mark.parametrize("victim", ["worker", "actor"])
def test_a_process_that_is_killed_loses_nothing(cluster: Nodes, pending: Library, gate: Gate, victim: str) -> None:
    before = workers_of()

    def kill() -> None:
        (worker,) = wait_for(lambda: workers_of() - before)
        process = psutil.Process(worker) if victim == "worker" else actor_of(worker)
        process.kill()
        wait_for(lambda: not psutil.pid_exists(worker))
        gate.open()

    while_embedding(pending, lambda library: embed_on(cluster, library, worker=gate.command), kill)

    assert_whole(pending)


def test_the_death_of_a_node_blames_no_picture_and_a_late_node_gets_its_work(
    own_cluster: Nodes, pending: Library, gate: Gate
) -> None:
    node = own_cluster.add()
    before = workers_of()

    def replace_node() -> None:
        wait_for(lambda: workers_of() - before)
        own_cluster.kill(node)
        wait_for(lambda: not workers_of() - before)
        gate.open()
        own_cluster.add()

    while_embedding(pending, lambda library: embed_on(own_cluster, library, worker=gate.command), replace_node)

    assert_whole(pending)


def test_a_node_that_joins_gets_a_worker_more(own_cluster: Nodes, pending: Library, gate: Gate) -> None:
    own_cluster.add()
    before = workers_of()

    def join() -> None:
        wait_for(lambda: len(workers_of() - before) == 1)
        own_cluster.add()
        wait_for(lambda: len({worker["node"] for worker in seen(pending)["workers"] if worker["device"]}) == 2)
        gate.open()

    while_embedding(pending, lambda library: embed_on(own_cluster, library, most=4, worker=gate.command), join)

    assert [0, 1] == worker_files.workers(pending.data)
    assert_whole(pending)


def test_a_node_that_is_told_to_end_is_left_cleanly(own_cluster: Nodes, pending: Library, gate: Gate) -> None:
    node = own_cluster.add()
    before = workers_of()
    reports: list[RunReport] = []

    def drain() -> None:
        (first,) = wait_for(lambda: workers_of() - before)
        own_cluster.add()
        own_cluster.drain(node)
        wait_for(lambda: workers_of() - before - {first} and not psutil.pid_exists(first))
        gate.open()

    while_embedding(pending, lambda library: reports.append(embed_on(own_cluster, library, worker=gate.command)), drain)

    assert 0 == reports[0].deaths
    assert "its node is about to end" in (pending.logs / "embed.log").read_text(encoding="utf-8")
    assert_whole(pending)


def test_what_a_node_holds_that_has_become_slow_is_embedded_elsewhere_and_counts_once(
    own_cluster: Nodes, pending: Library, gate: Gate
) -> None:
    for _ in range(2):
        own_cluster.add()
    before = workers_of()

    def slow_down() -> None:
        one, _ = wait_for(lambda: found if len(found := workers_of() - before) == 2 else set())
        wait_for(lambda: "ready" in log_of(pending, 0) and "ready" in log_of(pending, 1))
        os.kill(one, signal.SIGSTOP)
        try:
            gate.open()
            wait_for(lambda: 0 == ledger(pending)["pending"])
        finally:
            os.kill(one, signal.SIGCONT)

    while_embedding(pending, lambda library: embed_on(own_cluster, library, workers=2, worker=gate.command), slow_down)

    assert_whole(pending)


def test_a_run_whose_head_is_lost_ends_with_an_error_and_the_next_run_continues(
    own_cluster: Nodes, pending: Library, gate: Gate
) -> None:
    own_cluster.add()
    before = workers_of()

    def lose_head() -> None:
        wait_for(lambda: workers_of() - before)
        own_cluster.kill_head()

    def run(library: Library) -> None:
        with pytest.raises(errors.ClusterUnreachable, match="its head does not answer"):
            embed_on(own_cluster, library, worker=gate.command)

    while_embedding(pending, run, lose_head)
    wait_for(lambda: not workers_of() - before)
    embed(pending, QUIET, runner=Serial())

    assert_whole(pending)


def test_a_coordinator_that_is_killed_takes_its_workers_with_it(cluster: Nodes, pending: Library) -> None:
    before = workers_of()
    words = ["--library", str(pending.path), "embed", "1", "--on", cluster.address]
    with subprocess.Popen([sys.executable, "-m", "pixfind", *words], start_new_session=True) as coordinator:
        wait_for(lambda: workers_of() - before)
        os.killpg(coordinator.pid, signal.SIGKILL)
    wait_for(lambda: not workers_of() - before)
    embed_on(cluster, pending)

    assert_whole(pending)


def test_a_node_with_another_version_is_refused_with_both_before_anything_runs(
    own_cluster: Nodes, pending: Library, tmp_path: Path
) -> None:
    own_cluster.add(env_vars={"PYTHONPATH": str(with_version(tmp_path, "9.9.9"))})

    with pytest.raises(errors.ClusterVersionMismatch, match=r"pixfind 9\.9\.9") as refused:
        embed_on(own_cluster, pending)

    assert "pixfind 0." in str(refused.value)
    assert PICTURES == pending.catalogue.count_pending()


def test_a_node_that_joins_with_another_version_ends_the_run_with_both(
    own_cluster: Nodes, pending: Library, tmp_path: Path, gate: Gate
) -> None:
    own_cluster.add()
    before = workers_of()

    def join() -> None:
        wait_for(lambda: workers_of() - before)
        own_cluster.add(env_vars={"PYTHONPATH": str(with_version(tmp_path, "9.9.9"))})

    def run(library: Library) -> None:
        with pytest.raises(errors.ClusterVersionMismatch, match=r"pixfind 9\.9\.9"):
            embed_on(own_cluster, library, most=2, worker=gate.command)

    while_embedding(pending, run, join)

    assert PICTURES == pending.catalogue.count_pending()


def test_a_run_on_a_cluster_is_paused_resumed_and_stopped(cluster: Nodes, pending: Library, tmp_path: Path) -> None:
    reports: list[RunReport] = []

    def ask() -> None:
        wait_for(lambda: seen(pending)["done"])
        control.request(pending.path, control.ControlRequest(pause=True))
        wait_for(lambda: seen(pending)["pause"])
        control.request(pending.path, control.ControlRequest(pause=False, cpu=0.9))
        wait_for(lambda: not seen(pending)["pause"])
        control.request(pending.path, control.ControlRequest(stop=True))

    slow = command("slow", f"0.2,{tmp_path / 'log'}")
    while_embedding(pending, lambda library: reports.append(embed_on(cluster, library, worker=slow)), ask)

    assert reports[0].stopped
    assert 0 < pending.catalogue.count_pending() < PICTURES
    with pending.lock("embed"):
        embed(pending, QUIET, runner=Serial())
    assert_whole(pending)


def test_a_cluster_that_does_not_answer_is_named(pending: Library) -> None:
    with pytest.raises(errors.ClusterUnreachable, match=r"127\.0\.0\.1:1"):
        ray_cluster.Cluster("127.0.0.1:1")

    assert PICTURES == pending.catalogue.count_pending()
