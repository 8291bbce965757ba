"""
Making thumbnails ahead: how many a second a core, and how many bytes each.

    python -m benchmarks.thumbnails --images DIR [--large 60] [--side 512] [--place DIR]

The photographs of DIR as they are, and some of them as 12-megapixel JPEGs of a camera, each in a library of its own with nothing cached. `pixfind thumbnails` is a process of its own with one worker;
processor time is that of all its processes.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.photos import enlarged, photos_in

from pixfind.testing import make_library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--large", type=int, default=60, help="how many 12-megapixel JPEGs to make from them")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--place", type=Path, help="where pictures and libraries lie while this runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        for name, pictures in _sets(options.images, options.large, Path(folder)):
            _measure(name, pictures, Path(folder) / f"library of {name}", options.side)


def _sets(images: Path, large: int, place: Path) -> Iterator[tuple[str, Path]]:
    yield "photographs as they are", images
    files = photos_in(images)
    cameras = place / "12 megapixels"
    cameras.mkdir()
    for seed, path in enumerate(files[:: max(1, len(files) // large)][:large]):
        (cameras / f"{seed}.jpg").write_bytes(enlarged(path, seed))
    yield "12 megapixels", cameras


def _measure(name: str, pictures: Path, path: Path, side: int) -> None:
    with make_library(path, pictures) as library:
        count = library.merged_rows
    before, began = _processor_seconds(), time.perf_counter()
    command = ("-q", "--library", str(path), "thumbnails", "--workers", "1", "--side", str(side))
    subprocess.run([sys.executable, "-m", "pixfind", *command], check=True)
    seconds, used = time.perf_counter() - began, _processor_seconds() - before
    sizes = [each.stat().st_size for each in (path / "thumbnails").glob("??/*.jpg")]
    assert len(sizes) == count, f"{len(sizes)} of {count}"
    print(
        f"{name:<26}{count:>6,} pictures: {count / used:6.1f} a second of processor, {1000 * used / count:6.1f} ms each; {seconds:5.1f} s; "
        f"{sum(sizes) / count / 1000:5.1f} kB each"
    )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
