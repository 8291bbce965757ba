"""What a run reports while it is running, and at its end: counted on a clock that the test turns."""

import dataclasses
import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.embedding import progress
from pixfind.embedding.bottleneck import STAGES, bottleneck
from pixfind.embedding.progress import RateWindow, Snapshot, Tracker, WorkerCounters
from pixfind.library import scan
from pixfind.library.library import Library, ModelIdentity
from pixfind.testing import Clock
from pixfind.types import Outcome, Reason, Settled

NOTHING = dict.fromkeys(STAGES, 0.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A hundred images are pending."""
    (tmp_path / "pictures").mkdir()
    for number in range(100):
        (tmp_path / "pictures" / f"{number:03}.jpg").write_bytes(b"x" * (number + 1))
    with Library.create(tmp_path / "library") as made:
        made.remember_model(ModelIdentity("any", "0" * 64, 8, "fp16"))
        scan.add(made, tmp_path / "pictures")
        yield made


@pytest.fixture
def tracker(library: Library, clock: Clock) -> Tracker:
    return Tracker(library, library.catalogue.count_pending(), clock)


def worker(images: int = 0, **stages: float) -> WorkerCounters:
    return WorkerCounters(images=images, stages={**NOTHING, **stages})


# --- rates ----------------------------------------------------------------------------------------


def test_a_rate_is_unknown_until_three_seconds_have_passed(clock: Clock) -> None:
    window = RateWindow(clock)
    clock.sleep(2.9)
    assert window.rate(29) is None
    clock.sleep(0.1)

    assert pytest.approx(10.0) == window.rate(30)


def test_a_rate_is_that_of_the_last_minute(clock: Clock) -> None:
    """A hundred a second for an hour, and then ten."""
    window = RateWindow(clock)
    count = 0.0
    for _ in range(3600):
        clock.sleep(1.0)
        count += 100
        window.rate(count)
    for _ in range(61):
        clock.sleep(1.0)
        count += 10
        last = window.rate(count)

    assert pytest.approx(10.0, rel=0.2) == last


def test_a_long_silence_is_part_of_the_rate(clock: Clock) -> None:
    """Two points make a line, however old the first is."""
    window = RateWindow(clock)
    clock.sleep(1000.0)

    assert pytest.approx(0.5) == window.rate(500)


# --- while it is running -------------------------------------------------------------------------------


def test_before_a_worker_is_ready_nothing_is_known(tracker: Tracker, clock: Clock) -> None:
    clock.sleep(60.0)
    found = tracker.snapshot({}, {0: worker()})

    assert (100, 0, None, None, None) == (
        found.total,
        found.done,
        found.images_per_second,
        found.eta_seconds,
        found.bottleneck,
    )
    assert "measuring" == found.line()


def test_the_rate_counts_from_when_the_first_worker_was_ready(tracker: Tracker, clock: Clock) -> None:
    clock.sleep(50.0)
    tracker.worker_ready("cpu", "fp32")
    tracker.snapshot({}, {0: worker()})
    clock.sleep(5.0)
    tracker.worker_ready("cpu", "fp32")
    tracker.record({Outcome.EMBEDDED: 18, Outcome.DUPLICATE: 2})
    found = tracker.snapshot({}, {0: worker(18)})

    assert pytest.approx(4.0) == found.images_per_second
    assert pytest.approx(20.0) == found.eta_seconds, "eighty are left"
    assert found.line().startswith("4.0 images/s, ")


def test_images_that_fail_are_done_too(tracker: Tracker, clock: Clock) -> None:
    tracker.worker_ready("cpu", "fp32")
    clock.sleep(10.0)
    tracker.record({Outcome.EMBEDDED: 10})
    tracker.record_settled([Settled(1, Outcome.FAILED, "truncated"), Settled(2, Outcome.SKIPPED, "too large")])

    found = tracker.snapshot({}, {})
    assert 12 == found.done
    assert pytest.approx(1.2) == found.images_per_second


def test_more_than_were_pending_leave_no_time_below_zero(tracker: Tracker, clock: Clock) -> None:
    """Images that changed meanwhile are embedded again."""
    tracker.worker_ready("cpu", "fp32")
    clock.sleep(10.0)
    tracker.record({Outcome.EMBEDDED: 120})

    assert 0 == tracker.snapshot({}, {}).eta_seconds


def test_a_pause_is_told_instead_of_what_holds_the_run_back(tracker: Tracker, clock: Clock) -> None:
    tracker.worker_ready("cpu", "fp32")
    tracker.snapshot({}, {0: worker()})
    clock.sleep(10.0)
    found = tracker.snapshot({}, {0: worker(model=9.0)}, pause=Reason("PausedOnRequest", "paused: as asked for"))

    assert (None, None, "paused: as asked for") == (found.bottleneck, found.because, found.line())


def test_each_worker_has_its_own_figures_and_the_run_has_their_sum(tracker: Tracker, clock: Clock) -> None:
    tracker.worker_ready("cpu", "fp32")
    workers = {0: worker(), 1: worker()}
    tracker.snapshot({}, workers)
    clock.sleep(10.0)
    workers = {0: worker(40, model=9.0, wait=1.0), 1: worker(10, model=2.0, wait=8.0, decode=8.0, read=1.0)}
    workers[0].bytes_read, workers[1].bytes_read = 1000, 500
    found = tracker.snapshot({}, workers)

    assert [pytest.approx(4.0), pytest.approx(1.0)] == [one.images_per_second for one in found.workers]
    assert ["model", "decode"] == [one.bottleneck for one in found.workers]
    assert pytest.approx(150.0) == found.bytes_per_second
    assert pytest.approx(1.1) == found.stages["model"]


@pytest.mark.parametrize(
    ("stages", "right"),
    [
        ({}, None),
        ({"model": 0.8, "wait": 0.1}, "model"),
        ({"model": 0.2, "wait": 0.7, "read": 0.1, "decode": 1.5}, "decode"),
        ({"model": 0.2, "wait": 0.7, "read": 1.5, "decode": 0.1}, "disk"),
        ({"model": 0.2, "wait": 0.1, "pace": 0.7}, "budget"),
        ({"read": 2.0, "decode": 2.0}, None),
    ],
)
def test_what_the_model_waits_for_holds_a_run_back(stages: dict[str, float], right: str | None) -> None:
    assert right == bottleneck({**NOTHING, **stages})


# --- published, and reported --------------------------------------------------------------------------


def test_what_is_published_is_the_snapshot_at_most_twice_a_second(
    tracker: Tracker, library: Library, clock: Clock
) -> None:
    first = tracker.snapshot({}, {})
    clock.sleep(0.4)
    tracker.record({Outcome.EMBEDDED: 5})
    tracker.snapshot({}, {})
    assert json.loads(json.dumps(dataclasses.asdict(first))) == progress.read(library.path)

    clock.sleep(0.2)
    tracker.snapshot({}, {})
    published = progress.read(library.path)
    assert published is not None
    assert (5, clock.time()) == (published["done"], published["written_at"])


def test_half_a_file_or_none_is_no_progress(library: Library) -> None:
    assert progress.read(library.path) is None
    (library.path / "progress.json").write_text('{"done": 5, "tot', encoding="utf-8")

    assert progress.read(library.path) is None


def test_a_line_a_minute_goes_to_the_log(tracker: Tracker, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=progress.log.name):
        for _ in range(150):
            clock.sleep(1.0)
            tracker.snapshot({}, {})

    assert ["0 of 100 images, measuring"] * 2 == [record.getMessage() for record in caplog.records]


def test_the_report_adds_up_and_takes_the_published_progress_away(
    tracker: Tracker, library: Library, clock: Clock
) -> None:
    clock.sleep(4.0)
    tracker.worker_ready("gpu", "fp16")
    clock.work(10.0)
    tracker.record({Outcome.EMBEDDED: 70, Outcome.DUPLICATE: 5})
    tracker.record_settled([Settled(1, Outcome.FAILED, "truncated"), Settled(2, Outcome.FAILED, "truncated")])
    workers = {0: worker(30, model=5.0), 1: worker(40, model=6.0)}
    workers[0].crashes, workers[1].commits, workers[0].processor_seconds = 1, 7, 20.0
    tracker.snapshot({}, workers)
    report = tracker.report(stopped=False)

    assert (77, 14.0, 4.0, False) == (report.images, report.seconds, report.start_seconds, report.stopped)
    assert {"embedded": 70, "duplicate": 5, "failed": 2} == report.outcomes
    assert {"truncated": 2} == report.failures
    assert (11.0, 30.0, 7, 1) == (report.stages["model"], report.processor_seconds, report.commits, report.deaths)
    assert ("gpu", "fp16") == (report.device, report.precision)
    assert pytest.approx(7.7) == report.images_per_second
    assert progress.read(library.path) is None


def test_a_run_of_less_than_a_second_has_no_rate(tracker: Tracker, clock: Clock) -> None:
    tracker.worker_ready("cpu", "fp32")
    clock.sleep(0.5)
    tracker.record({Outcome.EMBEDDED: 3})

    assert tracker.report(stopped=True).images_per_second is None


def test_a_disk_that_takes_no_progress_stops_nothing(tracker: Tracker, library: Library) -> None:
    (library.path / "progress.json").mkdir()
    (library.path / "progress.json" / "in the way").touch()

    assert isinstance(tracker.snapshot({}, {}), Snapshot)
    assert math.isfinite(tracker.report(stopped=False).seconds)
