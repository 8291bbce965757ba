"""
What a search costs and what it finds, per kind of index, beside the two obvious ways to do without one.

    python -m benchmarks.search --n 624000 [--json FILE] [--kinds codes,exact] [--cold]

Embeddings have the geometry of real ones (benchmarks/geometry.py); the queries that are timed are not those that the
index was built with. Contenders take turns within one run, so that a busy machine is busy for all of them; "cpu ms" is
processor time, over all threads, which a busy machine changes less than the time on the wall.

Each index is built in a process of its own, which tells its processor time and the most memory that it kept beside the page cache; of all
rows but one, which comes last: "one more" is what a single new image costs.
"""

import argparse
import json
import mmap
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.geometry import Geometry, geometry, save
from numpy import bool_, float16, float32, int64
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index import build, exact, header, reader
from pixfind.storage.output import Output

Rows = NDArray[int64]
Search = Callable[[NDArray[float32], Rows | None], tuple[NDArray[int64], NDArray[float32]]]
"""Queries [q, d] and allowed rows (None: all) to the ten best rows and their scores."""

_FILTERS = {"50 %": 0.5, "1 %": 0.01, "0.01 %": 0.0001}
_ROUNDS = 10
_RIVALS_UP_TO = 2_000_000
_BLOBS_UP_TO = 700_000
_BLOB_ROWS = 10_000


