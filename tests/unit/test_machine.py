"""What the machine allows this process."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import psutil
import pytest

from pixfind import machine


def test_cores_and_memory_come_with_their_reasons() -> None:
    cores, memory = machine.cores(), machine.memory()

    assert 0 < cores.value <= (os.cpu_count() or 1)
    assert "core" in cores.reason
    assert memory.value > 0
    assert "GiB" in memory.reason


def test_a_process_that_has_ended_has_used_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert 0 < machine.processor_seconds(os.getpid())
    assert 0 == machine.processor_seconds(process.pid)


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


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/home/ada/pictures", None),
        ("/nas/pictures", "nfs4"),
        ("/nas", "nfs4"),
        ("/nasty", None),
        ("/nas/usb/2019", None),
        ("/cloud/x", "fuse.sshfs"),
        ("/ntfs", None),
        ("/over", "cifs"),
    ],
)
def test_file_systems_that_do_not_tell_all_changes_are_known(
    path: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = {
        "/": "ext4",
        "/nas": "nfs4",
        "/nas/usb": "ext4",
        "/cloud": "fuse.sshfs",
        "/ntfs": "fuseblk",
    }
    partitions = [types.SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in mounts.items()]
    # Mounted over another.
    partitions += [types.SimpleNamespace(mountpoint="/over", fstype=kind) for kind in ("ext4", "cifs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: partitions)

    assert told == machine.untold_changes(path)


_BLAS = """
import json, os, sys
from pixfind import machine
machine.begin_with_one_blas_thread()
import numpy, threadpoolctl
def threads(): return [each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
before = threads()
with machine.all_blas_threads():
    within = threads()
print(json.dumps([before, within, threads()]))
"""


@pytest.mark.parametrize(("chosen", "within"), [(None, os.cpu_count()), ("1", 1)])
def test_numpy_begins_with_one_thread_and_builds_with_all(chosen: str | None, within: int) -> None:
    ours = ("_NUM_THREADS", "_BLAS_THREAD")
    environment = {name: value for name, value in os.environ.items() if not name.endswith(ours)}
    if chosen:
        environment["OPENBLAS_NUM_THREADS"] = chosen
    done = subprocess.run([sys.executable, "-c", _BLAS], env=environment, check=True, capture_output=True)
    threads = json.loads(done.stdout)
    if not threads[0]:
        pytest.skip("NumPy was built with another BLAS here")
    assert threads == [[1], [within], [1]]


def test_a_process_that_one_of_ours_starts_builds_with_all_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "PIXFIND_BEGAN_WITH_ONE_BLAS_THREAD"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(machine, "_began_with_one", False)
    machine.begin_with_one_blas_thread()
    done = subprocess.run([sys.executable, "-c", _BLAS], check=True, capture_output=True)

    threads = json.loads(done.stdout)
    if not threads[0]:
        pytest.skip("NumPy was built with another BLAS here")
    assert [os.cpu_count()] == threads[1]
