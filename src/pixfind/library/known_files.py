"""
What the catalogue already knows of the files that a walk finds.

Owns the comparison, for one scan of one root: which files are as they were, at the cost of a comparison of sets, and which images were seen. What
becomes of all others is `scan`'s. Only reads.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter

from pixfind.library import path_text
from pixfind.library.catalogue import Catalogue, Root
from pixfind.library.walk import File

_STRETCH = 1_000
"""Files that are compared with one range of the catalogue, in the order of their paths."""

_MAX_ROWS = 4 * _STRETCH
"""Rows that are read for them. Where there are more, other files lie between, and a lookup of each costs less."""


class KnownFiles:
    """The images of one root, and which of them the walk has seen."""

    def __init__(self, catalogue: Catalogue, root: Root) -> None:
        self._catalogue = catalogue
        self._root = root
        self._last_id = int(catalogue.value("last_id", "scan.sql"))
        # A byte for each image: 10 MB for ten million.
        self._seen = bytearray(self._last_id + 1)

    def without_unchanged(self, batch: Sequence[File]) -> list[File]:
        """
        Return the files of a batch that are not known as they are; the images of all others are seen.

        The caller registers these and marks their images. Of two entries of one path the last counts.
        """
        # An archive may hold a name twice.
        files = sorted({file.path: file for file in batch}.values(), key=itemgetter(0))
        left: list[File] = []
        seen = self._seen
        for start in range(0, len(files), _STRETCH):
            stretch = files[start : start + _STRETCH]
            unchanged = self._unchanged(stretch)
            for file in stretch:
                if (image_id := unchanged.get(file)) is None:
                    left.append(file)
                else:
                    seen[image_id] = 1
        return left

    def _unchanged(self, stretch: list[File]) -> dict[tuple[str, int, int], int]:
        """Return the ids of images that are present between the first and the last of these files, by path, size and time."""
        rows = self._catalogue.all_rows(
            "between",
            "scan.sql",
            root_id=self._root.id,
            first=path_text.to_text(stretch[0].path),
            last=path_text.to_text(stretch[-1].path),
            last_id=self._last_id,
            limit=_MAX_ROWS + 1,
        )
        return {row[:3]: row[3] for row in rows if row[4]} if len(rows) <= _MAX_ROWS else {}

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
