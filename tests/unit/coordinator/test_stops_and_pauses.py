"""The coordinator while a run is to stop, to pause or to use less, and when a worker hangs."""

import datetime
import logging
import math

import pytest
from tests.unit.coordinator.conftest import Make, coordinated, counts, run

from pixfind import machine
from pixfind.embedding.schedule import PausePolicy, TimeWindow
from pixfind.library import control
from pixfind.testing.scripted import (
    Hangs,
    Scripted,
)
from pixfind.testing.waiting import Clock
from pixfind.types import Reason
from pixfind.worker.protocol import Embed, Quota, Stop

# --- stopping -------------------------------------------------------------------------------------


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


# --- hanging --------------------------------------------------------------------------------------


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


# --- pauses and the budget ------------------------------------------------------------------------


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
