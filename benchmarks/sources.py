"""
Embedding from each kind of source: the same pictures as files in a folder, in a zip, in a tar, and in a compressed tar.

    python -m benchmarks.sources --images DIR [--count 10000] [--rounds 3] [--place DIR] [--json FILE]

Pictures of DIR are repeated, each copy with a few other bytes at its end, so that none is a duplicate. The sources take turns; each run is a
`pixfind embed` process on a new library with the starter model, so reading and decoding are most of its work.
"""

import argparse
import collections
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import psutil

from pixfind.library.library import Library
from pixfind.storage.output import Output

SOURCES = ("pictures", "pictures.zip", "pictures.tar", "pictures.tar.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", type=Path, help="where pictures and libraries lie while this runs")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder)
        _make_sources(place, options.images, options.count)
        for number in range(options.rounds):
            for source in SOURCES:
                taken[source].append(_embed(place / source, place / f"library-{number}-{source}", options.count))
    report = {}
    for source, runs in taken.items():
        wall, processor = (statistics.median(column) for column in zip(*runs, strict=True))
        report[source] = {"images_s": options.count / wall, "processor_ms_per_image": 1000 * processor / options.count}
    files = report[SOURCES[0]]
    for source, found in report.items():
        print(
            f"{source:14} {found['images_s']:7.1f} images/s ({found['images_s'] / files['images_s']:.1%} of the folder), "
            f"{found['processor_ms_per_image']:.2f} ms of processor an image ({files['processor_ms_per_image'] / found['processor_ms_per_image']:.1%})"
        )
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


def _make_sources(place: Path, images: Path, count: int) -> None:
    originals = [path.read_bytes() for path in sorted(images.iterdir()) if path.is_file()]
    (place / "pictures").mkdir()
    with (
        zipfile.ZipFile(place / "pictures.zip", "w") as zipped,
        tarfile.open(place / "pictures.tar", "w") as tar,
        tarfile.open(place / "pictures.tar.gz", "w:gz") as compressed,
    ):
        for number in range(count):
            path = place / "pictures" / f"{number:06}.jpg"
            path.write_bytes(originals[number % len(originals)] + b"%d" % number)
            zipped.write(path, path.name)
            tar.add(path, path.name)
            compressed.add(path, path.name)


def _embed(source: Path, library: Path, count: int) -> tuple[float, float]:
    """Return the seconds of `pixfind embed` by the clock and of processor, all its processes together."""
    pixfind = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
    subprocess.run([*pixfind, "add", str(source), "--model", "starter"], check=True)
    before = _children()
    began = time.perf_counter()
    subprocess.run([*pixfind, "embed", "--cpu", "100%"], check=True)
    wall = time.perf_counter() - began
    with Library.open(library) as made:
        assert made.catalogue.ledger()["embedded"] == count
    return wall, _children() - before


def _children() -> float:
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
