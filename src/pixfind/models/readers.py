"""
Loaded text readers: from a picture to the lines of text in it.

Owns the interface, and how large a picture is read. Must not know the library, or where pictures come from; `backends.rapidocr` reads.
"""

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind.models.backends import rapidocr
from pixfind.types import TextLine

if TYPE_CHECKING:
    from PIL import Image

_MAX_PIXELS: Final = 1_600_000
"""More finds no more in photographs, and takes as much longer; text on a page of paper stays legible."""

_MAX_SIDE: Final = 8_000
"""of a screenshot that scrolls; longer ones are scaled"""

_MIN_SIDE: Final = 32


class TextReader(Protocol):
    """A loaded reader with its preparation."""

    decode_side: int
    """shortest side, pixels, to which pictures need to be decoded at least"""

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        """Return pixels [h, w, 3] of an upright picture, not larger than it is read. Thread-safe."""

    def read(self, pixels: NDArray[np.uint8]) -> tuple[TextLine, ...]:
        """Return the lines of text in prepared pixels, from top to bottom; none where there is no text. One thread at a time."""


def name() -> str:
    """Return what reads, and its version; raises ExtraNotInstalled, ReaderUnusable."""
    return rapidocr.name()


def open_text_reader(threads: int) -> TextReader:
    """Load the reader; raises ExtraNotInstalled, ReaderUnusable."""
    return _Reader(rapidocr.Reader(threads))


class _Reader:
    decode_side = int(_MAX_PIXELS**0.5)

    def __init__(self, reader: rapidocr.Reader) -> None:
        self._reader = reader

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        return prepared(image)

    def read(self, pixels: NDArray[np.uint8]) -> tuple[TextLine, ...]:
        return self._reader.read(pixels)


def prepared(image: "Image.Image") -> NDArray[np.uint8]:
    """Return pixels [h, w, 3] of an upright picture for a reader: scaled where it is larger than a picture is read."""
    from PIL import Image

    width, height = image.size
    scale = min(1.0, (_MAX_PIXELS / (width * height)) ** 0.5, _MAX_SIDE / max(width, height))
    if scale < 1:
        size = (max(round(width * scale), min(width, _MIN_SIDE)), max(round(height * scale), min(height, _MIN_SIDE)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.array(image.convert("RGB"))
