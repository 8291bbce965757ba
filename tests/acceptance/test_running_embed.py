"""An embed that runs, in a real process: stopped by Ctrl-C and otherwise, paused, slowed down, told its hours, and its report."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.acceptance.conftest import Run

from pixfind import errors
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing import make_pictures, wait_for


def test_a_second_embed_is_told_who_is_the_first(run: Run, place: Path, pictures: Path) -> None:
    run("add", pictures, "--model", "starter")
    with Library.open(place, write=True) as library, library.lock("embed"):
        done = run("embed", code=errors.LibraryLocked.exit_code)
        status = json.loads(run("status", "--json").stdout)

    assert f"process {os.getpid()}" in done.stderr
    assert (True, os.getpid()) == (status["running"], status["run"]["pid"])


@contextlib.contextmanager
def _started(place: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "pixfind", "--library", str(place), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = place / "logs" / "embed_worker_0.log"
    try:
        wait_for(lambda: process.poll() is not None or (log.exists() and "ready" in log.read_text(encoding="utf-8")))
        yield process
    finally:
        process.kill()
        process.communicate()


def _children(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The workers of a command that still run."""
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def _until(run: Run, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first status that is as it should be."""
    told: list[dict[str, Any]] = []

    def held() -> bool:
        told.append(json.loads(run("status", "--json").stdout))
        return holds(told[-1])

    wait_for(held, what=lambda: told[-1])
    return told[-1]


@pytest.fixture
def slow(run: Run, tmp_path: Path, place: Path) -> Path:
    """A library with more to do than a test has time for."""
    photos = [path.read_bytes() for path in make_pictures(tmp_path / "photos", 3, size=(900, 700))]
    (tmp_path / "many").mkdir()
    for number in range(300):
        # What follows the end of a JPEG makes another file of the same picture.
        (tmp_path / "many" / f"{number:03}.jpg").write_bytes(photos[number % 3] + b"%d" % number)
    run("add", tmp_path / "many", "--model", "starter")
    return place


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-c twice", "terminate", "stop"])
def test_a_stopped_embed_loses_nothing_and_goes_on(run: Run, slow: Path, how: str) -> None:
    with _started(slow, "embed", "--cpu", "3%") as process:
        if how == "stop":
            assert "stopped" in run("stop").stderr
        else:
            process.send_signal(signal.SIGTERM if how == "terminate" else signal.SIGINT)
            if how == "ctrl-c twice":
                # The first has been heard once the worker ends; two in one instant are one signal to a process.
                wait_for(lambda: not _children(process))
                process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=40)
        assert 130 == process.returncode, told

    assert "Traceback" not in told
    with Library.open(slow) as library:
        before = library.catalogue.ledger()
        assert [] == verify.verify(library)
    run("embed", "--cpu", "100%")
    with Library.open(slow) as library:
        assert [] == verify.verify(library)
        after = library.catalogue.ledger()
        assert 300 == after["embedded"] == library.merged_rows
    assert before["pending"] > 0, "it was over before it could be stopped"


@pytest.mark.timeout(1200)
def test_a_running_embed_can_be_watched_and_slowed_down(run: Run, slow: Path) -> None:
    with _started(slow, "embed", "--cpu", "3%") as process:
        status = _until(run, lambda status: status["images_per_second"] is not None or process.poll() is not None)
        run("limit", "100%")
        process.communicate(timeout=600)
        assert 0 == process.returncode

    assert status["running"]
    assert process.pid == status["run"]["pid"]
    (worker,) = status["workers"]
    assert worker["pid"] != process.pid
    assert status["images_per_second"] > 0
    assert status["eta_seconds"] > 0
    assert status["bottleneck"] in ("disk", "decode", "model", "budget")
    assert "of the time" in status["because"]
    assert status["stages"]["model"] > 0
    assert status["bytes_per_second"] > 0


@pytest.mark.timeout(1200)
def test_a_running_embed_rests_when_asked_and_goes_on(run: Run, slow: Path) -> None:
    with _started(slow, "embed", "--cpu", "3%") as process:
        _until(run, lambda status: bool(status["workers"]) and status["workers"][0]["images"] > 0)
        assert "pixfind resume" in run("pause").stderr
        paused = _until(run, lambda status: status["paused"] is not None)
        run("resume")
        run("limit", "100%")
        _, told = process.communicate(timeout=600)

    assert 0 == process.returncode, told
    assert "paused on request" == paused["paused"]
    assert paused["images"]["embedded"] < 300
    # That not one image is embedded in a pause is proved with a clock that is turned: tests/unit/coordinator.
    log = (slow / "logs" / "embed.log").read_text(encoding="utf-8")
    assert log.index("paused on request") < log.index("resumed") < log.index('"images": 300')


def test_an_embed_waits_for_its_hours(run: Run, slow: Path) -> None:
    hour = time.localtime().tm_hour
    with _started(slow, "embed", "--between", f"{(hour + 3) % 24}-{(hour + 5) % 24}") as process:
        status = _until(run, lambda status: status["paused"] is not None)
        assert "stopped" in run("stop").stderr
        process.communicate(timeout=40)

    assert "works between" in status["paused"]
    assert 130 == process.returncode


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [("--memory", "lots", "4GiB"), ("--memory", "5MiB", "512MiB"), ("--between", "night", "22:00-07:00")],
)
def test_wrong_limits_say_what_is_right(run: Run, option: str, value: str, named: str) -> None:
    assert named in run("embed", option, value, code=2).stderr


@pytest.mark.timeout(1200)
def test_a_run_ends_with_a_report(run: Run, slow: Path) -> None:
    (slow.parent / "many" / "000.jpg").write_bytes(b"no picture at all")
    run("add", slow.parent / "many")
    said = run("-v", "embed", "--cpu", "100%", "--memory", "2GiB", "--nice", "0").stderr

    assert "1 failed" in said
    assert "not an image" in said
    assert "MB read" in said


def test_an_embed_in_the_background_outlives_its_terminal(run: Run, pictures: Path) -> None:
    run("add", pictures, "--model", "starter")
    run("embed", "--background")
    status = _until(run, lambda status: status["merged_rows"] == 40 and not status["running"])

    assert (40, 40) == (status["images"]["embedded"], status["merged_rows"])
