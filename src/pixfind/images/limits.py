"""
How large a picture may be that is decoded: the limits against decompression bombs. Beside `decode`, so that a plan is made without Pillow.
"""

from dataclasses import dataclass
from typing import Final

from pixfind.types import Choice

DEFAULT_MEGAPIXELS: Final = 200.0
_BYTES_PER_PIXEL: Final = 24  # the worst of the usual formats (docs/explanation/performance.md)


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture that is decoded."""

    max_pixels: int
    max_scaled_pixels: int = 0
    """the same for a JPEG that is scaled while decoding, which takes a fraction of the memory; 0: `max_pixels`"""


def limits_for(memory_bytes: int, megapixels: float = DEFAULT_MEGAPIXELS) -> Choice[Limits]:
    """Return the limits for a maximum in megapixels, lowered so that decoding one picture fits into `memory_bytes`."""
    fitting = memory_bytes / _BYTES_PER_PIXEL / 1e6
    if fitting >= megapixels:
        return Choice(Limits(int(megapixels * 1e6)), f"{megapixels:g} MP, as set")
    reason = (
        f"{fitting:.0f} MP: {memory_bytes / 1e6:.0f} MB of memory at {_BYTES_PER_PIXEL} bytes per pixel;"
        f" {megapixels:g} MP for JPEGs that are scaled while decoding"
    )
    return Choice(Limits(max(1, int(fitting * 1e6)), int(megapixels * 1e6)), reason)
