"""
Whole commands on a library of many images: what somebody waits for who types `pixfind search`.

    python -m benchmarks.process [--model DIR] [--n 624000] [--rounds 9] [--cold] [--json FILE]

Wall and processor time (user and system) of the new process, the commands in turns, after one round that is not counted: it writes the
bytecode that an installer would have written. The library is real but for its pictures: rows in SQLite, embeddings with the geometry of real ones (benchmarks/geometry.py), an
index built by pixfind, a model of `tools.make_model`, or the starter. Each command is a new process; with --cold nothing of the library's and the
model's files is in the page cache when it starts.
"""

import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.geometry import geometry, save

from pixfind.library.library import Library
from pixfind.models import hub, registry
from pixfind.search import build
from pixfind.storage.output import Output
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.options import EmbedOptions


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder) / "library"
        began = time.perf_counter()
        _make(place, options.model, options.n)
        print(f"library of {options.n:,} images made in {time.perf_counter() - began:.0f} s", flush=True)
        report = _measured(place, options)
    for command, found in report.items():
        print(
            f"{command:32} wall {found['wall_s']:.2f} s (best {found['best_s']:.2f}), "
            f"processor {found['cpu_s']:.2f} s (best {found['best_cpu_s']:.2f}), peak {found['peak_mb']:.0f} MB"
        )
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path(registry.STARTER))
    parser.add_argument("--n", type=int, default=624_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--place", type=Path, help="where the library lies while this runs")
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


def _commands() -> list[tuple[str, ...]]:
    return [
        ("search", "a red car"),
        ("search-text", "sky"),
        ("search", "dog +grass -people", "--distinct"),
        ("status",),
    ]


def _make(path: Path, model: Path, count: int) -> None:
    files = hub.resolve(str(model))
    with Library.create(path) as library, library.lock("benchmark"):
        choose_model(library, EmbedOptions(model=str(model), precision="fp32"), files)
        with contextlib.closing(sqlite3.connect(library.catalogue.path)) as database, database:
            database.execute("INSERT INTO roots (id, path, device, added_at) VALUES (1, '/pictures', 0, 0)")
            database.executemany(
                "INSERT INTO images (id, root_id, path, size, mtime_ns, hash, outcome, embedding_index, width, height, taken_at)"
                " VALUES (?, 1, ?, ?, ?, ?, 'embedded', ?, 4000, 3000, ?)",
                (
                    (row + 1, f"/pictures/{row // 1000:04}/image_{row:07}.jpg", row, row, row.to_bytes(16), row, row)
                    for row in range(count)
                ),
            )
        save(geometry(files.dimension), count, library.embeddings_path)
        build.build_index(library)


def _measured(place: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    commands = {" ".join(words): words for words in _commands()}
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    if options.cold:
        runs["cold: search a red car"] = []
    for turn in range(options.rounds + 1):
        for name, found in runs.items():
            if name not in commands:
                _forget([*place.rglob("*"), *options.model.rglob("*")])
            run = _run(place, commands.get(name, ("search", "a red car")))
            if turn:
                found.append(run)
    return {name: _summary(found) for name, found in runs.items()}


def _run(place: Path, words: tuple[str, ...]) -> tuple[float, float, float]:
    """Return wall seconds, processor seconds and the peak in MB of one command."""
    command = [sys.executable, "-m", "pixfind", "--library", str(place), *words]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def _summary(runs: list[tuple[float, float, float]]) -> dict[str, float]:
    walls, processors, peaks = zip(*runs, strict=True)
    return {
        "wall_s": statistics.median(walls),
        "best_s": min(walls),
        "cpu_s": statistics.median(processors),
        "best_cpu_s": min(processors),
        "peak_mb": max(peaks),
    }


def _forget(paths: list[Path]) -> None:
    """Empty the page cache of these files."""
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
