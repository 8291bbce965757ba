"""
What is written to the disk for each image, by file: new pictures are added to a library that holds many already, embedded and
merged.

    python -m benchmarks.writing [--n 20000] [--rows 600000] [--cpu 100%] [--json FILE]

Needs strace. Counted are whole pages of 4 KiB, as a disk takes them: at each sync those that were written since the one before. The
journal of the file system comes on top; it is not ours, and differs between file systems.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generated import make_library

from pixfind.storage.output import Output
from pixfind.testing import make_pictures

_PAGE = 4096
_CALLS = "write,pwrite64,writev,fsync,fdatasync,ftruncate"
_STRACE = ("strace", "-ff", "-qq", "--seccomp-bpf", "-y", "-s", "0", "-e", "signal=none", "-e", f"trace={_CALLS}")
_CALL = re.compile(
    r"^(?P<name>\w+)\(\d+<(?P<path>/[^>]*)>(?:, \"\"\.*, (?P<length>\d+)(?:, (?P<offset>\d+))?)?.*\) += (?P<done>-?\d+)"
)


@dataclass(slots=True)
class _File:
    """What was written to one file."""

    bytes: int = 0
    """that the program wrote"""
    pages: int = 0
    """that the disk took"""
    syncs: int = 0
    end: int = 0
    waiting: set[int] = field(default_factory=set)
    """pages since the last sync"""

    def write(self, offset: int | None, length: int) -> None:
        first = self.end if offset is None else offset
        self.end = first + length
        self.bytes += length
        self.waiting.update(range(first // _PAGE, (first + length - 1) // _PAGE + 1))

    def sync(self) -> None:
        self.syncs += bool(self.waiting)
        self.pages += len(self.waiting)
        self.waiting.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="new pictures")
    parser.add_argument("--rows", type=int, default=600_000, help="images that the library holds before")
    parser.add_argument("--cpu", default="100%")
    parser.add_argument("--place", type=Path, help="where the library lies while this runs")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder)
        make_library(place / "library", "starter", options.rows, index=False)
        for first in range(0, options.n, 1000):
            make_pictures(
                place / "new" / f"{first // 1000:04}", min(1000, options.n - first), first=first, size=(48, 36)
            )
        steps = {
            "add": _written(place, "add", str(place / "new")),
            "embed": _written(place, "embed", "--cpu", options.cpu),
        }
    told = {}
    for step, files in steps.items():
        _print(step, files, options.n)
        told[step] = {
            name: {"bytes": each.bytes, "pages": each.pages, "syncs": each.syncs} for name, each in files.items()
        }
    if options.json:
        options.json.write(json.dumps({"n": options.n, "rows": options.rows, "steps": told}, indent=1).encode())


def _written(place: Path, *words: str) -> dict[str, _File]:
    """Run one command and return what it and its workers wrote."""
    calls = place / f"calls-{words[0]}"
    calls.mkdir()
    command = [sys.executable, "-m", "pixfind", "-q", "--library", str(place / "library"), *words]
    subprocess.run([*_STRACE, "-o", str(calls / "calls"), *command], check=True, stdout=subprocess.DEVNULL)
    return _files(calls, place / "library")


def _files(calls: Path, library: Path) -> dict[str, _File]:
    """Return what was written to each kind of file of the library; a worker's files count as one kind."""
    found: dict[str, _File] = collections.defaultdict(_File)
    for path in calls.iterdir():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            call = _CALL.match(line)
            if call and call["path"].startswith(f"{library}/") and int(call["done"]) >= 0:
                _apply(found[call["path"]], call)
    kinds: dict[str, _File] = collections.defaultdict(_File)
    for name, file in found.items():
        file.sync()
        kind = kinds[re.sub(r"\d+", "N", os.path.relpath(name, library))]
        kind.bytes, kind.pages, kind.syncs = kind.bytes + file.bytes, kind.pages + file.pages, kind.syncs + file.syncs
    return dict(sorted(kinds.items(), key=lambda item: -item[1].pages))


def _apply(file: _File, call: "re.Match[str]") -> None:
    match call["name"]:
        case "fsync" | "fdatasync":
            file.sync()
        case "ftruncate":
            pass
        case _:
            file.write(None if call["offset"] is None else int(call["offset"]), int(call["done"]))


def _print(step: str, files: dict[str, _File], count: int) -> None:
    print(f"{step:<40}{'bytes an image':>16}{'in pages':>12}{'syncs':>10}")
    for name, file in files.items():
        print(f"{name:<40}{file.bytes / count:>16.0f}{file.pages * _PAGE / count:>12.0f}{file.syncs:>10,}")
    pages, total = sum(file.pages for file in files.values()), sum(file.bytes for file in files.values())
    print(f"{'all':<40}{total / count:>16.0f}{pages * _PAGE / count:>12.0f}")


if __name__ == "__main__":
    main()
