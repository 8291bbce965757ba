"""
Reading the text in pictures: what the first look lets through and misses, what is read right, and what it costs.

    python -m benchmarks.reading gate [--n 1000] [--photos DIR] [--looks 640/0.3]
    python -m benchmarks.reading pages [--n 60]

`gate`: n pictures with text (signs in scenes of 1280 x 960 with letters of several heights, receipts, screenshots) and n without (scenes, and the photos of DIR, whose small print
nobody has counted), looked at by the detector alone with several lengths of the longer side and limits of the score. What is missed there is never read.

`pages`: receipts, screenshots and pages of print with letters of several heights, and scenes, read in full: pictures a second of one core by kind and size, memory, and of the pages
of print the share of characters that are right (1 - edit distance / length, line by line).

All in this process and one thread, in processor time.
"""

import argparse
import itertools
import os
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pixfind.models import readers
from pixfind.models.backends import rapidocr
from pixfind.testing import written
from pixfind.testing.written import WORDS

T = TypeVar("T")
LETTERS = (12, 16, 22, 30, 44, 64)
LOOKS = ((320, 0.3), (480, 0.3), (640, 0.3), (640, 0.5), (960, 0.3))
"""length of the longer side, pixels, and lowest score of a box"""
PRINT = (12, 16, 20, 28)
A4 = (1240, 1754)
"""pixels of a page at 150 dpi"""


@dataclass
class Cost:
    """Seconds of processor of some pictures."""

    each: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{len(self.each) / sum(self.each):.2f} pictures/s, median {statistics.median(self.each):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading")
    parser.add_argument("part", choices=("gate", "pages"))
    parser.add_argument("--n", type=int)
    parser.add_argument("--photos", type=Path)
    parser.add_argument(
        "--looks", type=_looks, default=LOOKS, help="lengths of the longer side / lowest score of a box, with commas"
    )
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    if options.part == "gate":
        measure_gate(options.n or 1_000, options.photos, options.looks)
    else:
        measure_pages(options.n or 60)
    print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def _looks(text: str) -> tuple[tuple[int, float], ...]:
    return tuple((int(side), float(score)) for side, score in (look.split("/") for look in text.split(",")))


def timed(cost: Cost, work: Callable[[], T]) -> T:
    began = time.process_time()
    result = work()
    cost.each.append(time.process_time() - began)
    return result


# --- the first look -------------------------------------------------------------------------------


def measure_gate(count: int, photos: Path | None, tried: tuple[tuple[int, float], ...]) -> None:
    reader = rapidocr.Reader(1)
    costs = {look: Cost() for look in tried}
    found: dict[str, dict[tuple[int, float], list[bool]]] = {}
    for kind, image in itertools.chain(with_text(count), without_text(count, photos)):
        pixels = np.ascontiguousarray(readers.prepared(image)[..., ::-1])
        for look in tried:
            boxes = timed(costs[look], lambda look=look, pixels=pixels: reader._boxes(pixels, *look))  # type: ignore[misc]  # noqa: SLF001  defaults; measured here alone
            found.setdefault(kind, {}).setdefault(look, []).append(bool(boxes))
    print("let through, at side / score".ljust(34) + "".join(f"{side} / {score}".rjust(14) for side, score in tried))
    for kind, looks in sorted(found.items()):
        cells = (f"{sum(passed)} of {len(passed)}" for passed in looks.values())
        print(kind.ljust(34) + "".join(cell.rjust(14) for cell in cells))
    print(
        "seconds each, median".ljust(34)
        + "".join(f"{statistics.median(cost.each):.3f}".rjust(14) for cost in costs.values())
    )


def with_text(count: int) -> Iterator[tuple[str, Image.Image]]:
    chance = random.Random(1)
    for number in range(count):
        if number % 4 == 3:
            kind = chance.choice(("receipt", "screenshot"))
            yield f"with text: {kind}", written.page(chance, chance.sample(WORDS, 10), kind)
        else:
            letters = LETTERS[number // 4 % len(LETTERS)]
            _, image = written.scene(chance, size=(1280, 960))
            written.sign(chance, image, chance.sample(WORDS, 3), letters)
            yield f"with text: sign, letters of {letters} px", image


def without_text(count: int, photos: Path | None) -> Iterator[tuple[str, Image.Image]]:
    chance = random.Random(2)
    files = sorted(path for path in photos.rglob("*") if path.is_file())[:count] if photos else []
    for path in files:
        with Image.open(path) as image:
            yield "without: photos", image.convert("RGB")
    for _ in range(count - len(files)):
        yield "without: scenes", written.scene(chance, size=(1280, 960))[1]


# --- in full --------------------------------------------------------------------------------------


def measure_pages(count: int) -> None:
    reader = readers.open_text_reader(1)
    costs: dict[str, Cost] = {}
    right: dict[str, list[tuple[int, int]]] = {}
    for kind, image, lines in pages(count):
        pixels: NDArray[np.uint8] = readers.prepared(image)
        size = f"{kind} of {image.width} x {image.height}"
        read = timed(costs.setdefault(size, Cost()), lambda pixels=pixels: reader.read(pixels))  # type: ignore[misc]  # a default
        if lines:
            said = [line.text for line in read]
            wrong = sum(min((distance(line, other) for other in said), default=len(line)) for line in lines)
            right.setdefault(kind, []).append((sum(map(len, lines)) - wrong, sum(map(len, lines))))
    for kind, counts in right.items():
        good, whole = (sum(column) for column in zip(*counts, strict=True))
        print(f"{kind}: {good:,} of {whole:,} characters right ({100 * good / whole:.2f} %)")
    for kind, cost in costs.items():
        print(f"{kind}: {cost}")


def pages(count: int) -> Iterator[tuple[str, Image.Image, list[str]]]:
    chance = random.Random(3)
    for number in range(count):
        kind = ("receipt", "screenshot")[number % 2]
        says = chance.sample(WORDS, 10)
        yield kind, written.page(chance, says, kind), []
        letters = PRINT[number % len(PRINT)]
        lines = [" ".join(chance.sample(WORDS, 6)) for _ in range(20)]
        yield f"print, letters of {letters} px", printed(lines, letters), lines
        yield "scene", written.scene(chance, size=(1280, 960))[1], []
        yield "scene", written.scene(chance, size=(500, 375))[1], []


def printed(lines: list[str], letters: int) -> Image.Image:
    """Draw a page of lines, black on white."""
    image = Image.new("RGB", A4, (250, 250, 248))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(letters)
    for place, line in enumerate(lines):
        pen.text((80, 100 + place * (letters + 24)), line, fill=(20, 20, 20), font=font)
    return image


def distance(first: str, second: str) -> int:
    """Return the edit distance of two lines (Levenshtein)."""
    before = list(range(len(second) + 1))
    for row, letter in enumerate(first, 1):
        now = [row]
        for column, other in enumerate(second, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != other)))
        before = now
    return before[-1]


if __name__ == "__main__":
    main()
