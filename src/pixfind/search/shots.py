"""
Shots: the files that a camera, or a program after it, wrote of one picture: IMG_1234.CR2, IMG_1234.JPG, IMG_1234.HEIC.

Owns what belongs to one shot: images in one folder or archive whose names differ in the extension alone, at least one of them RAW. Two
pictures such as 1.jpg and 1.png belong together only by chance. Must not know scores; `searcher` folds hits with it.
"""

import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pixfind.images import suffixes
from pixfind.library import path_text
from pixfind.library.catalogue import Catalogue
from pixfind.search.filters import Filters

_MAX_SUFFIX: Final = max(map(len, suffixes.RAW | suffixes.SUFFIXES))


class Beside(NamedTuple):
    """One file of a shot."""

    path: str
    image_id: int
    time: int
    """when it was taken, or the time of the file: seconds since 1970"""


def beside(catalogue: Catalogue, paths: Iterable[str], filters: Filters) -> Mapping[str, list[Beside]]:
    """Return for each path that belongs to a shot all its files that are embedded and pass the filters, itself included."""
    beginnings: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        if suffix := _suffix(path):
            beginnings[path_text.to_text(path[: -len(suffix)])].append(path)
    if not beginnings:
        return {}
    found = list(catalogue.rows("of_shots", "search.sql", beginnings=json.dumps(list(beginnings)), longest=_MAX_SUFFIX))
    if filters:
        ids = json.dumps([image_id for _, _, image_id, _ in found])
        passing = {image_id for (image_id,) in catalogue.rows("passing", "search.sql", ids=ids, **filters.parameters())}
        found = [row for row in found if row[2] in passing]
    shots: dict[str, list[Beside]] = {}
    for beginning, rows in itertools.groupby(found, lambda row: str(row[0])):
        same = beginnings[beginning]
        files = [file for file in (Beside(*rest) for _, *rest in rows) if _differ_in_suffix(file.path, same[0])]
        if len(files) > 1 and any(_suffix(file.path) in suffixes.RAW for file in files):
            shots.update(dict.fromkeys(same, files))
    return shots


def _suffix(path: str) -> str:
    """Return the extension of a picture; none of a frame of a video, which is no file of a shot."""
    found = suffixes.suffix(os.path.basename(path))  # noqa: PTH119  names may hold any bytes
    return "" if found in suffixes.VIDEOS else found


def _differ_in_suffix(path: str, other: str) -> bool:
    """Tell whether two paths are the same but for the extension."""
    return path[: -len(_suffix(path))] == other[: -len(_suffix(other))]