def main() -> None:
    options = _options()
    if options.child:
        what, path, file, name = options.child
        work = (
            partial(_opened_once, rows=options.n) if what == "open" else partial(_built_once, rows=options.n, name=name)
        )
        print(json.dumps(work(Path(path), Path(file))))
        return
    folder = Path(tempfile.mkdtemp(prefix="pixfind-bench-", dir=options.folder))
    try:
        result = _run(options, folder)
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    if options.json:
        options.json.write(json.dumps(result, indent=1).encode())
    print(_table(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    parser.add_argument("--n", type=int, default=624_000, help="images")
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--kinds", default="codes,wide codes,exact", help="kinds of index, with commas")
    parser.add_argument("--json", type=Output.at, help="write the figures here too")
    parser.add_argument("--folder", help="where the embeddings lie while it runs (2 bytes x n x dimension)")
    parser.add_argument("--embeddings", help="an .npy file of benchmarks.geometry to use instead of making one")
    parser.add_argument("--cold", action="store_true", help="also with nothing of the files in the page cache")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    made = geometry(options.dimension)
    path = Path(options.embeddings) if options.embeddings else folder / "embeddings.npy"
    embeddings = np.load(path, mmap_mode="r")[: options.n] if options.embeddings else save(made, options.n, path)
    result: dict[str, Any] = {"n": len(embeddings), "dimension": options.dimension, "machine": _machine(), "kinds": {}}
    contenders: dict[str, Search] = {}
    for name in options.kinds.split(","):
        file = folder / f"{name}.index"
        result["kinds"][name] = _built(name, embeddings, path, file, cold=options.cold)
        if "refused" not in result["kinds"][name]:
            contenders[name] = _ours(reader.open(file, embeddings))
    if len(embeddings) <= _RIVALS_UP_TO:
        contenders |= _rivals(embeddings, folder, result["kinds"])
    _measure(contenders, embeddings, made, result["kinds"])
    return result


def _built(name: str, embeddings: NDArray[float16], path: Path, file: Path, *, cold: bool) -> dict[str, Any]:
    rows = len(embeddings)
    facts = _in_a_process("build", path, file, rows - 1, name)
    if "refused" in facts:
        return facts
    print(f"{name}: built in {facts['build_s']:.0f} s, {facts['build_cpu_s']:.0f} s of processor", flush=True)
    more = _in_a_process("build", path, file, rows, name)
    facts |= {"bytes": file.stat().st_size, "one more": more}
    facts |= _in_a_process("open", path, file, rows)
    if cold:
        _forget(embeddings, path, file)
        facts["cold"] = _in_a_process("open", path, file, rows)
    return facts


def _in_a_process(what: str, path: Path, file: Path, rows: int, name: str = "") -> dict[str, Any]:
    child = [what, str(path), str(file), name]
    command = [sys.executable, "-m", "benchmarks.search", "--n", str(rows), "--child", *child]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def _built_once(path: Path, file: Path, rows: int, name: str) -> dict[str, Any]:
    """Build or extend the index of the first `rows`, in a fresh process."""
    import faiss  # noqa: F401  not part of the time

    embeddings = np.load(path, mmap_mode="r")[:rows]
    queries = geometry(embeddings.shape[1]).texts(200, 1)
    began, used, peak = time.perf_counter(), time.process_time(), _Peak()
    try:
        report = build.build(embeddings, file, queries=queries, kind=header.IndexKind(name))
    except errors.IndexFloorMissed as error:
        print(f"{name}: refused after {time.process_time() - used:.0f} s of processor: {error}", file=sys.stderr)
        return {"refused": str(error)}
    finally:
        most = peak.stop()
    return {
        "build_s": time.perf_counter() - began,
        "build_cpu_s": time.process_time() - used,
        "build_mb": most / 1e6,
        "measuring_s": report.measured_seconds,
        "rerank": report.header.rerank,
        "probes": report.header.probes,
        "built_recall_text": report.header.recall_text,
    }


class _Peak:
    """The most memory of its own that this process had, looked at twenty times a second."""

    def __init__(self) -> None:
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            self._most = max(self._most, _anonymous())

    def stop(self) -> int:
        """Return it, in bytes."""
        self._ended.set()
        self._thread.join()
        return self._most


def _opened_once(path: Path, file: Path, rows: int) -> dict[str, Any]:
    """Load and first searches in a fresh process, and what it keeps in memory of its own."""
    import faiss  # noqa: F401  not part of the loading time

    queries = geometry(np.load(path, mmap_mode="r").shape[1]).texts(20, 3)
    before = _anonymous()
    began = time.perf_counter()
    opened = reader.open(file, np.load(path, mmap_mode="r")[:rows])
    loaded = time.perf_counter()
    opened.search(queries[:1], 10)
    first = time.perf_counter()
    later = _times(lambda place: opened.search(queries[place : place + 1], 10), range(1, 20))
    return {
        "load_s": loaded - began,
        "first_ms": 1000 * (first - loaded),
        "later_ms": statistics.median(later),
        "own_memory_mb": (_anonymous() - before) / 1e6,
    }


def _anonymous() -> int:
    """Bytes of memory that are not the page cache's; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def _forget(embeddings: NDArray[float16], *paths: Path) -> None:
    """Empty the page cache of these files."""
    # Pages that this process has mapped would stay.
    embeddings._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]  # noqa: SLF001  NumPy has no public way
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# --- contenders -----------------------------------------------------------------------------------


def _ours(opened: reader.Index) -> Search:
    return lambda queries, rows: opened.search(queries, 10, rows)


def _rivals(embeddings: NDArray[float16], folder: Path, kinds: dict[str, Any]) -> dict[str, Search]:
    began = time.perf_counter()
    wide = np.empty(embeddings.shape, dtype=float32)
    for start in range(0, len(wide), _BLOB_ROWS):
        wide[start : start + _BLOB_ROWS] = embeddings[start : start + _BLOB_ROWS]
    kinds["float32 in memory"] = {"build_s": time.perf_counter() - began, "own_memory_mb": wide.nbytes / 1e6}

    def matrix(queries: NDArray[float32], rows: Rows | None) -> tuple[NDArray[int64], NDArray[float32]]:
        return _best(queries @ (wide if rows is None else wide[rows]).T, rows)

    began = time.perf_counter()
    if len(wide) > _BLOBS_UP_TO:
        return {"float32 in memory": matrix}
    database = _blobs(wide, folder / "blobs.db")
    size = (folder / "blobs.db").stat().st_size
    kinds["SQLite blobs"] = {"build_s": time.perf_counter() - began, "bytes": size}
    return {"float32 in memory": matrix, "SQLite blobs": lambda queries, rows: _scan_blobs(database, queries, rows)}


def _best(scores: NDArray[float32], rows: Rows | None) -> tuple[NDArray[int64], NDArray[float32]]:
    k = min(10, scores.shape[1])
    places = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-found, axis=1)
    places = np.take_along_axis(places, order, axis=1)
    return places if rows is None else rows[places], np.take_along_axis(found, order, axis=1)


def _blobs(wide: NDArray[float32], path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE images (id INTEGER PRIMARY KEY, vector BLOB)")
    database.executemany("INSERT INTO images VALUES (?, ?)", ((row, wide[row].tobytes()) for row in range(len(wide))))
    database.commit()
    return database


def _scan_blobs(
    database: sqlite3.Connection, queries: NDArray[float32], rows: Rows | None
) -> tuple[NDArray[int64], NDArray[float32]]:
    """As programs do that keep embeddings beside the paths: read all, score in chunks, keep the best."""
    if rows is None:
        cursor = database.execute("SELECT id, vector FROM images ORDER BY id")
    else:
        ids = (json.dumps(rows.tolist()),)
        cursor = database.execute(
            "SELECT id, vector FROM images WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", ids
        )
    best: tuple[Any, Any] | None = None
    while chunk := cursor.fetchmany(_BLOB_ROWS):
        numbers = np.array([row for row, _ in chunk])
        vectors = np.frombuffer(b"".join(blob for _, blob in chunk), dtype=float32).reshape(len(chunk), -1)
        found, scores = _best(queries @ vectors.T, numbers)
        if best is not None:
            found, scores = np.hstack([best[0], found]), np.hstack([best[1], scores])
        order = np.argsort(-scores, axis=1)[:, :10]
        best = np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)
    assert best is not None
    return best


# --- measuring ------------------------------------------------------------------------------------


def _measure(
    contenders: dict[str, Search], embeddings: NDArray[float16], made: Geometry, kinds: dict[str, Any]
) -> None:
    texts, images = made.texts(300, 2), made.images(100, 7)
    random = np.random.default_rng(5)
    allowed = {name: np.flatnonzero(random.random(len(embeddings)) < share) for name, share in _FILTERS.items()}
    truth = {"text": exact.scan(embeddings, texts, 10)[1], "image": exact.scan(embeddings, images, 10)[1]}
    for name, search in contenders.items():
        if name in {"SQLite blobs", "float32 in memory"}:
            continue
        kinds[name]["recall_text"] = _recall(search(texts, None)[1], truth["text"])
        kinds[name]["recall_image"] = _recall(search(images, None)[1], truth["image"])
        for share, rows in allowed.items():
            right = exact.scan(embeddings, texts[:50], 10, rows)[1]
            kinds[name][f"recall {share}"] = _recall(search(texts[:50], rows)[1], right)
    _take_turns(contenders, texts, None, "1", kinds)
    for share, rows in allowed.items():
        _take_turns(contenders, texts, rows, f"filter {share}", kinds)
    for name, search in contenders.items():
        if name != "SQLite blobs":
            times = _times(partial(_one_batch, search, texts[:64]), range(3))
            kinds[name]["64 p50_ms"] = statistics.median(times)


def _take_turns(
    contenders: dict[str, Search], texts: NDArray[float32], rows: Rows | None, what: str, kinds: dict[str, Any]
) -> None:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    processor: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(_ROUNDS):
        for name, search in contenders.items():
            slow = bool(times[name]) and times[name][0] > 100
            if slow and turn >= 5:
                continue
            # The first turn tells how long one takes.
            span = range(turn * 20, turn * 20 + (1 if slow or not turn else 20))
            used = time.process_time()
            times[name] += _times(partial(_one_query, search, texts, rows), span)
            processor[name].append(1000 * (time.process_time() - used) / len(span))
    for name, taken in times.items():
        kinds[name][f"{what} p50_ms"] = statistics.median(taken)
        kinds[name][f"{what} cpu_ms"] = statistics.median(processor[name])
        kinds[name][f"{what} p99_ms"] = float(np.quantile(taken, 0.99))


def _one_query(search: Search, texts: NDArray[float32], rows: Rows | None, place: int) -> None:
    search(texts[place : place + 1], rows)


def _one_batch(search: Search, texts: NDArray[float32], _: int) -> None:
    search(texts, None)


def _times(run: Callable[[int], Any], places: range) -> list[float]:
    taken = []
    for place in places:
        began = time.perf_counter()
        run(place)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def _recall(found: NDArray[float32], right: NDArray[float32]) -> float:
    """By score: among equal rows any is right. Where fewer than ten are allowed, all of those must be there."""
    there: NDArray[bool_] = np.isfinite(right)
    worst = np.where(there, right, np.inf).min(axis=1, keepdims=True)
    hits = np.minimum((found >= worst - 1e-6).sum(axis=1), there.sum(axis=1)).sum()
    return float(hits / max(int(there.sum()), 1))


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"


def _table(result: dict[str, Any]) -> str:
    columns = {
        "build s": "build_s", "cpu s": "build_cpu_s", "build MB": "build_mb", "one more s": "one more", "MB": "bytes", "load ms": "load_s", "own MB": "own_memory_mb", "1: p50 ms": "1 p50_ms",
        "p99": "1 p99_ms", "cpu ms": "1 cpu_ms", "64: ms": "64 p50_ms", "text recall": "recall_text", "image": "recall_image",
        "50 %: ms": "filter 50 % p50_ms", "recall": "recall 50 %", "1 %: ms": "filter 1 % p50_ms", " recall": "recall 1 %",
        "0.01 %: ms": "filter 0.01 % p50_ms", "  recall": "recall 0.01 %", "cold first ms": "cold",
    }  # fmt: skip
    lines = [f"{result['n']:,} x {result['dimension']}, {result['machine']}", "", f"| kind | {' | '.join(columns)} |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, facts in result["kinds"].items():
        lines.append(f"| {name} | {' | '.join(_cell(key, facts.get(key)) for key in columns.values())} |")
    return "\n".join(lines)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key == "one more":
        return f"{value['build_s']:.1f}"
    if key == "cold":
        return f"{value['first_ms']:.0f}"
    if "recall" in key:
        return f"{value:.4f}"
    scaled = {"bytes": 1e-6, "load_s": 1e3}.get(key, 1) * value
    return f"{scaled:.2f}" if scaled < 10 else f"{scaled:,.0f}"


if __name__ == "__main__":
    main()
