"""
The demo collection: pictures that pixfind draws itself, so that a first run needs no pictures and no network.

`draw_collection` fills a folder; `draw` makes one picture. Needs numpy and Pillow only, and must not import the rest of pixfind.
"""

from pixfind.demo.collection import draw, draw_collection, plan
from pixfind.demo.kinds import KINDS

__all__ = ["KINDS", "draw", "draw_collection", "plan"]
