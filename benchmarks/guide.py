"""
The whole guide on many small pictures: seconds and peak memory of every step, and what it leaves on disk.

    python -m benchmarks.guide --n 50000 [--place DIR] [--cpu 100%] [--json FILE]

The pictures are made once in DIR/pictures and used again by the next call; the library is made anew each time. With
PIXFIND_UNSAFE_NO_SYNC=1 nothing is synced, which prices durability.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from pixfind.testing import make_pictures

_SIZE = (48, 36)


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.place or Path(folder)
        pictures = place / f"pictures-{arguments.n}"
        if not pictures.exists():
            began = time.monotonic()
            make_pictures(pictures, arguments.n, size=_SIZE)
            print(f"{arguments.n:,} pictures of {_SIZE[0]} x {_SIZE[1]} made in {time.monotonic() - began:.0f} s")
        library = Path(tempfile.mkdtemp(dir=folder)) / "library"
        steps = [_step(library, *words) for words in _steps(pictures, arguments.cpu)]
        size = sum(file.stat().st_size for file in library.rglob("*") if file.is_file())
        print(f"library: {size / 1e6:.1f} MB, {size / arguments.n:.0f} bytes an image")
    if arguments.json:
        arguments.json.write_text(json.dumps({"n": arguments.n, "steps": steps, "bytes": size}, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--place", type=Path, help="keeps the pictures for the next call")
    parser.add_argument("--cpu", default="100%")
    parser.add_argument("--json", type=Path)
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


def _step(library: Path, *words: str) -> dict[str, Any]:
    """Run one command; return its seconds and the peak resident megabytes of it and of each worker."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pixfind", "-q", "--library", str(library), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for pid, resident in _resident(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), resident)
        time.sleep(0.05)
    seconds = time.monotonic() - began
    megabytes = [round(peak / 1e6) for peak in peaks.values()]
    print(f"{words[0]:<12}{seconds:>8.1f} s   peak MB {megabytes}   exit {process.returncode}", flush=True)
    return {"step": words[0], "seconds": seconds, "peak_megabytes": megabytes}


def _resident(pid: int) -> list[tuple[int, int]]:
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children()]
        return [(process.pid, process.memory_info().rss) for process in processes]
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
