"""
Lists of addresses: what it costs to register one, to scan it again, and to filter by what it says.

    python -m benchmarks.lists [--n 1000000] [--place DIR]

Each scan is `pixfind add` in a new process, so that its memory is its own. The list of addresses is a CSV file in no order, with a licence, a width and a
caption in each row; half the licences are cc0, one in 10,000 is rare. Searches go to a library of as many embedded images with the same list.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.generated import make_library

from pixfind.library.library import Library
from pixfind.search.filters import parse
from pixfind.search.searcher import Searcher

_WHERE = (
    (),
    ("license=cc0",),
    ("license=rare",),
    ("width>3000",),
    ("width>3000", "license=rare"),
    ("caption~number 77",),
    ("license!=cc0",),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--place", type=Path, help="where library and files lie while this runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder)
        (place / "pictures").mkdir()
        make_library(place / "library", "starter", options.n, pictures=place / "pictures", files=True)
        files = [f"pictures/{at // 1000:05}/image_{at:08}.jpg" for at in range(options.n)]
        for name, addresses in (
            ("https", (f"https://pictures.invalid/{at}.jpg" for at in range(options.n))),
            ("files", files),
        ):
            path = _write(place / f"{name}.csv", addresses)
            for turn in ("registered", "scanned again"):
                print(f"{options.n:,} {name}, {turn}: {_add(place / name, path)}", flush=True)
        path = _write(place / "with_fields.csv", files)
        for turn in ("fields kept", "scanned again"):
            print(f"{options.n:,} files, {turn}: {_add(place / 'library', path, fields=True)}", flush=True)
        _search(place / "library")


def _write(path: Path, addresses: Iterable[str]) -> Path:
    rng = random.Random(0)
    rows = [
        f"{address},{'rare' if at % 10_000 == 0 else ('cc0', 'cc-by')[at % 2]},{at % 4_000},a picture with the number {at}\n"
        for at, address in enumerate(addresses)
    ]
    rng.shuffle(rows)
    path.write_text("url,license,width,caption\n" + "".join(rows), "utf-8")
    return path


def _add(library: Path, path: Path, *, fields: bool = False) -> str:
    keep = ["--keep", "license,width,caption"] if fields else []
    command = [
        sys.executable,
        "-m",
        "pixfind",
        "--library",
        str(library),
        "-q",
        "add",
        str(path),
        "--column",
        "url",
        *keep,
    ]
    began = time.perf_counter()
    process, highest = subprocess.Popen(command), 0
    # Not `ru_maxrss`: that of a child begins with what its parent had.
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        known = Path(f"/proc/{process.pid}/status").read_text("ascii", "replace")
        highest = max([highest, *(int(line.split()[1]) for line in known.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.05)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    wall = time.perf_counter() - began
    return f"{wall:.1f} s, processor {used.ru_utime + used.ru_stime:.1f} s, at most {highest / 1024:,.0f} MB"


def _search(path: Path) -> None:
    with Library.open(path) as library, Searcher(library) as searcher:
        for conditions in _WHERE:
            filters, seconds = parse(where=conditions), []
            for at in range(12):
                began = time.perf_counter()
                found = searcher.search(f"id:{1 + 997 * at}", 20, filters, include_weak=True)
                seconds.append(time.perf_counter() - began)
            print(
                f"{' and '.join(conditions) or 'no condition'}: {1000 * statistics.median(seconds[2:]):.1f} ms, {len(found.hits)} hits",
                flush=True,
            )


if __name__ == "__main__":
    main()
