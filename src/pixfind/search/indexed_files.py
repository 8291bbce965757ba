"""
Indexed files as they are now: which of them are still what was indexed, and which paths are those of one file.

Owns both rules for groups of duplicates: who deletes all but the first of a group loses no picture. Looks at names, sizes and times; opens no picture.
"""

import os
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, NamedTuple

from pixfind.images import source
from pixfind.library import scan
from pixfind.library.library import Library


class IndexedFile(NamedTuple):
    """What a catalogue has of one file."""

    embedding_index: int
    image_id: int
    path: str
    size: int
    mtime_ns: int
    root_id: int


class FileCheck:
    """Looks at the files of one library, and at each of its roots once."""

    def __init__(self, library: Library) -> None:
        self.outdated: set[str] = set()
        """paths that were asked for and are gone, or were changed since they were indexed"""
        self._library = library
        self._roots = {root.id: root for root in library.catalogue.roots()}
        self._is_away: dict[int, bool] = {}

    def of_rows(self, rows: Iterable[int]) -> Iterator[IndexedFile]:
        """Yield the files of some rows of the embeddings."""
        found = self._library.catalogue.rows("members", "search.sql", rows=str([int(row) for row in rows]))
        return (IndexedFile(*each) for each in found)

    def current(self, files: Iterable[IndexedFile]) -> Iterator[IndexedFile]:
        """Leave out those that are gone or were changed; what lies on a drive that is away is taken as it was indexed."""
        return (file for file in files if self.identity(file) is not None)

    def distinct(self, files: Iterable[IndexedFile]) -> list[IndexedFile]:
        """Do as `current`, and leave out all but one path of each file."""
        return distinct((self.identity(file), file) for file in files)

    def identity(self, file: IndexedFile) -> Hashable | None:
        """
        Return what is equal for two paths of one file; None, and remember its path, where the file is not there as it was indexed.

        The path itself where nothing can be known: on a drive that is away, and of an address. Of a member of an archive that of the archive, and its name.
        """
        if source.is_address(file.path):
            return file.path
        outer = source.file_of(file.path)
        try:
            found = os.stat(outer)  # noqa: PTH116  names may hold any bytes
        except (FileNotFoundError, NotADirectoryError):
            if self._away(file.root_id):
                return file.path
            self.outdated.add(file.path)
            return None
        except (OSError, ValueError):
            return file.path
        if not _is_as_indexed(file, outer, found):
            self.outdated.add(file.path)
            return None
        # Without the device: one folder that is mounted twice may have two.
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, file.path[len(outer) :]

    def _away(self, root_id: int) -> bool:
        if root_id not in self._is_away:
            root = self._roots.get(root_id)
            self._is_away[root_id] = root is not None and scan.presence(self._library, root)[0] is not None
        return self._is_away[root_id]


def distinct(files: Iterable[tuple[Hashable | None, IndexedFile]]) -> list[IndexedFile]:
    """
    Leave out all but one path of each file, by its identity, and what has none; of a link and what it leads to the link.

    A file has several paths where there are links, hard ones too, and where a folder was registered by two paths or in two libraries.
    """
    known: dict[Any, IndexedFile] = {}
    for identity, file in files:
        if identity is not None and (identity not in known or os.path.islink(known[identity].path)):  # noqa: PTH114  as above
            known[identity] = file
    return list(known.values())


def _is_as_indexed(file: IndexedFile, outer: str, found: os.stat_result) -> bool:
    """Tell by size and time whether a file is the one that was indexed; of an archive, which would have to be read, only that it is there."""
    if outer == file.path:
        return (found.st_size, source.mtime_ns(found)) == (file.size, file.mtime_ns)
    return not source.is_video(file.path) or source.is_same_frame(file.path, file.mtime_ns, found)
