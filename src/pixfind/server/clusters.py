"""
Points on a map that would lie over each other on the screen, as one. Pure.

Owns what is close on a screen. Must not know what the points are.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

WORLD_PIXELS: Final = 256
"""what a map is wide at zoom 0, as every map on the web has it"""
APART_PIXELS: Final = 60
"""between two clusters, whose pictures are 56 pixels wide"""
MAX_CLUSTERS: Final = 1_000
"""that one response has, those with the most points"""

_CELL_PIXELS: Final = 80


def clusters(points: NDArray[np.float64], zoom: int) -> NDArray[np.int64]:
    """
    Return the cluster of each point [n], from 0 on; -1 for those in none, because there are too many.

    Points [n, 2] are those of the whole map at that zoom, in pixels: cells do not depend on what is on the screen, so that moving a map moves no
    cluster. Cells whose middles are so close that their pictures would lie over each other are one cluster: that of the larger one.
    """
    across, down = np.floor(points / _CELL_PIXELS).astype(np.int64).T
    cells = down * (math.ceil(WORLD_PIXELS * 2**zoom / _CELL_PIXELS) + 1) + across
    _, places, counts = np.unique(cells, return_inverse=True, return_counts=True)
    middles = np.stack([np.bincount(places, weights=part) / counts for part in points.T], axis=1)
    merged = np.full(len(counts), -1, np.int64)
    kept = np.zeros((0, 2))
    for cell in np.argsort(-counts, kind="stable")[:MAX_CLUSTERS].tolist():
        near = np.flatnonzero(np.hypot(*(kept - middles[cell]).T) < APART_PIXELS)
        if len(near):
            merged[cell] = near[0]
        else:
            merged[cell] = len(kept)
            kept = np.vstack([kept, middles[cell]])
    found: NDArray[np.int64] = merged[places]
    return found
