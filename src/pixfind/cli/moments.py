"""
Moments of videos as people read them.
"""

from typing import TYPE_CHECKING, Final

from pixfind.images import suffixes
from pixfind.types import format_moment

if TYPE_CHECKING:
    from pixfind.search.results import Hit

_NAMED: Final = 5


def moments(hit: "Hit") -> str:
    """Return the time of a frame of a video as players show it, and those of the others that were found; empty for a picture."""
    if hit.time is None:
        return ""
    others = [format_moment(suffixes.frame_time(path) or 0) for path in hit.same_video]
    shown = ", ".join(others[:_NAMED])
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return format_moment(hit.time) + (f"; also at {shown}{more}" if others else "")
