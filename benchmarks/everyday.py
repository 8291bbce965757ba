"""
Everyday commands on a library of many images: `index` with nothing new, `index` with one new picture, a search.

    python -m benchmarks.everyday [--model starter|DIR] [--n 624000] [--rounds 5] [--json FILE]

Each command is a new process, and they take turns. The library is generated (benchmarks/generated.py), with a file for each image, so that
the walk is a real one; "walk" is a process that does nothing else than look at each file. Full-size models: `python -m tools.make_model`.
"""

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.generated import make_library

from pixfind.storage.output import Output
from pixfind.testing import make_pictures

_WALK = """
import os, sys
folders = [sys.argv[1]]
while folders:
    with os.scandir(folders.pop()) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                entry.stat()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--n", type=int, default=624_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--place", type=Path, help="where library and files lie while this runs")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder)
        (place / "pictures").mkdir()
        began = time.perf_counter()
        make_library(place / "library", options.model, options.n, pictures=place / "pictures", files=True)
        print(f"library of {options.n:,} images made in {time.perf_counter() - began:.0f} s", flush=True)
        report = _take_turns(place, options.rounds)
    walk, search = report["walk"], report["search"]
    for name, found in report.items():
        times = (found["cpu_s"] - (walk["cpu_s"] if name.startswith("index") else 0)) / search["cpu_s"]
        print(
            f"{name:24} processor {found['cpu_s']:6.2f} s, wall {found['wall_s']:6.2f} s (best {found['best_s']:.2f}); "
            f"without the walk {times:.1f} times a search process, by processor time"
        )
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _take_turns(place: Path, rounds: int) -> dict[str, dict[str, float]]:
    pixfind = [sys.executable, "-m", "pixfind", "-q", "--library", str(place / "library")]
    commands = {
        "walk": [sys.executable, "-c", _WALK, str(place / "pictures")],
        "search": [*pixfind, "search", "red circle"],
        "index, nothing new": [*pixfind, "index"],
        "index, one new picture": [*pixfind, "index"],
    }
    taken: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    # The first round fills the page cache and does not count.
    for number in range(rounds + 1):
        for name, command in commands.items():
            if name == "index, one new picture":
                make_pictures(place / "pictures" / "new", 1, first=number, size=(640, 480))
            seconds = _run(command)
            if number:
                taken[name].append(seconds)
    return {
        name: {
            "wall_s": statistics.median(wall for wall, _ in each),
            "best_s": min(wall for wall, _ in each),
            "cpu_s": statistics.median(used for _, used in each),
        }
        for name, each in taken.items()
    }


def _run(command: list[str]) -> tuple[float, float]:
    """Return seconds, and seconds of processor of the command and its workers."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        # Of the children that it has waited for too.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    # 1: a search that finds nothing, as with a model of random weights.
    assert process.returncode == 0 or (process.returncode == 1 and "search" in command), command
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
