"""
The whole guide on many small pictures: seconds and peak memory of every step, the rate in each tenth of the embedding, and what is
written to the disk.

    python -m benchmarks.guide --n 624000 [--place DIR] [--cpu 100%] [--without-syncs] [--json FILE]

The pictures are made once in DIR/pictures-N and used again by the next call; the library is created again each time. With
--without-syncs every step runs a second time in a second library, with nothing synced to the disk: the difference is the price of
durability. Rates are told per second and per second of processor time, which other programs on the machine change less.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pixfind.embedding import progress
from pixfind.storage.output import Output
from pixfind.testing import make_pictures

_SIZE = (48, 36)


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.place) as folder:
        place = arguments.place or Path(folder)
        pictures = place / f"pictures-{arguments.n}"
        if not pictures.exists():
            began = time.monotonic()
            _make(pictures, arguments.n)
            print(f"{arguments.n:,} pictures of {_SIZE[0]} x {_SIZE[1]} made in {time.monotonic() - began:.0f} s")
        report = {"n": arguments.n, "synced": _guide(Path(folder) / "synced", pictures, arguments)}
        if arguments.without_syncs:
            os.environ["PIXFIND_UNSAFE_NO_SYNC"] = "1"
            print("\nwithout syncs:")
            report["unsynced"] = _guide(Path(folder) / "unsynced", pictures, arguments)
    if arguments.json:
        arguments.json.write(json.dumps(report, indent=1).encode())


def _make(pictures: Path, count: int) -> None:
    """With a process a core: a folder for each thousand, as no file system likes half a million names in one."""
    with multiprocessing.Pool() as pool:
        pool.starmap(_make_thousand, [(pictures, first, count) for first in range(0, count, 1000)])


def _make_thousand(pictures: Path, first: int, count: int) -> None:
    make_pictures(pictures / f"{first // 1000:04}", min(1000, count - first), first=first, size=_SIZE)


def _guide(library: Path, pictures: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    steps = [_step(library, *words) for words in _steps(pictures, arguments.cpu)]
    size = sum(file.stat().st_size for file in library.rglob("*") if file.is_file())
    print(f"library: {size / 1e6:.1f} MB, {size / arguments.n:.0f} bytes an image")
    embed = next(step for step in steps if step["step"] == "embed")
    print(f"written while embedding: {embed['written_bytes'] / arguments.n:.0f} bytes an image")
    return {"steps": steps, "bytes": size, "tenths": _print_tenths(embed.pop("points"))}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--place", type=Path, help="keeps the pictures for the next call")
    parser.add_argument("--cpu", default="100%")
    parser.add_argument("--without-syncs", action="store_true", help="all of it again, with nothing synced")
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


def _steps(pictures: Path, cpu: str) -> list[tuple[str, ...]]:
    return [
        ("add", str(pictures), "--model", "starter"),
        ("embed", "--cpu", cpu),
        ("merge",),
        ("build-index",),
        ("search-text", "red circle", "-k", "5"),
        ("add", str(pictures)),
        ("status",),
        ("verify",),
    ]


@dataclass(slots=True)
class _Watched:
    """What was seen of a command and its children while they ran."""

    library: Path
    peaks: dict[int, int] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)
    used: dict[int, float] = field(default_factory=dict)
    points: list[tuple[float, float, int]] = field(default_factory=list)
    """(seconds, processor seconds, images done)"""

    def look(self, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error):
            for one in (process, *process.children(recursive=True)):
                self.peaks[one.pid] = max(self.peaks.get(one.pid, 0), one.memory_info().rss)
                self.written[one.pid] = one.io_counters().write_bytes if hasattr(one, "io_counters") else 0
                times = one.cpu_times()
                self.used[one.pid] = times.user + times.system
        live = progress.read(self.library)
        if live and live["done"] > (self.points[-1][2] if self.points else 0):
            self.points.append((time.monotonic(), sum(self.used.values()), live["done"]))


def _step(library: Path, *words: str) -> dict[str, Any]:
    """Run one command; return its seconds and the peak resident megabytes of it and of each worker."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pixfind", "-q", "--library", str(library), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watched = _Watched(library)
    with contextlib.suppress(psutil.NoSuchProcess):
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            watched.look(seen)
            time.sleep(0.1)
    process.wait()
    seconds = time.monotonic() - began
    megabytes = [round(peak / 1e6) for peak in watched.peaks.values()]
    print(f"{words[0]:<12}{seconds:>8.1f} s   peak MB {megabytes}   exit {process.returncode}", flush=True)
    return {
        "step": words[0],
        "seconds": seconds,
        "peak_megabytes": megabytes,
        "written_bytes": sum(watched.written.values()),
        "points": watched.points,
    }


def _print_tenths(points: list[tuple[float, float, int]]) -> list[dict[str, float]]:
    """The rate in each tenth of the images, between what was seen."""
    seconds, used, done = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    marks = np.linspace(done[0], done[-1], 11)
    walls, processors = np.diff(np.interp(marks, done, seconds)), np.diff(np.interp(marks, done, used))
    each = float(marks[1] - marks[0])
    tenths = [
        {"images_per_second": each / wall, "per_core_second": each / processor}
        for wall, processor in zip(walls, processors, strict=True)
    ]
    for figure in ("images_per_second", "per_core_second"):
        rates = [tenth[figure] for tenth in tenths]
        told = " ".join(f"{rate:.0f}" for rate in rates)
        print(f"{figure.replace('_', ' ')} in each tenth: {told}; last of first: {rates[-1] / rates[0]:.1%}")
    return tenths


if __name__ == "__main__":
    main()
