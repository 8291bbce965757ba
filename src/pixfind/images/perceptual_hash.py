"""
The difference hash (dHash) of an image file: a few bits that stay the same when it is saved again, scaled or recompressed.

Source: Neal Krawetz, "Kind of Like That" (2013): shrink to 9 x 8 grey pixels, compare each with its right neighbour.
Must not know which images are compared, or what distance counts as the same.
"""

import numpy as np
from numpy import bool_
from numpy.typing import NDArray

from pixfind.errors import ImageProblem
from pixfind.images import decode, source

_SIDE = 8
_LIMITS = decode.Limits(200_000_000)


def dhash(path: str) -> NDArray[bool_] | None:
    """Return 64 bits, bool [64], True where a part of the picture is brighter than its left neighbour; None when it cannot be read."""
    try:
        decoded = decode.decode(source.read(path).data, limits=_LIMITS, shortest_side=4 * _SIDE)
    except ImageProblem:
        return None
    grey = np.asarray(decoded.image.convert("L").resize((_SIDE + 1, _SIDE)), dtype=np.int16)
    brighter: NDArray[bool_] = grey[:, 1:] > grey[:, :-1]
    return brighter.ravel()
