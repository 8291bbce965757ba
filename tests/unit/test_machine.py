"""What the machine allows, and how a budget of processor time is divided and kept."""

import math
import os
import time

import pytest

from pixfind import machine


def test_cores_and_memory_come_with_their_reasons() -> None:
    cores, memory = machine.cores(), machine.memory()

    assert 0 < cores.value <= (os.cpu_count() or 1)
    assert "core" in cores.reason
    assert memory.value > 0
    assert "GiB" in memory.reason


def test_a_cgroup_quota_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_read", lambda path: "50000 100000" if path.name == "cpu.max" else "")

    assert (0.5, True) == (machine.cores().value, "quota" in machine.cores().reason)


def test_what_one_worker_leaves_unused_goes_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {os.getpid(): 0.0, 10: 0.1, 11: 1.0}
    budget = machine.Budget(2.0)
    monkeypatch.setattr(budget, "_rate", rates.__getitem__)
    allowed = budget.allowances({0: 10, 1: 11}, [0, 1])

    assert allowed[1] > allowed[0]


def test_the_coordinators_own_use_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = machine.Budget(1.6)
    monkeypatch.setattr(budget, "_rate", lambda pid: 0.6 if pid == os.getpid() else 0.9)

    assert budget.allowances({0: 10}, [0])[0] < 1.0


def test_a_run_over_its_budget_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = machine.Budget(1.0)
    monkeypatch.setattr(budget, "_rate", lambda pid: 0.0 if pid == os.getpid() else 1.2)
    first = budget.allowances({0: 10}, [0])[0]
    for _ in range(20):
        last = budget.allowances({0: 10}, [0])[0]

    assert 0.85 < last < first <= 1.0


def test_without_a_limit_nobody_waits() -> None:
    pacer = machine.Pacer(math.inf)

    assert pacer.pause(1.0)
    assert 0 == pacer.waited
    assert {3: math.inf} == machine.Budget(math.inf).allowances({}, [3])


def test_a_pacer_waits_for_what_was_used() -> None:
    pacer = machine.Pacer(0.25)
    until = time.process_time() + 0.4
    while time.process_time() < until:
        pass

    assert not pacer.pause(0.01)
    assert pacer.pause(5.0)
    assert pacer.waited > 0.1
