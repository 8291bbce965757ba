"""
A server under load: many clients that search at once, each for something else; then the same queries again and again.

    python -m benchmarks.serve --n 50000 --clients 50 --seconds 60 [--workers N] [--place DIR] [--json FILE]

Library and pictures are made once in DIR and used again. Client and server are processes of their own; every request asks for
60 hits, as the page does. Memory is that of all processes of the server: what several of them share is counted once (their proportional set sizes).
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from pixfind.storage.output import Output
from pixfind.testing import make_pictures
from pixfind.testing.servers import Server, serving

_SIZE = (48, 36)
_REPEATED = 5_000
_DIFFERENT = 100
_WORDS = (  # noqa: SIM905  reads as a list
    "red orange yellow green blue purple pink black white grey brown dark bright sky sea beach sunset forest snow mountain river "
    "night city flower tree field lake cloud rain storm road house bridge desert autumn winter spring summer morning evening "
    "moon stars water grass leaf sand rock island boat wave shore horizon meadow garden"
).split()


def main() -> None:
    arguments = _arguments()
    if arguments.client:
        print(json.dumps(asyncio.run(_load(arguments))))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.place or Path(folder)
        library = _library(place, arguments.n)
        log = Path(folder) / "serve.log"
        began = time.perf_counter()
        with serving(library, log, "--workers", str(arguments.workers)) as server:
            asked = {name: getattr(arguments, name) for name in ("n", "clients", "workers")}
            result = {**asked, **_first(server, began)}
            result["megabytes_at_start"] = _megabytes(server)
            for name, options in (
                ("distinct", ("--seconds", str(arguments.seconds))),
                ("repeated", ("--requests", str(_REPEATED))),
            ):
                before = _cpu_seconds(server)
                result[name] = _clients(server, arguments.clients, *options)
                result[name]["server_cpu_seconds"] = _cpu_seconds(server) - before
            result["megabytes_at_end"] = _megabytes(server)
    _show(result)
    if arguments.json:
        arguments.json.write(json.dumps(result, indent=2).encode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1, help="of the server")
    parser.add_argument("--place", type=Path, help="keeps pictures and library for the next call")
    parser.add_argument("--json", type=Output.at)
    parser.add_argument("--client", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _library(place: Path, n: int) -> Path:
    pictures, library = place / f"pictures-{n}", place / f"library-{n}"
    if not pictures.exists():
        make_pictures(pictures, n, size=_SIZE)
    if not (library / "data/faiss.index").exists():
        for words in (("add", str(pictures), "--model", "starter"), ("embed", "--cpu", "100%"), ("build-index",)):
            subprocess.run([sys.executable, "-m", "pixfind", "-q", "--library", str(library), *words], check=True)
    return library


def _processes(server: Server) -> list[psutil.Process]:
    process = psutil.Process(server.process.pid)
    return [process, *process.children(recursive=True)]


def _megabytes(server: Server) -> float:
    return sum(process.memory_full_info().pss for process in _processes(server)) / 1e6


def _cpu_seconds(server: Server) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _processes(server))


def _first(server: Server, began: float) -> dict[str, float]:
    """Milliseconds from the start of the process to the page, and of the first search."""
    requests.get(f"{server.address}/", timeout=60)
    page = time.perf_counter()
    requests.get(f"{server.address}/api/search?q=sunset+over+the+sea&k=60", timeout=60)
    return {"first_page_ms": 1e3 * (page - began), "first_search_ms": 1e3 * (time.perf_counter() - page)}


def _clients(server: Server, clients: int, *options: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.serve",
        "--client",
        server.address,
        "--clients",
        str(clients),
        *options,
    ]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def _show(result: dict[str, Any]) -> None:
    print(
        f"{result['n']:,} images, {result['workers']} worker(s) of the server, {result['clients']} clients, 60 hits an answer"
    )
    print(
        f"process start to first page {result['first_page_ms']:.0f} ms, then first search {result['first_search_ms']:.1f} ms"
    )
    print(
        f"{'queries':<10}{'requests':>10}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'most ms':>9}{'errors':>8}{'server cpu':>12}"
    )
    for name in ("distinct", "repeated"):
        row = result[name]
        print(
            f"{name:<10}{row['requests']:>10,}{row['per_second']:>10.0f}{row['p50_ms']:>9.1f}{row['p99_ms']:>9.1f}{row['most_ms']:>9.1f}"
            f"{row['errors']:>8}{row['server_cpu_seconds']:>10.1f} s"
        )
    print(
        f"memory of the server: {result['megabytes_at_start']:.0f} MB at the start, {result['megabytes_at_end']:.0f} MB at the end"
    )


# --- the clients, in their own process --------------------------------------------------------------


async def _load(arguments: argparse.Namespace) -> dict[str, Any]:
    """Let all clients ask until the time or the requests are over; each keeps its connection."""
    queries = _repeated(arguments.requests) if arguments.requests else _distinct()
    ends = float("inf") if arguments.requests else time.perf_counter() + arguments.seconds
    taken: list[float] = []
    errors = [0]
    began = time.perf_counter()
    await asyncio.gather(*(_client(arguments.client, queries, ends, taken, errors) for _ in range(arguments.clients)))
    seconds = time.perf_counter() - began
    p50, p99, most = (1e3 * float(value) for value in np.quantile(taken, [0.5, 0.99, 1.0]))
    return {
        "requests": len(taken),
        "per_second": len(taken) / seconds,
        "p50_ms": p50,
        "p99_ms": p99,
        "most_ms": most,
        "errors": errors[0],
    }


def _distinct() -> Iterator[str]:
    """Queries of three words, no two alike, in an order that has no neighbours."""
    random = np.random.default_rng(0)
    triples = random.permutation(len(_WORDS) ** 3)
    for number in triples.tolist():
        places = (number // len(_WORDS) ** power % len(_WORDS) for power in range(3))
        yield " ".join(_WORDS[place] for place in places)


def _repeated(requests: int) -> Iterator[str]:
    queries = list(itertools.islice(_distinct(), _DIFFERENT))
    return itertools.islice(itertools.cycle(queries), requests)


async def _client(address: str, queries: Iterator[str], ends: float, taken: list[float], errors: list[int]) -> None:
    parts = urllib.parse.urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for query in queries:
        began = time.perf_counter()
        if began > ends:
            break
        target = f"/api/search?{urllib.parse.urlencode({'q': query, 'k': 60})}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        taken.append(time.perf_counter() - began)
        errors[0] += not (head.startswith(b"HTTP/1.1 200") and b'"hits":[' in body)
    writer.close()


if __name__ == "__main__":
    main()
