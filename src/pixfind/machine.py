"""
The machine: cores, memory, processor time. `embedding.budget` divides what is found here.

The only module that knows psutil, which is imported when it is asked: most commands never do. A number that cannot be found out is None, never a guess.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.types import Choice

_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_BLAS_THREADS_ARE_OURS = "PIXFIND_BEGAN_WITH_ONE_BLAS_THREAD"
"""set beside it, so that a process that one of ours starts knows that the user has not chosen"""
_began_with_one = False

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def cores() -> Choice[float]:
    """Return how many cores this process may use: affinity and cgroup quota included."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores()
    if quota is not None and quota < allowed:
        return Choice(quota, f"the cgroup's quota is {quota:g} of {allowed} cores")
    total = os.cpu_count() or allowed
    if allowed < total:
        return Choice(float(allowed), f"this process may use {allowed} of {total} cores")
    return Choice(float(allowed), f"the machine has {allowed} cores")


def memory() -> Choice[int]:
    """Return how many bytes this process may use: what is available now, within the cgroup's limit."""
    import psutil

    available = int(psutil.virtual_memory().available)
    limit = _cgroup_memory()
    if limit is not None and limit < available:
        return Choice(limit, f"the cgroup leaves {limit / 2**30:.1f} GiB")
    return Choice(available, f"{available / 2**30:.1f} GiB are available")


def host() -> str:
    """Return the name of this machine."""
    import socket

    return socket.gethostname()


def processor_seconds(pid: int) -> float:
    """Return the processor time, user and system, that a process has used; 0 when it has ended."""
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def busy_seconds() -> float:
    """Return the processor time that all programs of this machine have used, over all cores."""
    import psutil

    times = psutil.cpu_times()._asdict()
    # Linux counts guests under user too.
    return float(sum(v for k, v in times.items() if k not in {"idle", "iowait", "steal", "guest", "guest_nice"}))


def all_cores() -> int:
    """Return how many cores the machine has, ours or not."""
    return os.cpu_count() or 1


def started_at(pid: int) -> float | None:
    """Return when a process began, in seconds since 1970; None when there is no such process."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


#: Types of file systems on which other machines, or the host of a container, make changes that this system is not told of.
_UNTOLD = frozenset(
    [
        "9p",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "drvfs",
        "fakeowner",
        "glusterfs",
        "gpfs",
        "lustre",
        "macfuse",
        "nfs",
        "nfs4",
        "osxfuse",
        "overlay",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "webdav",
    ]
)


def untold_changes(path: str) -> str | None:
    """
    Return the type of the file system at a path if it does not tell all changes; None if it does, or nothing is known of it.

    Network file systems tell only what this machine itself changes, and so do those in user space (FUSE) but for `fuseblk`, a local disk.
    """
    import psutil

    try:
        mounts = psutil.disk_partitions(all=True)
    except OSError:
        return None
    # Of two mounts at one place the later one is seen.
    there = [each for each in mounts if Path(path).is_relative_to(each.mountpoint)]
    kind = str(max(enumerate(there), key=lambda each: (len(each[1].mountpoint), each[0]))[1].fstype) if there else ""
    untold = kind in _UNTOLD or (kind.startswith("fuse") and kind != "fuseblk")
    return kind if untold else None


def inotify_limit(name: str) -> int | None:
    """Return a limit of inotify(7), such as `max_user_watches`; None where there is none."""
    text = _read(_PROC / "sys/fs/inotify" / name)
    return int(text) if text.isdecimal() else None


def be_nice(level: int) -> None:
    """Lower this process's priority, so that the owner's programs go first."""
    if level and hasattr(os, "nice"):
        os.nice(level)


def limit_memory(size: int) -> None:
    """
    Refuse this process more than `size` bytes of its own data, where the system can (not on Windows and macOS).

    A picture that asks for more then fails with MemoryError, instead of driving the machine into its swap.
    """
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _cgroup_cores() -> float | None:
    """The tightest quota of this process's group and those around it; None without one."""
    quotas = []
    for folder in _cgroups("cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _cgroup_memory() -> int | None:
    """What the tightest limit around this process leaves, bytes; None without one."""
    left = []
    for folder in _cgroups("memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = _read(folder / limit), _read(folder / used)
            if most.isdecimal() and now.isdecimal():
                left.append(max(0, int(most) - int(now)))
    return min(left, default=None)


def _cgroups(controller: str) -> list[Path]:
    """
    The folders of this process's control groups that may limit `controller`, innermost first.

    /proc/self/cgroup has "0::/path" for version 2 and "4:memory:/path" for version 1 (cgroups(7)). Inside a container
    the path may be that of the host: folders that are not there are left out by reading nothing from them.
    """
    folders = []
    for line in _read(_PROC / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUP / controller if controllers else _CGROUP
        within = Path(path.lstrip("/"))
        folders += [root / part for part in (within, *within.parents)]
    return list(dict.fromkeys([*folders, _CGROUP, _CGROUP / controller]))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def keep_freed_memory(most: int = 256 << 20) -> None:
    """
    Keep what this process has freed, up to `most` bytes, for its next allocations.

    glibc gives large blocks back to the system at once and takes them again: that was a third of a server's time, and a fifth
    of a training step's. Other systems' allocators have no such function, and no such habit.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, most)


def begin_with_one_blas_thread() -> None:
    """
    Let NumPy start without threads for its products of matrices; call it before NumPy is imported. What the user has set stays.

    OpenBLAS starts one for each core when it is loaded, and each spins for a while: on two cores a third of the processor time of a search.
    """
    global _began_with_one
    _began_with_one = _BLAS_THREADS not in os.environ or _BLAS_THREADS_ARE_OURS in os.environ
    if _began_with_one:
        os.environ.update({_BLAS_THREADS: "1", _BLAS_THREADS_ARE_OURS: "1"})


@contextlib.contextmanager
def all_blas_threads() -> Iterator[None]:
    """Let products of matrices use all cores in the block, of which the process may have begun with one."""
    if not _began_with_one:
        yield
        return
    import threadpoolctl

    with threadpoolctl.threadpool_limits(all_cores(), "blas"):
        yield


def optional_package(package: str, extra: str, what: str) -> Any:
    """Import the package of an extra; raises ExtraNotInstalled."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise errors.ExtraNotInstalled(what=what, package=package, extra=extra) from error
