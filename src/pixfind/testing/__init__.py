"""
Doubles and helpers that ship with the package: for our tests and for those of programs that use pixfind.

`images` makes pictures, sound and broken; `libraries` makes whole libraries; `workers` are worker processes that misbehave, `scripted` ones that
follow a script without a process; `clusters` are nodes of Ray on this machine; `forks` is for work that is killed in the middle; `waiting` waits for states, and turns a clock.
"""

from pixfind.testing.images import draw_text, make_broken, make_image
from pixfind.testing.libraries import copy_library, make_drawn_pictures, make_library, make_pictures, make_slow_pictures
from pixfind.testing.waiting import Clock, wait_for

__all__ = [
    "Clock",
    "copy_library",
    "draw_text",
    "make_broken",
    "make_drawn_pictures",
    "make_image",
    "make_library",
    "make_pictures",
    "make_slow_pictures",
    "wait_for",
]
