"""
What the catalogue already knows of the files that a walk finds.

Owns the comparison, for one scan of one root: which files are as they were, at the cost of a comparison of sets, and which images were seen. What
becomes of all others is `scan`'s. Only reads.
"""

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from pixfind.images import source
from pixfind.images.source import File
from pixfind.library import path_text
from pixfind.library.catalogue import Catalogue, Root

_STRETCH = 1_000
"""Files that are compared with one range of the catalogue, in the order of their paths."""

_MAX_ROWS = 4 * _STRETCH
"""Rows that are read for them. Where there are more, other files lie between, and each is looked up by itself."""

_SCATTERED = 20
"""Stretches that are looked up like that before a range is tried again: a list in no order has no others."""


class KnownFiles:
    """The images of one root, and which of them the walk has seen."""

    def __init__(self, catalogue: Catalogue, root: Root) -> None:
        self._catalogue = catalogue
        self._root = root
        self._last_id = int(catalogue.value("last_id", "scan.sql"))
        self._takes = takes(root)
        # A byte for each image: 10 MB for ten million.
        self._seen = bytearray(self._last_id + 1)
        self._scattered = 0

    def without_unchanged(self, batch: Sequence[File]) -> list[File]:
        """
        Return the files of a batch that are not known as they are; the images of all others are seen.

        The caller registers these and marks their images. Of two entries of one path the last counts.
        """
        # An archive may hold a name twice.
        files = sorted({file.path: file for file in batch}.values(), key=itemgetter(0))
        left: list[File] = []
        seen, takes_others = self._seen, self._takes
        for start in range(0, len(files), _STRETCH):
            stretch = files[start : start + _STRETCH]
            known = self._known(stretch)
            for file in stretch:
                if (row := known.get(file[0])) is None:
                    left.append(file)
                elif not row[4]:
                    if takes_others:
                        left.append(file)
                # Of a file with a size below 0 nothing is known now.
                elif file[1] >= 0 and (file[1] != row[1] or file[2] != row[2]):
                    left.append(file)
                else:
                    seen[row[3]] = 1
        return left

    def _known(self, stretch: list[File]) -> dict[str, tuple[Any, ...]]:
        """
        Return the rows of images that are there, of these files and of others between them, by their paths.

        A row is (path, size, mtime_ns, id, whether it is of this root, True).
        """
        these = {"root_id": self._root.id, "last_id": self._last_id}
        rows: list[tuple[Any, ...]] = []
        if not self._scattered:
            first, last = path_text.to_text(stretch[0].path), path_text.to_text(stretch[-1].path)
            limits = {"first": first, "last": last, "limit": _MAX_ROWS + 1}
            rows = self._catalogue.all_rows("between", "scan.sql", **these, **limits)
            self._scattered = _SCATTERED if len(rows) > _MAX_ROWS else 0
        if self._scattered:
            self._scattered -= 1
            paths = json.dumps([path_text.to_text(file.path) for file in stretch])
            rows = self._catalogue.all_rows("at", "scan.sql", **these, paths=paths)
        return {row[0]: row for row in rows if row[5]}

    def mark(self, ids: Iterable[int]) -> None:
        """Note that these images were seen; those that are newer than this scan need no note."""
        seen, last_id = self._seen, self._last_id
        for image_id in ids:
            if image_id <= last_id:
                seen[image_id] = 1

    def unseen(self, first: str, last: str) -> list[tuple[int, str]]:
        """Return (id, path) of the images that are present, have a path from text `first` to before `last`, and were not seen."""
        present = self._catalogue.rows("present", "scan.sql", root_id=self._root.id, first=first, last=last)
        return [(each, path) for each, path in present if each <= self._last_id and not self._seen[each]]

    def all_seen(self) -> bool:
        """Tell whether all images that are present were seen; counted, so it costs little."""
        present = self._catalogue.value("count_present", "scan.sql", root_id=self._root.id, last_id=self._last_id)
        return self._seen.count(1) == int(present)


def takes(root: Root) -> bool:
    """Tell whether a root takes the images of others that it finds: a list takes what no other root has, so that they do not take the same from each other."""
    return source.prefix(root.path) is not None
