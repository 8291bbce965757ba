"""
Embedding from each kind of source: the same pictures as files in a folder, in a zip, in a tar, in a compressed tar, in a bucket, and in a zip and a tar in a bucket.

    python -m benchmarks.sources --images DIR [--count 10000] [--rounds 3] [--sources pictures,pictures.zip] [--place DIR] [--json FILE]

Pictures of DIR are repeated, each copy with a few other bytes at its end, so that none is a duplicate. The sources take turns; each run is a
`pixfind embed` process on a new library with the starter model, so reading and decoding are most of its work. The bucket is one of moto, in a process
of its own on this machine, whose time of processor is not counted: the images/s of the bucket are those that are left beside it. For a part of an object moto copies the whole of it: archives of 10,000 photographs in a bucket take hours there.
"""

import argparse
import collections
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from pixfind.library.library import Library
from pixfind.storage.output import Output

SOURCES = (
    "pictures",
    "pictures.zip",
    "pictures.tar",
    "pictures.tar.gz",
    "s3://pictures",
    "s3://archives/pictures.zip",
    "s3://archives/pictures.tar",
)
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""any: moto takes them all"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--sources",
        type=lambda text: text.split(","),
        default=SOURCES,
        help="some of them, with commas; the first is what the others are compared with",
    )
    parser.add_argument("--place", type=Path, help="where pictures and libraries lie while this runs")
    parser.add_argument("--json", type=Output.at)
    options = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    os.environ |= _CREDENTIALS
    with tempfile.TemporaryDirectory(dir=options.place) as folder, _bucket_server() as endpoint:
        place = Path(folder)
        _make_sources(place, options.images, options.count, endpoint)
        for number in range(options.rounds):
            for source in options.sources:
                library = place / f"library-{number}-{source.replace('/', '')}"
                root = [source, "--endpoint", endpoint] if "://" in source else [str(place / source)]
                taken[source].append(_embed(root, library, options.count))
    report = {}
    for source, runs in taken.items():
        wall, processor = (statistics.median(column) for column in zip(*runs, strict=True))
        report[source] = {"images_s": options.count / wall, "processor_ms_per_image": 1000 * processor / options.count}
    files = report[options.sources[0]]
    for source, found in report.items():
        print(
            f"{source:26} {found['images_s']:7.1f} images/s ({found['images_s'] / files['images_s']:.1%} of the folder), "
            f"{found['processor_ms_per_image']:.2f} ms of processor an image ({files['processor_ms_per_image'] / found['processor_ms_per_image']:.1%})"
        )
    if options.json:
        options.json.write(json.dumps(report, indent=1).encode())


@contextlib.contextmanager
def _bucket_server() -> Iterator[str]:
    """Run an object store on this machine; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    ) as server:
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _make_sources(place: Path, images: Path, count: int, endpoint: str) -> None:
    import boto3

    store = boto3.resource("s3", endpoint_url=endpoint)
    bucket, archives = store.create_bucket(Bucket="pictures"), store.create_bucket(Bucket="archives")
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
            bucket.put_object(Key=path.name, Body=path.read_bytes())
    for name in ("pictures.zip", "pictures.tar"):
        archives.put_object(Key=name, Body=(place / name).read_bytes())


def _embed(root: list[str], library: Path, count: int) -> tuple[float, float]:
    """Return the seconds of `pixfind embed` by the clock and of processor, all its processes together."""
    pixfind = [sys.executable, "-m", "pixfind", "-q", "--library", str(library)]
    subprocess.run([*pixfind, "add", *root, "--model", "starter"], check=True)
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
