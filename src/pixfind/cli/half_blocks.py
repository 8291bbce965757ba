"""
Pictures made of characters: each cell is an upper half block, whose two colours are two pixels.

Any terminal with colours can show them, and a program may redraw them as text: nothing lies outside of the cells, as with kitty's and sixel pictures,
of which a full-screen program cannot know what covers them.
"""

from typing import Final

import numpy as np
from numpy import uint8
from numpy.typing import NDArray
from PIL import Image

BLOCK: Final = "▀"


def fitted(image: Image.Image, columns: int, rows: int) -> NDArray[uint8]:
    """
    Return the pixels [2 * r, c, 3] of an RGB picture that is shown in at most `columns` x `rows` cells (both at least 1), as large as fits.

    A cell is taken for twice as high as wide. An odd last row of pixels is black below.
    """
    scale = min(columns / image.width, 2 * rows / image.height)
    wide, high = (max(1, round(side * scale)) for side in image.size)
    scaled = np.asarray(image.resize((min(wide, columns), min(high, 2 * rows)), Image.Resampling.LANCZOS))
    return np.pad(scaled, ((0, len(scaled) % 2), (0, 0), (0, 0)))
