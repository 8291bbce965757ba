"""What an actor does, without Ray: each message arrives once and in order, whatever calls are repeated; and rows become durable as they were sent."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.runners import Ended, ray_cluster
from pixfind.embedding.runners.ray_node import NodeWorker
from pixfind.models import hub
from pixfind.storage import embedding_files, worker_files
from pixfind.testing import wait_for
from pixfind.testing.scripted import scripted_config
from pixfind.types import EmbeddedImage, Fingerprint, ImageMetadata
from pixfind.worker import protocol
from pixfind.worker.protocol import Embedded, FromWorker, Quota, Rows, WorkerConfig
from pixfind.worker.sink import FileSink, MessageSink

#: Reports each message that it gets as images that went through the model: the first, the second, ...
COUNTS = """
import sys
sys.stdin.readline()
for number, _ in enumerate(sys.stdin, 1):
    print('{"embedded": {"image_ids": [%d]}}' % number, flush=True)
"""


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return scripted_config(tmp_path, tmp_path, dimension=8)


def node_worker(config: WorkerConfig, program: str) -> NodeWorker:
    return NodeWorker(config, "node", (sys.executable, "-c", program))


def reported(worker: NodeWorker, count: int) -> list[FromWorker | Ended]:
    """The first `count` events, of which none is acknowledged."""
    found = wait_for(lambda: len(events := worker.report(0).events) >= count and events)
    assert found
    return [event for _, event in found]


def test_a_message_that_is_delivered_twice_reaches_the_worker_once(config: WorkerConfig) -> None:
    worker = node_worker(config, COUNTS)
    messages = tuple((number, Quota(1.0)) for number in (1, 2, 3))
    worker.deliver(messages[:2])
    worker.deliver(messages)

    assert [Embedded((1,)), Embedded((2,)), Embedded((3,))] == reported(worker, 3)
    assert 3 == worker.report(0).received
    worker.clear()


def test_a_message_that_comes_before_its_predecessor_waits_until_it_is_repeated(config: WorkerConfig) -> None:
    worker = node_worker(config, COUNTS)
    worker.deliver(((2, Quota(1.0)),))

    assert 0 == worker.report(0).received
    worker.deliver(((1, Quota(1.0)), (2, Quota(1.0))))
    assert 2 == len(reported(worker, 2))
    worker.clear()


def test_what_was_not_acknowledged_is_reported_again(config: WorkerConfig) -> None:
    worker = node_worker(config, COUNTS)
    worker.deliver(((1, Quota(1.0)), (2, Quota(1.0))))
    reported(worker, 2)

    assert ((2, Embedded((2,))),) == worker.report(1).events
    assert ((2, Embedded((2,))),) == worker.report(1).events
    assert () == worker.report(2).events
    worker.clear()


@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(75)", 75), ("import os; os.kill(os.getpid(), 11)", -11)]
)
def test_the_exit_code_of_the_worker_is_told(config: WorkerConfig, program: str, code: int) -> None:
    worker = node_worker(config, program)

    (ended,) = reported(worker, 1)
    assert isinstance(ended, Ended)
    assert code == ended.code
    worker.clear()


def test_an_actor_that_nobody_calls_ends_and_its_worker_with_it(tmp_path: Path, config: WorkerConfig) -> None:
    ready = tmp_path / "ready"
    program = f"import pathlib, os, sys; pathlib.Path({str(ready)!r}).write_text(str(os.getpid())); sys.stdin.read()"
    code = (
        "import sys, time\n"
        "from pixfind.embedding.runners.ray_node import NodeWorker\n"
        "from pixfind.worker import protocol\n"
        f"NodeWorker(protocol.decode_config(sys.argv[1]), 'node', (sys.executable, '-c', {program!r}), alone=5.0)\n"
        "time.sleep(1000)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, protocol.encode(config)], check=False, timeout=120)

    assert 1 == ended.returncode
    assert ready.exists()


def test_an_actor_deletes_what_killed_ones_have_left_behind(
    tmp_path: Path, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    living = node_worker(config, COUNTS)
    (of_living,) = place.iterdir()
    (place / "pixfind-worker-killed").mkdir()
    (place / "pixfind-worker-killed" / "embed_worker_0.log").touch()
    (place / "another-program").mkdir()

    other = node_worker(config, COUNTS)

    assert of_living.is_dir()
    assert not (place / "pixfind-worker-killed").exists()
    living.clear()
    other.clear()
    assert ["another-program"] == [folder.name for folder in place.iterdir()]


def test_rows_that_were_sent_are_stored_as_those_of_a_worker_here(tmp_path: Path, config: WorkerConfig) -> None:
    rows = [
        EmbeddedImage(number, Fingerprint(10, 20, bytes([number]) * 16), ImageMetadata(width=4, height=3, camera="X"))
        for number in range(5)
    ]
    embeddings = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float16)
    sent: list[FromWorker] = []
    MessageSink(sent.append).append(rows, embeddings)
    (message,) = [protocol.decode_from_worker(protocol.encode(one)) for one in sent]
    assert isinstance(message, Rows)

    with FileSink(tmp_path, 0, config.dimension) as here:
        here.append(rows, embeddings)
    with FileSink(tmp_path, 1, config.dimension) as elsewhere:
        elsewhere.append_sent(message)

    for local, remote in zip(worker_files.paths(tmp_path, 0), worker_files.paths(tmp_path, 1), strict=True):
        assert local.read_bytes() == remote.read_bytes()
    with embedding_files.Pair(*worker_files.paths(tmp_path, 1), config.dimension) as pair:
        assert 5 == embedding_files.first_bad_row(*pair.read(0, 5))


def test_a_worker_that_sends_its_rows_writes_no_worker_files(tmp_path: Path, config: WorkerConfig) -> None:
    config = dataclasses.replace(
        config, model="starter", model_hash=hub.resolve("starter").hash, precision="fp32", dimension=128
    )
    worker = NodeWorker(config, "node")
    (ready,) = reported(worker, 1)

    assert isinstance(ready, protocol.Ready)
    assert [] == worker_files.workers(tmp_path)
    worker.clear()


def test_a_node_that_differs_is_refused_with_both_versions() -> None:
    ours = {"Python": "3.11", "pixfind": "0.1.0"}
    ray_cluster.refuse_others("desktop", dict(ours), ours)

    with pytest.raises(errors.ClusterVersionMismatch) as refused:
        ray_cluster.refuse_others("desktop", {"Python": "3.12", "pixfind": "0.1.0"}, ours)

    assert "Node desktop of the cluster has Python 3.12, and this machine Python 3.11" in str(refused.value)
