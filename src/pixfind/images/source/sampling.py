"""
Which frames of videos are registered: what a user asks for, and what a root remembers of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

_EVERY, _FRAMES = "video_every", "video_frames"

SETTINGS: Final = frozenset({_EVERY, _FRAMES})
"""what a root remembers"""


@dataclass(frozen=True, slots=True)
class Sampling:
    """At most one key frame in `every` seconds, and at most `frames` of one video."""

    every: float = 5.0
    frames: int = 1000
    """one in 5 seconds of 83 minutes; those of a longer video lie further apart"""

    def settings(self) -> dict[str, Any]:
        """Return what a root remembers."""
        return {_EVERY: self.every, _FRAMES: self.frames}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self | None:
        """Return what a root remembers; None where videos are not looked into."""
        if _EVERY not in settings:
            return None
        usual = cls()
        return cls(float(settings[_EVERY]), int(settings.get(_FRAMES, usual.frames)))
