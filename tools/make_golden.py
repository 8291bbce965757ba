"""
Make the golden files of the parity tests: tiny models, pictures of all shapes, and what transformers makes of them.

    python -m tools.make_golden tests/golden

Needs the torch extra. Run it again only when the reference itself was wrong; the files are there so that the
tests need no torch.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tools import make_model, reference

from pixfind.images import decode
from pixfind.models.tokenizer import canonicalize

MODELS = {
    "clip-tiny": ("clip-tiny", "immich"),
    "siglip2-tiny": ("siglip2-tiny", "transformers"),
    "siglip2-tiny-immich": ("siglip2-tiny", "immich"),
    "siglip2-tiny-immich-next": ("siglip2-tiny", "immich-next"),
}
"""folder -> architecture and layout"""
SHAPES = {"wide": (700, 9), "tall": (7, 500), "pixel": (1, 1), "odd": (61, 47), "small": (20, 30), "exact": (32, 32)}
ROTATE_90 = 6
ORIENTATION = 0x0112
TEXTS = [
    "a photo of a dog",
    "Sunset over the SEA",
    "",
    "  a red   bicycle ",
    "children playing in the snow, at night!",
    "a very long text " * 20,
    "snow_forest and Ärger 雪",
]


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Return waves of three colours with a little noise: unlike a flat area, it shows every shift of the crop."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [np.sin(x / a + y / b + c) for a, b, c in random.uniform(2, 9, size=(3, 3))]
    values = 127 + 90 * np.stack(planes, axis=-1) + random.integers(-20, 20, size=(height, width, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def pictures(folder: Path) -> None:
    """Write one PNG for each shape and kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, size) in enumerate(SHAPES.items()):
        picture(*size, seed).save(folder / f"{name}.png")
    picture(50, 40, 10).convert("L").save(folder / "grey.png")
    alpha = picture(40, 50, 11)
    alpha.putalpha(picture(40, 50, 12).convert("L"))
    alpha.save(folder / "alpha.png")
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATE_90
    picture(64, 40, 13).save(folder / "rotated.png", exif=exif)


def upright(folder: Path) -> list[Image.Image]:
    """Return the pictures in the order of their names."""
    limits = decode.limits_for(1 << 30).value
    return [decode.decode(path.read_bytes(), limits=limits).image for path in sorted(folder.glob("*.png"))]


def _save(path: Path, images: NDArray[np.float32], texts: NDArray[np.float32]) -> None:
    np.savez(path, images=images, texts=texts)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the golden files of the parity tests.")
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    pictures(directory / "pictures")
    (directory / "texts.json").write_text(json.dumps(TEXTS, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for name, (architecture, layout) in MODELS.items():
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary) / name
            make_model.make(architecture, made, seed=7, layout=layout)
            model = reference.Reference(made / "reference")
            # open_clip cleans texts for SigLIP, which transformers leaves to the caller.
            cleans = architecture.startswith("siglip") and layout != "transformers"
            texts = [canonicalize(one) for one in TEXTS] if cleans else TEXTS
            _save(directory / f"{name}.npz", model.images(upright(directory / "pictures")), model.texts(texts))
            shutil.rmtree(directory / name, ignore_errors=True)
            shutil.copytree(made, directory / name, ignore=shutil.ignore_patterns("reference"))
    print(f"golden files: {directory}")


if __name__ == "__main__":
    main()
