"""
Registering the objects of a large bucket, and scanning it again: time, processor time and memory.

    python -m benchmarks.listing [--n 1000000] [--latency 0] [--place DIR] [--json FILE]

The bucket is a server of this benchmark that makes each page of the listing when it is asked for, in a process of its own. "listing" is the client alone:
all pages are fetched and nothing is done with them. With `--latency` each page comes so many milliseconds after it was asked for, as those of a store on another machine do.
"""

import argparse
import contextlib
import http.server
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from pixfind.storage.output import Output

_PAGE = 1_000
_FOLDER = 500
"""objects with one prefix"""
_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark"}

_LISTING = """
import sys
from pixfind.images.source import stores
store = stores.opened("s3", "photos", {"endpoint": sys.argv[1]})
print(sum(len(page) for page in store.list("trip", chunk_size=1000)))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--place", type=Path, help="where the library lies while this runs")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.place) as folder,
        _bucket(options.n, options.latency / 1000) as endpoint,
    ):
        add = ["-m", "pixfind", "--library", folder + "/library", "add", "s3://photos/trip", "--endpoint", endpoint]
        report = {
            "listing": _run(["-c", _LISTING, endpoint]),
            "first": _run([*add, "--model", "starter"]),
            "again": _run(add),
        }
    for name, (wall, processor, megabytes) in report.items():
        print(f"{name:8} {wall:6.1f} s, {processor:6.1f} s of processor, {megabytes:5.0f} MB at most")
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _run(arguments: list[str]) -> tuple[float, float, float]:
    """Return the seconds by the clock, those of processor, and the most megabytes of one Python process."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], env={**os.environ, **_ENVIRONMENT}) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@contextlib.contextmanager
def _bucket(count: int, latency: float) -> Iterator[str]:
    """Serve a bucket of `count` objects, each page after `latency` seconds; give its address."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(its, count, latency), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()


def _serve(tell: Connection, count: int, latency: float) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            body = _page(int(query.get("continuation-token", 0)), count).encode()
            time.sleep(latency)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tell.send(server.server_port)
        server.serve_forever()


def _page(start: int, count: int) -> str:
    end = min(start + _PAGE, count)
    entries = "".join(
        f"<Contents><Key>trip/{number // _FOLDER:06}/IMG_{number:08}.jpg</Key><LastModified>2024-05-04T03:02:01.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{2_000_000 + number}</Size></Contents>"
        for number in range(start, end)
    )
    more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
    return (
        f"<ListBucketResult><Name>photos</Name><KeyCount>{end - start}</KeyCount>"
        f"<IsTruncated>{str(end < count).lower()}</IsTruncated>{more}{entries}</ListBucketResult>"
    )


if __name__ == "__main__":
    main()
