"""
Small real libraries: real pictures, the real starter model, real SQLite, no processes.
"""

from pathlib import Path

from PIL import Image

from pixfind.embedding.runners.serial import Serial
from pixfind.library import scan
from pixfind.library.library import Library
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
