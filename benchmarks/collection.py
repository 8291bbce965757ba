"""
Several libraries searched as one: what a query costs, whether it finds what one exact scan finds, and what a killed member costs.

    python -m benchmarks.collection [--libraries 16] [--n 100000] [--model starter|DIR] [--served 2] [--json FILE]

The libraries are generated (benchmarks/generated.py), each with other images. "folders" searches all of them in one process; "served" has the last
ones behind a `pixfind serve` each. Queries are embeddings of texts, so that no encoder is part of the time; recall@10 is against one exact
scan over all rows. Under load, queries follow each other without a pause while one server is killed with SIGKILL and later started again. Full-size models:
`python -m tools.make_model`.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.generated import make_library
from benchmarks.geometry import geometry
from numpy import float32
from numpy.typing import NDArray

from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.collection.searcher import CollectionSearcher
from pixfind.index import exact
from pixfind.library.library import Library
from pixfind.search.query import Query
from pixfind.search.results import SearchResult
from pixfind.storage.output import Output
from pixfind.testing.servers import Server, serving

_K = 10
_WARM = 10
"""queries that are not counted"""

_CHECKED = 50
"""queries whose answer is compared with the exact scan"""

_TIMEOUT = 60.0
"""seconds of one answer: that nothing is missing for being slow on a busy machine"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="pixfind-bench-", dir=options.place) as folder:
        place = options.libraries_at or Path(folder)
        paths = [place / f"library-{number:02}" for number in range(options.libraries)]
        _make_all(paths, options)
        queries = _queries(paths[0], options.queries)
        result: dict[str, Any] = {
            "libraries": len(paths), "images": options.n * len(paths), "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(), "load": os.getloadavg()[0],
        }  # fmt: skip
        with CollectionSearcher(_config(paths)) as searcher:
            result["folders"] = _measured(searcher, queries)
            result["recall@10"] = _recall(searcher, paths, queries[:_CHECKED])
        if options.served:
            with (
                _served(paths, options.served, Path(folder)) as (config, servers),
                CollectionSearcher(config) as searcher,
            ):
                result["served"] = _measured(searcher, queries)
                result["a member killed"] = _under_load(searcher, queries, servers[-1], paths[-1], Path(folder))
    for name, found in result.items():
        print(f"{name}: {found}")
    if options.json:
        options.json.write(json.dumps(result, indent=1).encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libraries", type=int, default=16)
    parser.add_argument("--n", type=int, default=100_000, help="images of each library")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--served", type=int, default=2, help="how many libraries are behind a server each")
    parser.add_argument("--place", type=Path, help="where everything lies while this runs")
    parser.add_argument(
        "--libraries-at", type=Path, help="keep the libraries in this folder, and use those that are there"
    )
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


def _make_all(paths: list[Path], options: argparse.Namespace) -> None:
    began = time.perf_counter()
    for number, path in enumerate(paths):
        if not path.exists():
            make_library(path, options.model, options.n, pictures=Path(f"/pictures/{number}"), part=number)
    print(f"{len(paths)} libraries of {options.n:,} images made in {time.perf_counter() - began:.0f} s", flush=True)


def _queries(path: Path, count: int) -> list[NDArray[float32]]:
    """Return unit rows [d] of texts."""
    with Library.open(path) as library:
        return list(geometry(library.dimension).texts(count, 7))


def _config(paths: list[Path]) -> CollectionConfig:
    return CollectionConfig(tuple(MemberConfig(path.name, path=path) for path in paths), _TIMEOUT)


@contextlib.contextmanager
def _served(paths: list[Path], count: int, logs: Path) -> Iterator[tuple[CollectionConfig, list[Server]]]:
    """Put the last libraries behind a server each."""
    config = _config(paths)
    members = list(config.members)
    with contextlib.ExitStack() as running:
        servers = []
        for number, path in list(enumerate(paths))[-count:]:
            servers.append(running.enter_context(serving(path, logs / f"{path.name}.log")))
            members[number] = MemberConfig(path.name, address=servers[-1].address)
        yield dataclasses.replace(config, members=tuple(members)), servers


def _search(searcher: CollectionSearcher, query: NDArray[float32]) -> SearchResult:
    return searcher.search(Query(()), _K, include_weak=True, vectors=[query])


def _measured(searcher: CollectionSearcher, queries: list[NDArray[float32]]) -> dict[str, float]:
    began = time.perf_counter()
    _search(searcher, queries[0])
    first = time.perf_counter() - began
    for query in queries[:_WARM]:
        _search(searcher, query)
    taken, used = [], time.process_time()
    for query in queries[_WARM:]:
        began = time.perf_counter()
        found = _search(searcher, query)
        taken.append(time.perf_counter() - began)
        assert not found.missing
        assert len(found) == _K
    processor = (time.process_time() - used) / len(taken)
    return {**_percentiles(taken), "processor ms": _ms(processor), "first ms": _ms(first)}


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {"p50 ms": _ms(statistics.median(seconds)), "p99 ms": _ms(float(np.percentile(seconds, 99)))}


def _ms(seconds: float) -> float:
    return round(1_000 * seconds, 1)


def _recall(searcher: CollectionSearcher, paths: list[Path], queries: list[NDArray[float32]]) -> dict[str, float]:
    """Compare with one exact scan over the rows of all libraries."""
    began = time.perf_counter()
    true: list[list[tuple[float, str, int]]] = [[] for _ in queries]
    for path in paths:
        with Library.open(path) as library:
            embeddings = library.embeddings()
            rows, _ = exact.scan(embeddings, np.array(queries), _K)
            for place, query in enumerate(queries):
                # By the formula of the answers: a scan of many queries at once adds in another order.
                scores = exact.scores(embeddings[rows[place]], query)
                true[place] += [
                    (-float(score), path.name, int(row)) for score, row in zip(scores, rows[place], strict=True)
                ]
    seconds = (time.perf_counter() - began) / len(queries)
    found = [{(hit.library, hit.embedding_index) for hit in _search(searcher, query)} for query in queries]
    wanted = [{(name, row) for _, name, row in sorted(each)[:_K]} for each in true]
    right = sum(len(one & other) for one, other in zip(found, wanted, strict=True))
    return {"recall@10": right / (_K * len(queries)), "exact scan, ms a query": _ms(seconds)}


def _under_load(
    searcher: CollectionSearcher, queries: list[NDArray[float32]], server: Server, path: Path, logs: Path
) -> dict[str, Any]:
    """Ask all queries one after the other; a third of the way a server is killed, and two thirds of the way it is started again."""
    taken: list[float] = []
    incomplete: list[int] = []
    with contextlib.ExitStack() as again:
        for number, query in enumerate(queries):
            if number == len(queries) // 3:
                server.process.kill()
            if number == 2 * len(queries) // 3:
                again.enter_context(serving(path, logs / "again.log", "--port", str(server.port)))
            began = time.perf_counter()
            found = _search(searcher, query)
            taken.append(time.perf_counter() - began)
            if found.missing:
                assert [path.name] == [one.library for one in found.missing]
                incomplete.append(number)
    return {
        "answers": len(taken), "without the killed member, and saying so": len(incomplete), **_percentiles(taken),
        "longest ms": _ms(max(taken)), "first incomplete": incomplete[0], "last incomplete": incomplete[-1], "killed at": len(queries) // 3,
        "started again at": 2 * len(queries) // 3,
    }  # fmt: skip


if __name__ == "__main__":
    main()
