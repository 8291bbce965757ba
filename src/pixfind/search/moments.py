"""
Moments: the frames of one video that a search finds, of which the best stands for all.

Owns which frames belong together: those of one file. Must not know scores; `searcher` folds hits with it.
"""

from collections.abc import Iterable

from pixfind.images import suffixes
from pixfind.library import path_text
from pixfind.library.catalogue import Catalogue
from pixfind.search.filters import Filters


def video_of(path: str) -> str | None:
    """Return the path of the video that a frame is of; None for any other picture."""
    video = suffixes.without_time(path)
    return None if video == path else video


def first_frames(catalogue: Catalogue, paths: Iterable[str], filters: Filters) -> dict[str, int]:
    """Return for each path that is a frame the least id of the frames of its video that are embedded and pass the filters."""
    found: dict[str, int] = {}
    of_videos: dict[str, int] = {}
    for path in paths:
        video = video_of(path)
        if video is None:
            continue
        if video not in of_videos:
            first, last = path_text.range_below(video + suffixes.FRAME_MARK)
            of_videos[video] = catalogue.value(
                "first_frame", "search.sql", first=first, last=last, **filters.parameters()
            )
        found[path] = of_videos[video]
    return found
