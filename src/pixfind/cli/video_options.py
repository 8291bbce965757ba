"""
Options of `index` and `add` about videos: whether they are looked into, and at which frames.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from pixfind import errors

_LEAST_SECONDS = 0.001


def interval(text: str) -> float:
    """Parse "5s", "5" or "0.5s" as seconds; raises BadParameter."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*s?", text.strip(), re.ASCII)
    if match is None or float(match[1]) < _LEAST_SECONDS:
        raise typer.BadParameter(f"{text!r} is not a number of seconds; write 5s or 0.5s")
    return float(match[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFlags:
    """Which frames of videos are registered: the roots that are added with these remember them."""

    video: Annotated[
        bool, typer.Option("--video", help="Also look into the videos below the folders, from now on: at key frames.")
    ] = False
    every: Annotated[
        float | None,
        typer.Option(
            parser=interval, metavar="SECONDS", help="At most one frame of a video every SECONDS; default: 5s."
        ),
    ] = None
    frames: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=100_000, help="At most so many frames of one video, spread over it; default: 1000."
        ),
    ] = None

    def settings(self, paths: list[str]) -> dict[str, Any]:
        """Return what the roots remember; raises OptionRequires, also where none of `paths` can have videos in it."""
        if not self.video:
            for option, value in (("--every", self.every), ("--frames", self.frames)):
                if value is not None:
                    raise errors.OptionRequires(
                        first=option, second="--video", instead="Add --video to look into the videos below the folders."
                    )
            return {}
        # Here: the help does without it.
        from pixfind.images import source

        usual = source.Sampling()
        wanted = source.Sampling(self.every or usual.every, self.frames or usual.frames).settings()
        if paths and not any(wanted.keys() <= source.settings_of(path) for path in paths):
            raise errors.OptionRequires(
                first="--video",
                second="a folder or a video",
                instead="Videos in archives and in object storage are not looked into: copy them into a folder.",
            )
        return wanted
