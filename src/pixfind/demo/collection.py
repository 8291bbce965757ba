"""
The demo collection: a few hundred drawn pictures in a folder, for a first run without own pictures.

Owns names, sizes, dates and files. Must not know how a picture is painted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from pixfind.demo.canvas import Canvas, Rng
from pixfind.demo.kinds import KINDS

SIZES = ((640, 480), (640, 480), (640, 427), (600, 480), (480, 640))
#: Kinds whose composition needs a wide picture.
WIDE = frozenset({"city-day", "city-night", "city-sunset", "fireworks", "sailing", "balloons", "road", "rainbow"})
QUALITY = 88
THREADS = 2
EXIF_DATE, EXIF_TAKEN, EXIF_SOFTWARE, EXIF_BLOCK = 0x0132, 0x9003, 0x0131, 0x8769

#: When pictures of a kind were "taken": months and hours of the day, by a word of the kind's name.
SEASONS: dict[str, tuple[int, int]] = {
    "winter": (12, 14),
    "autumn": (10, 11),
    "flower": (5, 6),
    "meadow": (5, 7),
    "wheat": (7, 8),
}
HOURS: dict[str, tuple[int, int]] = {
    "sunset": (18, 20),
    "sunrise": (5, 7),
    "night": (20, 23),
    "aurora": (21, 23),
    "fireworks": (21, 23),
}


def draw_collection(
    folder: Path, count: int = 300, seed: int = 0, progress: Callable[[int], None] | None = None
) -> list[Path]:
    """
    Draw `count` pictures into a folder and return their paths, in order.

    The same count and seed give the same names and the same pictures. `progress` is called with the number drawn so far.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = plan(count, seed)
    paths = [folder / f"{name}.jpg" for name in names]

    def one(index: int) -> Path:
        return _write(paths[index], np.random.default_rng([seed, index]))

    with ThreadPoolExecutor(THREADS) as pool:
        for done, _ in enumerate(pool.map(one, range(count)), 1):
            if progress is not None:
                progress(done)
    return paths


def plan(count: int, seed: int = 0) -> list[str]:
    """Return the names of a collection's pictures: kinds in proportion to their weight, numbered within each kind."""
    bag = [kind for kind, (_, weight) in KINDS.items() for _ in range(weight)]
    rng = np.random.default_rng([seed, count])
    kinds: list[str] = []
    while len(kinds) < count:
        kinds += [bag[index] for index in rng.permutation(len(bag))]
    seen: dict[str, int] = {}
    names = []
    for kind in kinds[:count]:
        seen[kind] = seen.get(kind, 0) + 1
        names.append(f"{kind}-{seen[kind]:02d}")
    return names


def draw(kind: str, rng: Rng, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Return a picture of a kind; `size` is (width, height) in pixels. Raises KeyError for an unknown kind."""
    width, height = size
    canvas = Canvas(height, width)
    KINDS[kind][0](canvas, rng)
    return canvas.image()


def _write(path: Path, rng: Rng) -> Path:
    kind = path.stem.rsplit("-", 1)[0]
    sizes = SIZES[:4] if kind in WIDE else SIZES
    size = sizes[int(rng.integers(len(sizes)))]
    draw(kind, rng, size).save(path, "JPEG", quality=QUALITY, exif=_exif(kind, rng))
    return path


def _exif(kind: str, rng: Rng) -> Image.Exif:
    """Return EXIF with a date that fits the season and the hour of the picture, and the software that drew it."""
    first, last = next((months for word, months in SEASONS.items() if word in kind), (1, 12))
    early, late = next((hours for word, hours in HOURS.items() if word in kind), (9, 17))
    month = (int(rng.integers(first, last + 1)) - 1) % 12 + 1
    taken = dt.datetime(  # noqa: DTZ001 - EXIF dates carry no zone
        int(rng.integers(2021, 2026)),
        month,
        int(rng.integers(1, 29)),
        int(rng.integers(early, late)),
        int(rng.integers(60)),
        int(rng.integers(60)),
    )
    stamp = taken.strftime("%Y:%m:%d %H:%M:%S")
    exif = Image.Exif()
    exif[EXIF_SOFTWARE] = "pixfind demo"
    exif[EXIF_DATE] = stamp
    exif.get_ifd(EXIF_BLOCK)[EXIF_TAKEN] = stamp
    return exif
