"""Runners: what a process writes becomes messages, whatever else it writes, and its end comes last."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixfind import errors, machine
from pixfind.embedding.runners import Ended
from pixfind.embedding.runners.local import Local
from pixfind.testing import wait_for
from pixfind.testing.scripted import scripted_config
from pixfind.worker import protocol
from pixfind.worker.protocol import FromWorker, Quota, WorkerConfig


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return scripted_config(tmp_path, tmp_path, dimension=8)


def events(config: WorkerConfig, program: str) -> list[FromWorker | Ended]:
    """What arrives from a worker that is this program."""
    runner = Local((sys.executable, "-c", program))
    found: list[tuple[int, FromWorker | Ended]] = []
    try:
        runner.start(config)
        wait_for(lambda: found.extend(runner.receive(1.0)) or (found and isinstance(found[-1][1], Ended)))
    finally:
        runner.close()
    return [event for _, event in found]


def test_messages_arrive_in_their_order_and_the_end_comes_last(config: WorkerConfig) -> None:
    program = """
print('{"ready": {"device": "cpu", "precision": "fp32", "batch": 4}}')
print('{"embedded": {"image_ids": [1, 2]}}')
raise SystemExit(7)
"""
    ready, embedded, ended = events(config, program)

    assert (protocol.Ready("cpu", "fp32", 4), protocol.Embedded((1, 2))) == (ready, embedded)
    assert isinstance(ended, Ended)
    assert (7, "it ended with exit code 7") == (ended.code, ended.detail)


def test_noise_and_a_line_that_was_cut_are_passed_over(config: WorkerConfig) -> None:
    program = """
import sys
print('a library says hello')
print('{"embedded": {"image_ids": [1]}}')
sys.stdout.write('{"embedded": {"image_ids": [2')
"""
    assert [protocol.Embedded((1,)), Ended(0, "it ended with exit code 0")] == events(config, program)


def test_a_message_that_is_not_known_is_an_error_with_the_message_in_it(config: WorkerConfig) -> None:
    fatal, ended = events(config, 'print(\'{"dance": {"how": "tango"}}\')')

    assert isinstance(fatal, protocol.Fatal)
    assert isinstance(fatal.rebuilt(), errors.UnknownMessage)
    assert "tango" in str(fatal.rebuilt())
    assert isinstance(ended, Ended)


def test_the_usage_of_a_worker_is_that_of_its_process_while_it_runs(config: WorkerConfig) -> None:
    runner = Local((sys.executable, "-c", "import sys; list(range(10**6)); sys.stdin.readlines()"))
    try:
        runner.start(config)
        usage = wait_for(lambda: (found := runner.usage()[0]).processor_seconds > 0 and found)
        assert machine.host() == usage.host  # type: ignore[union-attr]
        assert os.getpid() != usage.pid  # type: ignore[union-attr]
        runner.kill(0)
        wait_for(lambda: not runner.usage())
    finally:
        runner.close()


@pytest.mark.parametrize("line", ['{"dance": {}}', '{"config": {"worker": 0}}', "hello"])
def test_a_worker_that_does_not_understand_its_configuration_says_so_and_ends(line: str) -> None:
    worker = subprocess.run(
        [sys.executable, "-m", "pixfind.worker"], input=line + "\n", capture_output=True, text=True, check=False
    )

    assert errors.UnknownMessage.exit_code == worker.returncode
    assert isinstance(protocol.decode_from_worker(worker.stdout), protocol.Fatal)


def test_a_worker_that_does_not_understand_a_message_says_so_and_ends(config: WorkerConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(config, model="starter", precision="fp32")
    with subprocess.Popen(
        [sys.executable, "-m", "pixfind.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{protocol.encode(config)}\n{protocol.encode(Quota(1.0))}\n" + '{"dance": {}}\n')
        worker.stdin.flush()
        messages = [protocol.decode_from_worker(line) for line in worker.stdout]

    assert errors.UnknownMessage.exit_code == worker.returncode
    assert "dance" in str([message for message in messages if isinstance(message, protocol.Fatal)])
    assert "dance" in (tmp_path / "embed_worker_0.log").read_text(encoding="utf-8")
