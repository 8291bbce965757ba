"""
Sets of JPEGs to embed, made from a folder of photos: as they are, and as a camera of 12 megapixels would have written them.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

_CAMERA = (4000, 3000)


def photos_in(folder: Path) -> list[Path]:
    """The JPEGs below a folder, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})


def enlarged(path: Path, seed: int) -> bytes:
    """A JPEG of 4000 x 3000 with the grain of a sensor, which is what makes camera files large."""
    width, height = _CAMERA
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize(_CAMERA, Image.Resampling.LANCZOS)).astype(np.int16)
    grain = np.random.default_rng(seed).normal(0, 4, (height, width, 1)).astype(np.int16)
    file = io.BytesIO()
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def different(pictures: list[bytes], count: int, folder: Path) -> list[Path]:
    """
    Write `count` files that show these pictures in turn, no two with the same bytes.

    What follows the end of a JPEG is not decoded, but makes another file of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(pictures[number % len(pictures)] + b"%06d" % number)
    return paths
