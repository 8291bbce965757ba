"""Decoded pictures as arrays."""

from numpy import uint8
from numpy.typing import NDArray

Pixels = NDArray[uint8]
"""One decoded picture: [height, width, 3], RGB, upright."""
