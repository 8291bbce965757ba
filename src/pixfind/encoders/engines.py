"""
Which library runs a tower in which precision, and why.

Owns that choice. Must not know pictures or texts. Each engine lives in its own module, imported when it is chosen.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.encoders import preprocess
from pixfind.encoders.files import ModelFiles
from pixfind.encoders.text import Tokens
from pixfind.types import Choice

PRECISIONS = ("auto", "fp32", "int8", "bf16")


class ImageTower(Protocol):
    """What an engine gives for images."""

    device: str
    precision: str

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map [n, side, side, 3] to [n, dimension]."""


class TextTower(Protocol):
    """What an engine gives for texts."""

    device: str
    precision: str
    context: int | None
    """tokens that the graph is fixed to; None when it takes any number"""

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Map [n, context] ids to [n, dimension]."""


def open_image(
    files: ModelFiles, made: preprocess.Preprocessing, *, threads: int, precision: str, device: str
) -> tuple[ImageTower, Choice[str]]:
    """Open the image tower in the best engine for this precision and device."""
    from pixfind.encoders import onnx

    _check(precision)
    return onnx.ImageTower(files, files.vision, made, threads=threads, device=device), Choice("onnxruntime", "default")


def open_text(files: ModelFiles, *, threads: int, precision: str, device: str) -> tuple[TextTower, Choice[str]]:
    """Open the text tower in the best engine for this precision and device."""
    from pixfind.encoders import onnx

    _check(precision)
    return onnx.TextTower(files, files.text, threads=threads, device=device), Choice("onnxruntime", "default")


def _check(precision: str) -> None:
    if precision not in PRECISIONS:
        raise errors.PrecisionMissing(precision=precision, detail=f"it is none of {', '.join(PRECISIONS)}")
