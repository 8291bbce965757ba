"""The throttle: a process keeps to its quota, and to none when there is no limit."""

import math

import pytest

from pixfind.testing import Clock
from pixfind.worker.throttle import Throttle


def test_a_throttle_waits_for_what_was_used() -> None:
    clock = Clock()
    throttle = Throttle(0.25, clock)
    clock.work(2.0)

    assert not throttle.pause(0.01)
    assert throttle.pause(10.0)
    assert clock.used / clock.passed == pytest.approx(0.25, abs=0.05)


def test_a_throttle_without_a_quota_pauses_until_it_gets_one() -> None:
    throttle = Throttle(0.0, Clock())

    assert not throttle.pause(1.0)
    throttle.cpu_quota = 1.0
    assert throttle.pause(1.0)
    assert 1.0 == throttle.waited


def test_without_a_limit_nobody_waits() -> None:
    throttle = Throttle(math.inf)

    assert throttle.pause(1.0)
    assert 0 == throttle.waited
