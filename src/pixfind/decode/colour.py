"""
Colour: any pixel format to eight-bit RGB.

Owns the choices that a conversion has to make: white behind transparency, and the full scale of deep pictures.
Must not know files. Colour profiles are not applied: the models were trained on pictures read without them, and so is
every reference pipeline (docs/performance.md).
"""

# ruff: noqa: PLR2004 - pixel formats are made of numbers

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP: Final = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_TRANSPARENT: Final = {"RGBA", "LA", "PA", "La", "RGBa"}
_FULL_16_BIT: Final = 65535


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


def to_bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """
    Scale numbers of any depth to eight bits.

    16 bits are scaled from their full range, as viewers do; other ranges are stretched only where they do not fit the
    usual ones (0 to 1, 0 to 255, 0 to 65535). What is no number is black.
    """
    if values.dtype == np.uint16:
        # Exactly the rounded quotient by 257, without leaving 16 bits.
        return ((values - (values >> 8) + 128) >> 8).astype(np.uint8)
    numbers = np.array(values, dtype=np.float32)
    np.nan_to_num(numbers, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0 or high > _FULL_16_BIT:
        # Halved first: the distance between two floats may be larger than the largest float.
        numbers /= 2
        numbers -= low / 2
        high = (high - low) / 2 or 1.0
        full = high
    else:
        full = next(top for top in (1.0, 255.0, _FULL_16_BIT) if high <= top)
    numbers *= 255 / full
    numbers += 0.5
    return numbers.astype(np.uint8)
