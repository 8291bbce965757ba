"""
The budget: which share of the processors an embed really uses, second by second.

    python -m benchmarks.budget --pictures DIR [--shares 80%,50%] [--seconds 60] [--model starter]

Starts `pixfind embed --cpu SHARE` on a new library of the pictures in DIR (there must be enough of them for that long; those of
benchmarks.guide will do), waits until a worker is ready and ten seconds more, and adds up the processor time of all its processes.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from pixfind.embedding import progress

_WARM_UP = 10.0
_WINDOW = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--shares", default="80%,50%")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--model", default="starter")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        ours = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
        subprocess.run([*ours, "add", str(options.pictures), "--model", options.model], check=True)
        for share in options.shares.split(","):
            used = _shares([*ours, "embed", "--cpu", share.strip()], library, options.seconds)
            windows = [sum(used[i : i + _WINDOW]) / _WINDOW for i in range(len(used) - _WINDOW + 1)]
            mean = sum(used) / len(used)
            print(
                f"--cpu {share}: {mean:.1%} of {_cores()} cores over {len(used)} s "
                f"(windows of {_WINDOW} s: {min(windows):.1%} to {max(windows):.1%})",
                flush=True,
            )


def _shares(command: list[str], library: Path, seconds: int) -> list[float]:
    """Shares of all cores that the command and its children used, one a second."""
    with subprocess.Popen(command) as process:
        try:
            while not (progress.read(library) or {}).get("done"):
                time.sleep(0.2)
            time.sleep(_WARM_UP)
            found, before = [], (time.monotonic(), _used(process.pid))
            for _ in range(seconds):
                time.sleep(1.0)
                now = (time.monotonic(), _used(process.pid))
                found.append((now[1] - before[1]) / (now[0] - before[0]) / _cores())
                before = now
            return found
        finally:
            process.terminate()


def _used(pid: int) -> float:
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def _cores() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
