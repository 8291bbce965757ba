"""
Small real libraries: real pictures, the real starter model, real SQLite, no processes.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from pixfind.demo import collection
from pixfind.embedding.runners.serial import Serial
from pixfind.library import relocate, scan
from pixfind.library.library import Library
from pixfind.library.relocate import Move
from pixfind.search import calibration
from pixfind.search.calibration import ScoreCalibration
from pixfind.testing.images import encode, make_image, picture
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed as embed_pending
from pixfind.workflows.merge import merge
from pixfind.workflows.options import EmbedOptions

QUIET = EmbedOptions(workers=1, share=1.0, model="starter", nice=0)
"""One worker, no throttling, and a model that needs no network."""


def make_pictures(folder: Path, count: int, *, first: int = 0, size: tuple[int, int] = (64, 48)) -> list[Path]:
    """Make `count` different pictures `picture_00000.jpg` ... in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        make_image(folder / f"picture_{seed:05d}.jpg", seed=seed, size=size) for seed in range(first, first + count)
    ]


def make_drawn_pictures(folder: Path, count: int) -> list[Path]:
    """Draw `count` pictures of the demo collection with half its width and height: that takes a quarter of the time."""
    small = tuple((width // 2, height // 2) for width, height in collection.SIZES)
    with mock.patch.object(collection, "SIZES", small):
        return collection.draw_collection(folder, count)


def make_slow_pictures(folder: Path, count: int) -> None:
    """Make `count` different files in `folder` that take some 40 ms each to decode, so that a test can interrupt the run."""
    folder.mkdir(parents=True, exist_ok=True)
    # Upscaled: a small file that takes as long to decode as any picture of its size.
    large = picture(0, (24, 18)).resize((2400, 1800), Image.Resampling.NEAREST)
    content = encode(large, ".png")
    (folder / "slow_00000.png").write_bytes(content)
    for number in range(1, count):
        # Bytes after the end of a PNG give a different file with the same picture.
        (folder / f"slow_{number:05d}.png").write_bytes(content + b"%d" % number)


def make_library(path: Path, pictures: Path, *, embed: bool = True) -> Library:
    """
    Return an open library at `path` with the folder `pictures` registered, embedded with the starter model and merged.

    The caller closes it. With `embed=False` everything stays pending.
    """
    library = Library.create(path)
    with library.lock("add"):
        choose_model(library, QUIET)
        scan.add(library, pictures)
        if embed:
            embed_pending(library, QUIET, runner=Serial())
            merge(library)
    return library


def copy_library(place: Path, to: Path) -> Library:
    """
    Copy "library" and "pictures" of the folder `place` to the folder `to`, and return that library, open; the caller closes it.

    It takes a small part of the time that it takes to make one.
    """
    shutil.copytree(place / "pictures", to / "pictures", dirs_exist_ok=True)
    library = Library.open(shutil.copytree(place / "library", to / "library"), write=True)
    with library.lock("relocate"):
        relocate.relocate(library, Move.between(str(place), str(to)))
    return library


def calibration_of(library: Library) -> ScoreCalibration:
    """Return the calibration of scores of a library whose index was built."""
    model = library.model()
    assert model is not None
    made = calibration.load(calibration.path(library.data), model.hash, model.dimension)
    assert made is not None
    return made


def recalibrate(library: Library, **changes: Any) -> None:
    """Change fields of the calibration of scores, such as the cut-offs: the starter knows too few words to measure any."""
    calibration.save(calibration.path(library.data), dataclasses.replace(calibration_of(library), **changes))
