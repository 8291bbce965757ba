"""
Doubles and helpers that ship with the package: for our tests and for those of programs that use pixfind.

`images` makes pictures, sound and broken; `libraries` makes whole libraries; `workers` are worker processes that misbehave.
"""

from pixfind.testing.images import make_broken, make_image
from pixfind.testing.libraries import make_library, make_pictures, make_slow_pictures

__all__ = ["make_broken", "make_image", "make_library", "make_pictures", "make_slow_pictures"]
