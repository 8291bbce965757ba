"""
The coordinator's decisions, against workers that follow a script and a clock that the test turns.

Files, catalogue and worker files are real, and every test ends with `verify`; no process is started and no time passes. What only
processes can show (pipes, kills, signals) is in tests/faults.
"""

import contextlib
import dataclasses
import datetime
import functools
import itertools
import logging
import math
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pixfind import errors, machine
from pixfind.embedding import coordinator, plan, progress
from pixfind.embedding.elastic import Elastic, Node, Room
from pixfind.embedding.schedule import PausePolicy, TimeWindow
from pixfind.library import control, merge, scan, trim, verify
from pixfind.library.library import Library, ModelIdentity
from pixfind.testing.scripted import (
    Changes,
    Dies,
    Fails,
    FallsSilent,
    Fate,
    Hangs,
    Scripted,
    WaitsForRoom,
    scripted_config,
)
from pixfind.testing.waiting import Clock
from pixfind.types import Choice, Reason
from pixfind.worker.protocol import EXIT_DEGRADED, LOST, Embed, Fatal, Quota, Stop, ToWorker

SEGV, KILL = -signal.SIGSEGV, -signal.SIGKILL

Make = Callable[..., Library]


@contextlib.contextmanager
def made(place: Path, files: dict[str, bytes]) -> Iterator[Library]:
    """A library at a new place in which these files are pending. Ends with `verify`."""
    (place / "pictures").mkdir(parents=True)
    for name, content in files.items():
        (place / "pictures" / name).write_bytes(content)
    with Library.create(place / "library") as library:
        library.remember_model(ModelIdentity("scripted", "0" * 64, 8, "fp16"))
        scan.add(library, place / "pictures")
        yield library
        assert [] == verify.verify(library)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """make(count, files): a library in which so many files of their own size, and those given by name, are pending."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def library(count: int = 20, files: dict[str, bytes] | None = None) -> Library:
            all_files = {f"{number:02}.jpg": b"x" * (number + 1) for number in range(count)} | (files or {})
            return stack.enter_context(made(tmp_path / str(next(numbers)), all_files))

        yield library


def coordinated(
    library: Library,
    workers: Scripted,
    *,
    count: int = 1,
    images_per_worker: int = 1,
    pause_policy: PausePolicy | None = None,
    elastic: Elastic | None = None,
    **changes: Any,
) -> coordinator.Coordinator:
    planned = plan.make(cores=Choice(2.0, ""), memory=Choice(1 << 32, ""), workers=count, share=1.0, **changes)
    planned = dataclasses.replace(planned, images_per_worker=Choice(images_per_worker, ""), elastic=elastic)
    config = scripted_config(library.data, library.logs, library.dimension)
    return coordinator.Coordinator(library, workers, planned, config, pause_policy=pause_policy, clock=workers.clock)


def run(library: Library, workers: Scripted, **options: Any) -> progress.RunReport:
    report = coordinated(library, workers, **options).run()
    assert workers.finished
    return report


def outcomes(library: Library) -> dict[str, tuple[str | None, str | None]]:
    rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images")
    return {Path(path).name: (outcome, reason) for path, outcome, reason in rows}


def counts(library: Library) -> tuple[int, int, int, int]:
    """(embedded, duplicate, failed, pending)"""
    ledger = library.catalogue.ledger()
    return ledger["embedded"], ledger["duplicate"], ledger["failed"], ledger["pending"]


# --- assigning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_image_is_assigned_once_and_embedded(make: Make, count: int) -> None:
    library, workers = make(30), Scripted()
    report = run(library, workers, count=count)

    assigned = [image for _, images in workers.dispatched() for image in images]
    assert (30, 0, 0, 0) == counts(library)
    assert sorted(assigned) == list(range(1, 31))
    assert (30, 30, 0, False) == (report.images, report.outcomes["embedded"], report.deaths, report.stopped)
    assert ("script", "fp16") == (report.device, report.precision)


def test_with_nothing_pending_no_worker_is_started(make: Make) -> None:
    workers = Scripted()
    report = run(make(0), workers, count=3)

    assert ([], 0) == (workers.started, report.images)


@pytest.mark.parametrize(("images", "started"), [(1, 1), (12, 1), (13, 2), (24, 2), (25, 3), (80, 3)])
def test_no_more_workers_are_started_than_the_images_need(make: Make, images: int, started: int) -> None:
    library, workers = make(images), Scripted()
    report = run(library, workers, count=3, images_per_worker=12)

    assert list(range(started)) == workers.started
    assert (images, 0, 0, 0) == counts(library)
    assert (images, False) == (report.images, report.stopped)


def test_the_last_images_are_shared_among_the_workers(make: Make) -> None:
    """The first that is ready does not take all that is left: the others will be ready in a moment."""
    workers = Scripted(batch=4)
    run(make(16), workers, count=3)
    first = {worker: len(images) for worker, images in reversed(workers.dispatched())}

    assert {0: 6, 1: 4, 2: 4} == first


def test_workers_that_have_no_part_of_their_own_help_with_the_others(make: Make) -> None:
    library, workers = make(40), Scripted(starts=[None, Hangs()])
    # The second never becomes ready; the first embeds its part too, and then the run is stopped.
    workers.at(60.0, lambda: control.request(library.path, control.ControlRequest(stop=True)))
    run(library, workers, count=2)

    assert {0} == {worker for worker, _ in workers.dispatched()}
    assert (40, 0, 0, 0) == counts(library)


def test_a_worker_is_never_assigned_more_than_the_look_ahead(make: Make) -> None:
    library, workers = make(60), Scripted(batch=4)
    seen = []
    run_ = coordinated(library, workers)
    slot = run_._slots[0]
    run_._watch = lambda _: seen.append(len(slot.assigned) - len(slot.embedded))
    run_.run()

    assert 0 < max(seen) <= 3 * 4


def test_its_own_part_is_what_a_worker_gets_first(make: Make) -> None:
    workers = Scripted()
    run(make(40), workers, count=2)
    first = dict(reversed(workers.dispatched()))

    assert all({worker} == {image % 2 for image in images} for worker, images in first.items())


# --- the end of workers: crash attribution ------------------------------------------------------------


def test_the_image_that_ends_its_worker_fails_and_no_other(make: Make) -> None:
    library, workers = make(20), Scripted({"07.jpg": Dies(SEGV)})
    report = run(library, workers)

    assert (19, 0, 1, 0) == counts(library)
    assert ("failed", str(errors.DecoderCrash(detail="ended by SIGSEGV"))) == outcomes(library)["07.jpg"]
    assert 2 == report.deaths == len(workers.started) - 1


def test_images_in_quarantine_are_tried_in_isolation(make: Make) -> None:
    workers = Scripted({"07.jpg": Dies(SEGV)})
    run(make(20), workers)
    died = next(number for number, (_, message) in enumerate(workers.sent) if 8 in _images(message))
    again = [images for images in map(_images, (m for _, m in workers.sent[died + 1 :])) if 8 in images]

    assert [[8]] == again, "after the first crash the image is assigned by itself, and after the second never"


def _images(message: ToWorker) -> list[int]:
    return [image.image_id for image in message.images] if isinstance(message, Embed) else []


def test_one_crash_alone_condemns_nobody(make: Make) -> None:
    """The next attempt embeds it: whatever it was, it was not the image."""
    library = make(20)
    report = run(library, Scripted({"07.jpg": [Dies(SEGV)]}))

    assert (20, 0, 0, 0) == counts(library)
    assert 1 == report.deaths


@pytest.mark.parametrize(("code", "crashes"), [(SEGV, 2), (3, 2), (KILL, 4)])
def test_a_kill_from_outside_counts_less_than_a_crash(make: Make, code: int, crashes: int) -> None:
    library = make(9)
    report = run(library, Scripted({"04.jpg": Dies(code)}))

    assert (8, 0, 1, 0) == counts(library)
    assert crashes == report.deaths


@pytest.mark.parametrize("code", [EXIT_DEGRADED, LOST])
def test_a_worker_that_is_degraded_or_whose_machine_is_gone_puts_nothing_in_quarantine(make: Make, code: int) -> None:
    library, workers = make(12), Scripted({"03.jpg": [Dies(code)] * 6})
    report = run(library, workers)

    assert (12, 0, 0, 0) == counts(library)
    assert (0, 7) == (report.deaths, len(workers.started))


def test_an_image_that_went_through_the_model_is_not_quarantined(make: Make) -> None:
    """Its row was lost with the worker: it is embedded again, in company."""
    workers = Scripted({"03.jpg": [Dies(SEGV)]}, save_every=100)
    run(make(12), workers)
    later = [images for _, images in workers.dispatched()[1:]]

    assert [4] in later
    assert not [images for images in later if len(images) == 1 and images[0] < 4]


def test_rows_that_a_dead_worker_made_durable_are_adopted_and_not_embedded_again(make: Make) -> None:
    library, workers = make(12), Scripted({"05.jpg": [Dies(SEGV, saved=True)]}, save_every=100)
    run(library, workers)
    assigned = Counter(image for _, images in workers.dispatched() for image in images)

    assert (12, 0, 0, 0) == counts(library)
    assert {1} == {assigned[image] for image in range(1, 6)}
    assert 12 == merge.merge(library).rows


def test_several_that_kill_fail_and_the_others_do_not(make: Make) -> None:
    library = make(25)
    poison = {f"{number:02}.jpg": Dies(SEGV) for number in (0, 1, 12, 24)}
    run(library, Scripted(poison), count=3)

    assert (21, 0, 4, 0) == counts(library)
    assert set(poison) == {name for name, (outcome, _) in outcomes(library).items() if outcome == "failed"}


def test_killed_again_and_again_from_outside_it_ends_complete(make: Make) -> None:
    library, workers = make(40), Scripted()
    for number in range(6):
        workers.at(0.05 * (number + 1), functools.partial(workers.kill, number % 2))
    run(library, workers, count=2)

    assert (40, 0, 0, 0) == counts(library)


# --- workers that cannot start ----------------------------------------------------------------------


def test_workers_that_die_before_they_are_ready_end_the_run_with_their_log(make: Make) -> None:
    library, workers = make(5), Scripted(starts=[Dies(1)] * 10)
    with pytest.raises(errors.WorkerCrashLoop, match=r"embed_worker_0\.log"):
        run(library, workers)

    assert 5 == len(workers.started)
    assert workers.finished
    assert (0, 0, 0, 5) == counts(library)


def test_somebody_who_kills_them_at_their_start_has_to_do_it_longer(make: Make) -> None:
    library = make(5)
    run(library, Scripted(starts=[Dies(KILL)] * 99))
    assert (5, 0, 0, 0) == counts(library)

    with pytest.raises(errors.WorkerCrashLoop):
        run(make(5), Scripted(starts=[Dies(KILL)] * 100))


def test_a_worker_for_which_there_is_no_room_is_stopped_when_nothing_is_left(make: Make) -> None:
    library, workers = make(8), Scripted(starts=[WaitsForRoom()])
    run(library, workers, count=2)

    assert (8, 0, 0, 0) == counts(library)
    assert [Stop()] == [message for worker, message in workers.sent if worker == 0]


def test_a_worker_that_became_ready_wipes_out_what_was_before(make: Make) -> None:
    """Four that cannot start, one that works and dies of an image, four again: that is no series of five."""
    library = make(8)
    starts: list[Fate] = [*[Dies(1)] * 4, None, *[Dies(1)] * 4]
    run(library, Scripted({"03.jpg": [Dies(SEGV)]}, starts=starts))

    assert (8, 0, 0, 0) == counts(library)


def test_what_a_worker_calls_fatal_ends_the_run_as_its_own_error(make: Make) -> None:
    library, workers = make(5), Scripted()
    fields = {"path": "/data/x.npy", "detail": "No space left on device"}
    workers.receive = lambda seconds: [(0, Fatal("DiskFull", fields))]  # type: ignore[method-assign]

    with pytest.raises(errors.DiskFull, match=r"/data/x\.npy"):
        run(library, workers)
    assert workers.finished


def test_a_row_that_is_not_what_its_worker_wrote_stops_the_run(make: Make) -> None:
    library, workers = make(12), Scripted()

    def damage() -> None:
        path = library.data / "embeddings_worker_0.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    save = Scripted._write
    workers._write = lambda worker: (save(worker), damage())[0]  # type: ignore[method-assign]
    with pytest.raises(errors.LibraryDamaged, match="row 3 is not what worker 0 wrote"):
        run(library, workers)

    trim.cut(library, 0, 3)
    assert 3 == library.catalogue.ledger()["embedded"]


# --- the same bytes twice ---------------------------------------------------------------------------


COPIES = {"a.jpg": b"same bytes", "b.jpg": b"same bytes", "c.jpg": b"same bytes", "other.jpg": b"other bits"}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_equal_files_are_embedded_once_whoever_is_assigned_them(make: Make, count: int) -> None:
    library = make(3, COPIES)
    report = run(library, Scripted(), count=count)

    assert (5, 2, 0, 0) == counts(library)
    assert 2 == report.outcomes["duplicate"]
    assert 5 == merge.merge(library).rows


def test_a_copy_of_what_is_embedded_already_is_never_embedded(make: Make) -> None:
    library, first = make(0, {"a.jpg": b"same bytes"}), Scripted()
    run(library, first)
    folder = Path(library.catalogue.roots()[0].path)
    (folder / "b.jpg").write_bytes(b"same bytes")
    scan.add(library, folder)
    run(library, Scripted({"b.jpg": Dies(SEGV)}))

    assert (1, 1, 0, 0) == counts(library)


def test_files_of_one_size_and_other_bytes_are_each_embedded(make: Make) -> None:
    library = make(0, {f"{letter}.jpg": letter.encode() * 9 for letter in "abcdef"})
    run(library, Scripted(), count=2)

    assert (6, 0, 0, 0) == counts(library)


def test_copies_of_a_file_that_fails_fail_for_the_same_reason(make: Make) -> None:
    library = make(3, COPIES)
    bad = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), Fails("truncated: it ends early"))
    run(library, Scripted(bad), count=2)

    assert (4, 0, 3, 0) == counts(library)
    assert {("failed", "truncated: it ends early")} == {outcomes(library)[name] for name in bad}


def test_copies_of_a_file_that_kills_fail_and_those_that_wait_for_it_kill_nobody(make: Make) -> None:
    library = make(3, COPIES)
    bad = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), Dies(SEGV))
    report = run(library, Scripted(bad), count=2)

    assert (4, 0, 3, 0) == counts(library)
    assert 2 <= report.deaths < 6


def test_a_copy_is_embedded_itself_when_the_first_turns_into_another_file(make: Make) -> None:
    library = make(3, COPIES)
    run(library, Scripted({"a.jpg": [Changes(b"not the same any more")]}), count=2)

    assert (6, 1, 0, 0) == counts(library)


def test_copies_of_a_file_that_never_comes_to_rest_are_embedded_themselves(make: Make) -> None:
    library = make(3, COPIES)
    run(library, Scripted({"a.jpg": [Changes(b"another %d" % number) for number in range(4)]}), count=2)

    assert (5, 1, 1, 0) == counts(library)
    assert ("failed", str(errors.ModifiedDuringRead())) == outcomes(library)["a.jpg"]


def test_a_claim_outlives_the_worker_that_made_it(make: Make) -> None:
    library = make(3, COPIES)
    run(library, Scripted({"a.jpg": [Dies(SEGV)], "b.jpg": [Dies(KILL)]}), count=2)

    assert (5, 2, 0, 0) == counts(library)


# --- files that change --------------------------------------------------------------------------------


def test_a_file_that_changed_since_the_scan_is_embedded_as_it_is_now(make: Make) -> None:
    library = make(4)
    (Path(library.catalogue.roots()[0].path) / "02.jpg").write_bytes(b"something else by now")
    run(library, Scripted())

    size = library.catalogue._connection.execute("SELECT size FROM images WHERE path LIKE '%02.jpg'").fetchone()
    assert (4, 0, 0, 0) == counts(library)
    assert (21,) == size


def test_three_changes_are_followed_and_a_fourth_is_one_too_many(make: Make) -> None:
    three = [Changes(b"y" * (100 + number)) for number in range(3)]
    library = make(4)
    run(library, Scripted({"02.jpg": three}))
    assert (4, 0, 0, 0) == counts(library)

    library = make(4)
    run(library, Scripted({"02.jpg": [*three, Changes(b"z")]}))
    assert (3, 0, 1, 0) == counts(library)
    assert ("failed", str(errors.ModifiedDuringRead())) == outcomes(library)["02.jpg"]
    assert 1 == library.catalogue.run("retry_transient"), "the next run tries it again"


def test_a_file_that_is_gone_fails_for_this_run_only(make: Make) -> None:
    library = make(4)
    path = Path(library.catalogue.roots()[0].path) / "02.jpg"
    content = path.read_bytes()
    path.unlink()
    run(library, Scripted())
    assert ("failed", str(errors.FileMissing())) == outcomes(library)["02.jpg"]

    path.write_bytes(content)
    library.catalogue.run("retry_transient")
    run(library, Scripted())
    assert (4, 0, 0, 0) == counts(library)


# --- stopping -----------------------------------------------------------------------------------------


def test_a_stop_from_another_process_ends_the_run_cleanly(make: Make) -> None:
    library, workers = make(40), Scripted()
    workers.at(0.1, lambda: control.request(library.path, control.ControlRequest(stop=True)))
    report = run(library, workers, count=2)

    embedded, _, _, pending = counts(library)
    assert report.stopped
    assert 0 < embedded < 40 == embedded + pending
    assert ([], 2) == (workers.killed, len(workers.started))
    control.clear(library.path)
    run(library, Scripted())
    assert (40, 0, 0, 0) == counts(library)


def test_one_ctrl_c_stops_cleanly_and_a_second_one_at_once(make: Make) -> None:
    library, workers = make(40), Scripted({"20.jpg": Hangs()}, seconds=0.1)
    run_ = coordinated(library, workers)
    workers.at(0.3, run_.stop)
    assert run_.run().stopped
    assert [] == workers.killed

    library, workers = make(40), Scripted({"03.jpg": Hangs()})
    run_ = coordinated(library, workers)
    workers.at(1.0, run_.stop)
    workers.at(2.0, run_.stop)
    assert run_.run().stopped
    assert [0] == workers.killed
    assert 2.0 <= workers.clock.passed < 3.0


def test_a_worker_that_does_not_heed_a_stop_is_ended_after_twenty_seconds(make: Make) -> None:
    library, workers = make(40), Scripted({"03.jpg": Hangs()})
    workers.at(1.0, lambda: control.request(library.path, control.ControlRequest(stop=True)))
    report = run(library, workers)

    assert report.stopped
    assert 0 in workers.killed
    assert 21.0 <= workers.clock.passed < 23.0
    assert 40 == sum(counts(library)), "what was embedded before is kept, the rest is pending"


def test_after_a_stop_nothing_more_is_assigned(make: Make) -> None:
    library, workers = make(40), Scripted()
    workers.at(0.1, lambda: control.request(library.path, control.ControlRequest(stop=True)))
    run(library, workers)
    stop = next(number for number, (_, message) in enumerate(workers.sent) if isinstance(message, Stop))

    assert not [message for _, message in workers.sent[stop:] if isinstance(message, Embed)]


# --- hanging ------------------------------------------------------------------------------------------


def test_a_worker_that_says_nothing_is_replaced_once_patience_is_at_its_end(make: Make) -> None:
    library, workers = make(8), Scripted({"03.jpg": [Hangs()]})
    report = run(library, workers, seconds_per_image=5.0)

    assert (8, 0, 0, 0) == counts(library)
    assert ([0], 1) == (workers.killed, report.deaths)
    assert 20.0 < workers.clock.passed < 22.0, "twice the seconds of an image, and ten"


def test_an_image_that_hangs_every_worker_fails_in_the_end(make: Make) -> None:
    library, workers = make(8), Scripted({"03.jpg": Hangs()})
    run(library, workers, seconds_per_image=5.0)

    assert (7, 0, 1, 0) == counts(library)
    assert 4 == len(workers.killed)


def test_a_worker_that_is_paused_is_not_taken_for_one_that_hangs(make: Make) -> None:
    library, workers = make(8), Scripted({"03.jpg": [Hangs()]})
    workers.at(0.5, lambda: control.request(library.path, control.ControlRequest(pause=True)))
    workers.at(100.0, lambda: control.request(library.path, control.ControlRequest(pause=False)))
    run(library, workers, seconds_per_image=5.0)

    assert [0] == workers.killed
    assert 100.0 < workers.clock.passed < 130.0


# --- pauses and the budget ----------------------------------------------------------------------------


def test_a_pause_holds_everything_until_it_is_taken_back(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    library, workers = make(200), Scripted(seconds=0.1)
    embedded: dict[float, int] = {}

    def note() -> None:
        embedded[workers.clock.passed // 1] = counts(library)[0]

    workers.at(2.0, lambda: control.request(library.path, control.ControlRequest(pause=True)))
    for second in (10.0, 50.0, 99.0):
        workers.at(second, note)
    workers.at(100.0, lambda: control.request(library.path, control.ControlRequest(pause=False)))
    with caplog.at_level(logging.INFO, logger="pixfind.coordinator"):
        run(library, workers, count=2)

    assert (200, 0, 0, 0) == counts(library)
    assert 3 == len(embedded)
    assert 1 == len(set(embedded.values())), "not one image while it is paused"
    assert 0 < embedded[10.0] < 200
    log = [record.getMessage() for record in caplog.records]
    assert log.index("paused on request") < log.index("resumed") < len(log) - 1


def test_a_worker_that_becomes_ready_in_a_pause_is_assigned_nothing(make: Make) -> None:
    library, workers = make(8), Scripted()
    control.request(library.path, control.ControlRequest(pause=True))
    workers.at(0.05, lambda: workers.kill(0))
    workers.at(50.0, lambda: control.request(library.path, control.ControlRequest(pause=False)))
    messages: list[int] = []
    workers.at(49.0, lambda: messages.append(len(workers.dispatched())))
    run(library, workers)

    assert messages[0] <= 1
    assert (8, 0, 0, 0) == counts(library)


def test_a_run_waits_for_its_hours(make: Make) -> None:
    night = datetime.datetime(2024, 5, 1, 20, 0)  # noqa: DTZ001 - the owner's clock
    library, workers = make(8), Scripted(clock=Clock(night.timestamp()))
    workers.at(100.0, lambda: seen.append(counts(library)[0]))
    seen: list[int] = []
    policy = PausePolicy(hours=TimeWindow.parse("20:02-07:00"))
    run(library, workers, pause_policy=policy)

    assert [0] == seen
    assert (8, 0, 0, 0) == counts(library)
    assert 120 <= workers.clock.passed < 125


def test_a_run_yields_to_other_programs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    library, workers = make(400), Scripted(seconds=0.1)
    monkeypatch.setattr(machine, "all_cores", lambda: 2)
    monkeypatch.setattr(machine, "processor_seconds", lambda pids: 0.0)
    # Both cores are used by others from the fifth second to the hundredth.
    monkeypatch.setattr(machine, "busy_seconds", lambda: 2 * (min(max(workers.clock.passed, 5.0), 100.0) - 5.0))
    told: list[Reason | None] = []
    run_ = coordinated(library, workers, pause_policy=PausePolicy(when_busy=True))
    run_._watch = lambda snapshot: told.append(snapshot.pause)
    run_.run()

    assert any("other programs use" in str(reason) for reason in told)
    assert workers.clock.passed > 100.0
    assert (400, 0, 0, 0) == counts(library)


def test_another_share_of_the_machine_is_heard_while_it_runs(make: Make) -> None:
    library, workers = make(100), Scripted(seconds=0.1)
    workers.at(2.0, lambda: control.request(library.path, control.ControlRequest(cpu=0.25)))
    workers.at(5.0, lambda: control.request(library.path, control.ControlRequest(cpu=1.0)))
    run(library, workers)
    told = [message.cpu_quota for _, message in workers.sent if isinstance(message, Quota)]

    assert math.isinf(told[0])
    assert any(0 < quota <= 0.5 for quota in told)
    assert math.isinf(told[-1])


# --- clusters -----------------------------------------------------------------------------------------


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


# --- whatever happens ---------------------------------------------------------------------------------


_FATE = st.one_of(
    st.none(),
    st.sampled_from(
        [
            Dies(SEGV),
            Dies(KILL),
            Dies(EXIT_DEGRADED),
            Dies(1, saved=True),
            Hangs(),
            Fails(),
            Changes(b"new content"),
            FallsSilent(11.0),
        ]
    ),
    st.lists(
        st.sampled_from(
            [
                Dies(SEGV),
                Dies(KILL),
                Dies(EXIT_DEGRADED),
                Dies(LOST),
                Dies(3, saved=True),
                Hangs(),
                Changes(b"another"),
                FallsSilent(30.0),
            ]
        ),
        min_size=1,
        max_size=3,
    ),
)


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    fates=st.lists(_FATE, min_size=12, max_size=12),
    sizes=st.lists(st.integers(1, 6), min_size=12, max_size=12),
    count=st.integers(1, 4),
    save_every=st.sampled_from([1, 3, 50]),
    on_nodes=st.booleans(),
)
def test_whatever_workers_do_the_run_ends_and_the_ledger_adds_up(
    tmp_path_factory: pytest.TempPathFactory,
    fates: list[Any],
    sizes: list[int],
    count: int,
    save_every: int,
    on_nodes: bool,
) -> None:
    """Files of a few sizes, so that there are copies, and others of the same size; on nodes what is slow is assigned twice."""
    names = [f"{number:02}.jpg" for number in range(12)]
    files = {name: bytes([number % 3]) * size for number, (name, size) in enumerate(zip(names, sizes, strict=True))}
    # A worker that ends as degraded on one image for ever would be replaced for ever.
    script = {name: fate for name, fate in zip(names, fates, strict=True) if fate != Dies(EXIT_DEGRADED)}
    with made(tmp_path_factory.mktemp("any") / "made", files) as library:
        workers = Scripted(script, save_every=save_every)
        workers.nodes = {k: f"node {k}" for k in range(count if on_nodes else 0)}
        report = run(library, workers, count=count, seconds_per_image=1.0)

        embedded, duplicate, failed, pending = counts(library)
        assert (12, 0) == (embedded + duplicate + failed, pending)
        assert report.images == sum(report.outcomes.values()) == 12
        assert [] == verify.verify(library)
        assert embedded == merge.merge(library).rows
        # A copy shares the end of the first; what has a content of its own and no fate is embedded.
        troubled = {files[name] for name, fate in script.items() if fate is not None}
        sound = {name for name in names if files[name] not in troubled and script.get(name) is None}
        found = outcomes(library)
        assert {found[name][0] for name in sound} <= {"embedded", "duplicate"}
