"""
Colour: any pixel format to eight-bit RGB.

Owns the choices that a conversion has to make: white behind transparency, and the full scale of deep pictures.
Must not know files. Colour profiles are not applied: the models were trained on pictures read without them, and so is
every reference pipeline (docs/explanation/performance.md).
"""

# ruff: noqa: PLR2004 - pixel formats are made of numbers

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP: Final = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_TRANSPARENT: Final = {"RGBA", "LA", "PA", "La", "RGBa"}


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as a viewer on a white page shows it."""
    if image.mode in _DEEP:
        return Image.fromarray(to_bytes(np.asarray(image))).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    # The reference pipelines drop the alpha channel, and what comes to light is arbitrary: mostly black, so that black
    # text on nothing becomes a black rectangle. Opaque pictures are the same either way.
    alpha = image.getchannel("A")
    flat = image.convert("RGB")
    if alpha.getextrema()[0] == 255:
        return flat
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(flat, mask=alpha)
    return white


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """
    Scale numbers of any depth to eight bits.

    16 bits are scaled from their full range, as viewers do. Others are stretched from their own range where they do not
    fit the usual ones: 0 to 1 and 0 to 255, for whole numbers also 0 to 65535. What is no number is black.
    """
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        # The quotient by 257, rounded.
        return ((values.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)
    numbers = np.array(values, dtype=np.float32)
    np.nan_to_num(numbers, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = _range(numbers, (1.0, 255.0) if values.dtype.kind == "f" else (255.0, 65535.0))
    # Halved first: two floats may lie farther apart than the largest float.
    numbers /= 2
    numbers -= low / 2
    numbers *= 255 / max(high / 2 - low / 2, 1e-30)
    numbers += 0.5
    return numbers.astype(np.uint8)


def _range(numbers: NDArray[np.float32], usual: tuple[float, ...]) -> tuple[float, float]:
    """What black and white are."""
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0 or high > usual[-1]:
        low = min(low, 0.0)
        return low, high if high > low else 0.0
    return 0.0, next(top for top in usual if high <= top)
