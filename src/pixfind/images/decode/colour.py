"""
Conversion of any pixel format to eight-bit RGB.

Owns the choices of the conversion: a white background behind transparency, and the range of values with more than eight bits.
Must not know files. Colour profiles are not applied, as in the models' training and reference pipelines
(docs/explanation/performance.md).
"""

# ruff: noqa: PLR2004 - pixel formats are made of numbers

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP: Final = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_TRANSPARENT: Final = {"RGBA", "LA", "PA", "La", "RGBa"}


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, as it looks on a white page."""
    if image.mode in _DEEP:
        return Image.fromarray(to_bytes(np.asarray(image))).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    # The reference pipelines drop the alpha channel. The colour behind it is arbitrary and mostly black, so that black text on a
    # transparent background becomes a black rectangle. For opaque pictures both ways give the same pixels.
    alpha = image.getchannel("A")
    flat = image.convert("RGB")
    if alpha.getextrema()[0] == 255:
        return flat
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(flat, mask=alpha)
    return white


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """
    Scale values of any type to uint8.

    16-bit values are scaled from their full range, as viewers do. Other types are scaled from 0..1 or 0..255 (floats), 0..255 or 0..65535
    (integers), or from their own range when they exceed these. NaN becomes black.
    """
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        # Divide by 257 and round.
        return ((values.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)
    numbers = np.array(values, dtype=np.float32)
    np.nan_to_num(numbers, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = _range(numbers, (1.0, 255.0) if values.dtype.kind == "f" else (255.0, 65535.0))
    # Halved first: the difference of two floats may exceed the largest float.
    numbers /= 2
    numbers -= low / 2
    numbers *= 255 / max(high / 2 - low / 2, 1e-30)
    numbers += 0.5
    return numbers.astype(np.uint8)


def _range(numbers: NDArray[np.float32], usual: tuple[float, ...]) -> tuple[float, float]:
    """Return the values of black and white."""
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0 or high > usual[-1]:
        low = min(low, 0.0)
        return low, high if high > low else 0.0
    return 0.0, next(top for top in usual if high <= top)
