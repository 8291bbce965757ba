"""What the machine allows, and how a budget of processor time is divided and kept."""

import datetime
import math
import os
from pathlib import Path

import pytest

from pixfind import machine
from pixfind.embedding import budget
from pixfind.testing import Clock
from pixfind.worker.throttle import Throttle


def test_cores_and_memory_come_with_their_reasons() -> None:
    cores, memory = machine.cores(), machine.memory()

    assert 0 < cores.value <= (os.cpu_count() or 1)
    assert "core" in cores.reason
    assert memory.value > 0
    assert "GiB" in memory.reason


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of a process in /user.slice/job."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/user.slice/job\n")
    (tmp_path / "cgroup/user.slice/job").mkdir(parents=True)
    return tmp_path / "cgroup"


@pytest.mark.parametrize("where", [".", "user.slice", "user.slice/job"])
def test_a_cgroup_quota_counts_wherever_it_is_set(groups: Path, where: str) -> None:
    (groups / "user.slice/job/cpu.max").write_text("max 100000\n")
    (groups / where / "cpu.max").write_text("50000 100000\n")

    assert (0.5, True) == (machine.cores().value, "quota" in machine.cores().reason)


def test_the_tightest_memory_limit_counts(groups: Path) -> None:
    for where, limit in (("user.slice", 3_000_000), ("user.slice/job", 2_000_000)):
        (groups / where / "memory.max").write_text(str(limit))
        (groups / where / "memory.current").write_text("500000")

    assert 1_500_000 == machine.memory().value


def test_version_one_groups_count_too(groups: Path, tmp_path: Path) -> None:
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/a\n1:cpu,cpuacct:/a\n")
    for controller, files in {
        "cpu": {"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "100000"},
        "memory": {"memory.limit_in_bytes": "9000000", "memory.usage_in_bytes": "1000000"},
    }.items():
        (groups / controller / "a").mkdir(parents=True)
        for name, text in files.items():
            (groups / controller / "a" / name).write_text(text)

    assert (0.25, 8_000_000) == (machine.cores().value, machine.memory().value)


def test_what_one_worker_leaves_unused_goes_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {os.getpid(): 0.0, 10: 0.1, 11: 1.0}
    shared = budget.Budget(2.0)
    monkeypatch.setattr(shared, "_rate", rates.__getitem__)
    allowed = shared.quotas({0: 10, 1: 11}, [0, 1])

    assert allowed[1] > allowed[0]


def test_the_coordinators_own_use_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = budget.Budget(1.6)
    monkeypatch.setattr(shared, "_rate", lambda pid: 0.6 if pid == os.getpid() else 0.9)

    assert shared.quotas({0: 10}, [0])[0] < 1.0


def test_a_run_over_its_budget_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = budget.Budget(1.0)
    monkeypatch.setattr(shared, "_rate", lambda pid: 0.0 if pid == os.getpid() else 1.2)
    first = shared.quotas({0: 10}, [0])[0]
    for _ in range(20):
        last = shared.quotas({0: 10}, [0])[0]

    assert 0.85 < last < first <= 1.0


def test_without_a_limit_nobody_waits() -> None:
    throttled = Throttle(math.inf)

    assert throttled.pause(1.0)
    assert 0 == throttled.waited
    assert {3: math.inf} == budget.Budget(math.inf).quotas({}, [3])


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_throttle_waits_for_what_was_used(clock: Clock) -> None:
    throttled = Throttle(0.25, clock)
    clock.work(2.0)

    assert not throttled.pause(0.01)
    assert throttled.pause(10.0)
    assert clock.used / clock.passed == pytest.approx(0.25, abs=0.05)


def test_a_throttle_without_a_quota_pauses_until_it_gets_one(clock: Clock) -> None:
    throttled = Throttle(0.0, clock)

    assert not throttled.pause(1.0)
    throttled.cpu_quota = 1.0
    assert throttled.pause(1.0)
    assert 1.0 == throttled.waited


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("22:00-07:00", ("22:00", "23:59", "06:59"), ("07:00", "21:59")), ("9-17:30", ("09:00", "17:29"), ("17:30",))],
)
def test_hours_may_pass_midnight(text: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    hours = budget.Hours.parse(text)

    assert all(datetime.time.fromisoformat(time) in hours for time in inside)
    assert not any(datetime.time.fromisoformat(time) in hours for time in outside)


@pytest.mark.parametrize("text", ["", "22:00", "22-22", "25-3", "a-b", "1:70-2"])
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        budget.Hours.parse(text)


NIGHT = datetime.datetime(2024, 5, 1, 23, 0)  # noqa: DTZ001 - the owner's clock


def reasons(rest: budget.Rest, others: list[float]) -> list[str | None]:
    """What a run is told second by second."""
    return [
        rest.reason(asked=False, others=share, now=NIGHT + datetime.timedelta(seconds=second))
        for second, share in enumerate(others)
    ]


def test_a_run_rests_outside_its_hours_and_when_asked() -> None:
    day = budget.Rest(hours=budget.Hours.parse("9-17"))

    assert "09:00-17:00" in str(day.reason(asked=False, others=0.0, now=NIGHT))
    assert "asked" in str(budget.Rest().reason(asked=True, others=0.0, now=NIGHT))
    assert budget.Rest().reason(asked=False, others=1.0, now=NIGHT) is None


def test_a_run_yields_to_other_programs_and_comes_back_when_they_are_done() -> None:
    told = reasons(budget.Rest(when_busy=True), [0.0] * 5 + [0.6] * 20 + [0.0] * 40)

    assert told[:6] == [None] * 6
    assert "60%" in str(told[15])
    assert told[-1] is None


def test_a_short_burst_of_another_program_pauses_nothing() -> None:
    assert reasons(budget.Rest(when_busy=True), [0.0] * 10 + [0.5] + [0.0] * 10) == [None] * 21


def test_what_others_use_leaves_out_our_own_processes(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    busy, ours = iter([10.0, 14.0]), iter([5.0, 8.0])
    monkeypatch.setattr(machine, "busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "processor_seconds", lambda pids: next(ours))
    monkeypatch.setattr(machine, "all_cores", lambda: 2)
    others = budget.Others(clock)
    others.share([1])
    clock.sleep(2.0)

    assert others.share([1]) == pytest.approx(0.25)
