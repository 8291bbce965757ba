"""
How each step grows with the library: `add`, adopt, `merge`, `status`, `verify` and a second `add`, without pictures.

    python -m benchmarks.growth [--rows 500000,1000000,5000000] [--place DIR] [--json FILE]

The walk tells of files that are not there, and a worker answers without decoding: rows of the starter's length are in its files before they
are adopted. Everything else is what pixfind does: SQLite, checksums, syncs. Each size runs in a process of its own. At the end the exponent
of each step's processor time between the smallest and the largest size: 1 is linear.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pixfind.images import source
from pixfind.library import commit, merge, scan, verify
from pixfind.library.library import Library, ModelIdentity
from pixfind.storage.embedding_files import INDEX_ROW
from pixfind.storage.output import Output
from pixfind.workflows.status import status

_DIMENSION = 128
_BLOCK = 50_000
_FOLDER_FILES = 1_000
_TIME = 1_600_000_000_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="500000,1000000,5000000")
    parser.add_argument("--place", type=Path, help="where the library lies while this runs")
    parser.add_argument("--json", type=Output.at)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measured(options.child, int(options.rows))))
        return
    report: dict[int, dict[str, Any]] = {}
    for rows in map(int, options.rows.split(",")):
        with tempfile.TemporaryDirectory(dir=options.place) as folder:
            command = [sys.executable, "-m", "benchmarks.growth", "--rows", str(rows), "--child", folder]
            report[rows] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        steps = ", ".join(f"{step} {found['cpu_s']:.1f}" for step, found in report[rows]["steps"].items())
        print(f"{rows:>10,} rows, seconds of processor: {steps}; peak {report[rows]['peak_mb']:.0f} MB", flush=True)
    small, large = min(report), max(report)
    for step, found in report[large]["steps"].items() if small < large else ():
        times = found["cpu_s"] / max(report[small]["steps"][step]["cpu_s"], 1e-3)
        print(f"{step:<10} grows as rows^{math.log(times) / math.log(large / small):.2f}")
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _measured(place: Path, rows: int) -> dict[str, Any]:
    pictures = place / "pictures"
    pictures.mkdir()
    (pictures / "present.jpg").write_bytes(b"x")
    source.FolderWalk.files = lambda _: _files(pictures, rows)  # type: ignore[method-assign,assignment]
    steps: dict[str, dict[str, float]] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        began, used = time.perf_counter(), time.process_time()
        result = step()
        steps[name] = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - used}
        print(f"{rows:,} {name}: {steps[name]}", file=sys.stderr, flush=True)
        return result

    with Library.create(place / "library") as library, library.lock("benchmark"):
        library.remember_model(ModelIdentity("generated", "0" * 64, _DIMENSION, "fp32"))
        timed("add", lambda: scan.add(library, pictures))
        _write_worker_files(library, rows)
        adopted = timed("adopt", lambda: commit.adopt_left_behind(library))
        assert len(adopted.embedded) == rows
        timed("merge", lambda: merge.merge(library))
        timed("status", lambda: status(library))
        assert timed("verify", lambda: verify.verify(library)) == []
        again = timed("add again", lambda: scan.add(library, pictures))
        assert (again.new, again.changed, again.gone) == (0, 0, 0)
        size = sum(file.stat().st_size for file in (place / "library").rglob("*"))
    peak = getattr(psutil.Process().memory_info(), "peak_wset", 0) or _peak()
    return {"steps": steps, "bytes": size, "peak_mb": peak / 1e6}


def _peak() -> int:
    import resource  # missing on Windows, which tells it in another way

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _files(pictures: Path, rows: int) -> Iterator[source.File]:
    sizes = np.random.default_rng(0).integers(50_000, 8_000_000, rows)
    for number, size in enumerate(sizes):
        path = f"{pictures}/{number // _FOLDER_FILES:06}/image_{number:08}.jpg"
        yield source.File(path, int(size), _TIME + 1_000_000_000 * number)


def _write_worker_files(library: Library, rows: int) -> None:
    sizes = np.random.default_rng(0).integers(50_000, 8_000_000, rows)
    random = np.random.default_rng(1)
    with library.worker_pair(0, write=True) as pair:
        for first in range(0, rows, _BLOCK):
            numbers = np.arange(first, min(first + _BLOCK, rows))
            embeddings = random.standard_normal((len(numbers), _DIMENSION), np.float32).astype(np.float16)
            table = np.zeros(len(numbers), INDEX_ROW)
            table["image_id"] = numbers + 1
            table["fingerprint"]["size"] = sizes[numbers]
            table["fingerprint"]["mtime_ns"] = _TIME + 1_000_000_000 * numbers
            table["fingerprint"]["hash"] = np.frombuffer(random.bytes(16 * len(numbers)), "V16")
            table["crc32"] = [zlib.crc32(row) for row in embeddings]
            table["entry_crc32"] = [zlib.crc32(entry.tobytes()[:-4]) for entry in table]
            pair.append(table, embeddings)


if __name__ == "__main__":
    main()
