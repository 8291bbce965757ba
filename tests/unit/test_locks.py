"""Locks: who holds one is seen without taking it."""

import subprocess
import sys
from pathlib import Path

import pytest

from pixfind.storage import locks

HOLD = "import sys, pathlib\nfrom pixfind.storage import locks\nwith locks.held(pathlib.Path(sys.argv[1])): print(flush=True); sys.stdin.read()"


def test_a_lock_is_seen_while_another_process_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        assert locks.is_held(path)
        with pytest.raises(locks.HeldError):
            locks.acquire(path, patience=0)
    assert not locks.is_held(path)


def test_a_lock_of_this_process_is_seen_too(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locks.held(path):
        assert locks.is_held(path)
    assert not locks.is_held(path)


def test_looking_takes_nothing_and_writes_nothing(tmp_path: Path) -> None:
    assert not locks.is_held(tmp_path / "a.lock")
    assert not locks.is_held(tmp_path / "missing" / "a.lock")
    assert [] == list(tmp_path.iterdir())


def test_two_who_look_do_not_see_each_other(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "a.lock"
    locks.acquire(path, patience=0).release()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)

        assert not locks.is_held(path)
