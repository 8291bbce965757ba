"""The schedule: when a run works, when it pauses, and for whom."""

import datetime

import pytest

from pixfind import machine
from pixfind.embedding.runners import WorkerUsage
from pixfind.embedding.schedule import ExternalLoad, PausePolicy, TimeWindow
from pixfind.testing import Clock


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("22:00-07:00", ("22:00", "23:59", "06:59"), ("07:00", "21:59")), ("9-17:30", ("09:00", "17:29"), ("17:30",))],
)
def test_a_time_window_may_pass_midnight(text: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    window = TimeWindow.parse(text)

    assert all(datetime.time.fromisoformat(time) in window for time in inside)
    assert not any(datetime.time.fromisoformat(time) in window for time in outside)


@pytest.mark.parametrize("text", ["", "22:00", "22-22", "25-3", "a-b", "1:70-2"])
def test_what_is_no_time_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        TimeWindow.parse(text)


NIGHT = datetime.datetime(2024, 5, 1, 23, 0)  # noqa: DTZ001 - the owner's clock


def reasons(policy: PausePolicy, loads: list[float]) -> list[str | None]:
    """What a run is told second by second."""
    found = (
        policy.reason(requested=False, external_load=load, now=NIGHT + datetime.timedelta(seconds=second))
        for second, load in enumerate(loads)
    )
    return [None if reason is None else reason.message for reason in found]


def test_a_run_pauses_outside_its_window_and_on_request() -> None:
    day = PausePolicy(hours=TimeWindow.parse("9-17"))

    assert "09:00-17:00" in str(day.reason(requested=False, external_load=0.0, now=NIGHT))
    assert "request" in str(PausePolicy().reason(requested=True, external_load=0.0, now=NIGHT))
    assert PausePolicy().reason(requested=False, external_load=1.0, now=NIGHT) is None


def test_a_run_yields_to_other_programs_and_comes_back_when_they_are_done() -> None:
    told = reasons(PausePolicy(when_busy=True), [0.0] * 5 + [0.6] * 20 + [0.0] * 40)

    assert told[:6] == [None] * 6
    assert "60%" in str(told[15])
    assert told[-1] is None


def test_a_short_burst_of_another_program_pauses_nothing() -> None:
    assert reasons(PausePolicy(when_busy=True), [0.0] * 10 + [0.5] + [0.0] * 10) == [None] * 21


@pytest.mark.parametrize(("host", "share"), [("here", 0.25), ("elsewhere", 1.0)])
def test_the_external_load_leaves_out_our_own_processes_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str, share: float
) -> None:
    busy, clock = iter([10.0, 14.0]), Clock()
    monkeypatch.setattr(machine, "host", lambda: "here")
    monkeypatch.setattr(machine, "busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "all_cores", lambda: 2)
    load = ExternalLoad(clock)
    load.share([WorkerUsage(host, 1, 5.0)])
    clock.sleep(2.0)

    assert load.share([WorkerUsage(host, 1, 8.0)]) == pytest.approx(share)


def test_what_this_process_uses_is_no_external_load(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(machine, "busy_seconds", lambda: clock.used)
    load = ExternalLoad(clock)
    load.share([])
    clock.work(2.0)

    assert 0 == load.share([])
