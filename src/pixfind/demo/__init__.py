"""
The demo collection: pleasant pictures that pixfind draws itself, so that the first run needs no pictures and no network.

`draw_collection` fills a folder; `draw` makes one picture. Needs numpy and Pillow only, and knows nothing of the rest of pixfind.
"""

from pixfind.demo.collection import draw, draw_collection, plan
from pixfind.demo.kinds import KINDS

__all__ = ["KINDS", "draw", "draw_collection", "plan"]
