"""
Bursts: pictures that one camera took within seconds and that show nearly the same.

Owns the rule. Must not know scores of queries; `ranking` folds hits with it, `duplicates` tells its groups apart by it.
"""

from typing import Final, NamedTuple

from numpy import float32
from numpy.typing import NDArray

SECONDS: Final = 3
"""at most between two pictures of a burst"""

_FRACTION: Final = 0.3
"""Two pictures of a burst have at most this fraction of the usual distance (1 - cosine) between two images of the library."""

_MIN_COSINE: Final = 0.85
"""Lower bound of the threshold, whatever the library."""


class Taken(NamedTuple):
    """When, and with which camera."""

    at: int | None
    """EXIF, seconds since 1970"""
    camera: str
    """EXIF make and model; empty where it is unknown"""

    def in_burst_with(self, other: "Taken") -> bool:
        """Tell whether one camera took both within seconds; not where nobody knows."""
        if self.at is None or other.at is None or not self.camera or self.camera != other.camera:
            return False
        return abs(self.at - other.at) <= SECONDS


UNKNOWN: Final = Taken(None, "")


def threshold(mean: NDArray[float32]) -> float:
    """Return the lowest cosine of two pictures of a burst in a library with this mean embedding [d]."""
    return max(_MIN_COSINE, 1.0 - _FRACTION * (1.0 - float(mean @ mean)))
