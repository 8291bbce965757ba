"""
Ids of images in a collection: one number for the position of the library and the id that the image has there.

The first library's images keep their ids. Below 2^53, so that JavaScript reads them exactly.
"""

from typing import Final

_BITS: Final = 40


def joined(position: int, image_id: int) -> int:
    """Return the id in the collection of an image of the library at this position, from 0."""
    return position << _BITS | image_id


def split(image_id: int) -> tuple[int, int]:
    """Return the position of the library, and the id that the image has there."""
    return image_id >> _BITS, image_id & ((1 << _BITS) - 1)


def is_of_library(image_id: int) -> bool:
    """Tell whether a library can have an image with this id, and a collection so many."""
    return 0 < image_id < 1 << _BITS
