"""
`pixfind serve --watch`: seconds from a file that is copied into a watched folder to its hit, and what a watch costs at rest.

    python -m benchmarks.watch [--model starter|DIR] [--pictures 200] [--rounds 50] [--rest 120] [--json FILE]

Each copy is one file of 640 x 480; the server is asked every 50 ms until it answers with it. Memory is the proportional set size (Linux) of the watch, and
of its worker, which has the model loaded. Full-size models: `python -m tools.make_model`.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from pixfind.library import watch_lock
from pixfind.library.library import Library
from pixfind.storage.output import Output
from pixfind.testing import make_pictures
from pixfind.testing.servers import Server, serving
from pixfind.testing.waiting import wait_for
from pixfind.workflows.index import index
from pixfind.workflows.options import EmbedOptions

_POLL_SECONDS = 0.05
_LIMIT_SECONDS = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--pictures", type=int, default=200, help="in the library at the beginning")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument(
        "--rest", type=float, default=120.0, help="seconds over which processor time at rest is measured"
    )
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_pictures(place / "pictures", options.pictures, size=(640, 480))
        (place / "pictures" / "new").mkdir()
        new = make_pictures(place / "elsewhere", options.rounds + 1, first=100_000, size=(640, 480))
        with Library.create(place / "library") as library:
            index(library, [place / "pictures"], EmbedOptions(model=options.model))
        with serving(place / "library", place / "serve.log", "--watch") as server:
            report = _measure(place, server, new, options.rest)
    print(
        f"file to hit: median {report['median_s']:.2f} s, worst {report['worst_s']:.2f} s of {options.rounds}; "
        f"the first, with the start of a worker, {report['first_s']:.2f} s"
    )
    print(
        f"at rest: the watch {report['watch_mb']:.0f} MB, its worker with the model {report['worker_mb']:.0f} MB; "
        f"{report['watch_cpu_s_hour']:.1f} s and {report['worker_cpu_s_hour']:.1f} s of processor an hour"
    )
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _measure(place: Path, server: Server, new: list[Path], rest: float) -> dict[str, Any]:
    wait_for(lambda: _watch(place) is not None, limit=_LIMIT_SECONDS)
    # The first one starts the worker; later ones find it with the model loaded.
    first, *seconds = [_seconds_to_hit(server, path, place / "pictures" / "new") for path in new]
    watch = _watch(place)
    assert watch is not None
    (worker,) = watch.children()
    before = _processor_seconds(watch), _processor_seconds(worker)
    time.sleep(rest)
    after = _processor_seconds(watch), _processor_seconds(worker)
    return {
        "first_s": first,
        "median_s": statistics.median(seconds),
        "worst_s": max(seconds),
        "seconds": seconds,
        "watch_mb": watch.memory_full_info().pss / 1e6,
        "worker_mb": worker.memory_full_info().pss / 1e6,
        "watch_cpu_s_hour": (after[0] - before[0]) * 3600 / rest,
        "worker_cpu_s_hour": (after[1] - before[1]) * 3600 / rest,
    }


def _watch(place: Path) -> psutil.Process | None:
    """Return the process that watches, once it notices changes."""
    state = watch_lock.read(place / "library")
    return psutil.Process(state.pid) if state is not None and state.pid else None


def _seconds_to_hit(server: Server, path: Path, folder: Path) -> float:
    began = time.perf_counter()
    shutil.copy(path, folder)
    parameters = {"q": "red", "all": "true", "k": "100", "in": str(folder)}
    while time.perf_counter() - began < _LIMIT_SECONDS:
        answer = requests.get(f"{server.address}/api/search", params=parameters, timeout=_LIMIT_SECONDS)
        answer.raise_for_status()
        if path.name in [hit["name"] for hit in answer.json()["hits"]]:
            return time.perf_counter() - began
        time.sleep(_POLL_SECONDS)
    message = f"{path.name} was not found within {_LIMIT_SECONDS:g} s"
    raise TimeoutError(message)


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
