"""
The walk over one root: which files and archives it holds, without what is excluded.

Owns which folders are entered: none of another device or another root, no hidden ones, no bins. Reads names, sizes and times only; what
is new or changed is `scan`'s to find out.
"""

import fnmatch
import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import NamedTuple

from pixfind.images import suffixes
from pixfind.images.source import archives, mtime_ns
from pixfind.library import links
from pixfind.library.catalogue import Root

BATCH = 50_000
"""Files registered in one transaction: the index on sizes is written at random places, so many rows share what a few would write each."""
_STEP = 64
"""files between two looks at the clock"""
BATCH_SECONDS = 1.0
"""after which a batch is registered, however small: a slow disk shows progress, and a crash costs a second of the walk"""

#: Folders that hold no pictures of the user: thumbnails, bins, file system internals. Hidden ones are left out by their dot.
_NOT_THE_USERS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"})


LEFT_OUT = suffixes.KNOWN_UNREAD | suffixes.RAW | archives.SUFFIXES
"""suffixes that are counted where files of them are not registered"""


class File(NamedTuple):
    """A file or a member of an archive, as a walk or a directory of members describes it."""

    path: str
    size: int
    mtime_ns: int


def prefix_of(root: str) -> str:
    """Return what the locations of all images of a root begin with."""
    return root + archives.MARK if is_archive(root) else os.path.join(root, "")


def is_archive(root: str) -> bool:
    """Tell whether a root is an archive, not a folder."""
    return archives.is_archive_name(root) and not os.path.isdir(root)


def is_left_out(below: str) -> bool:
    """Tell by its name whether the walk never comes to a path, which is relative to its root: it or a folder above it is hidden or not the user's."""
    return any(name.startswith(".") or name in _NOT_THE_USERS for name in below.split(os.sep))


def batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Group files as they are registered: by BATCH, or what BATCH_SECONDS brought."""
    waiting = iter(files)
    batch: list[File] = []
    began = time.monotonic()
    while some := list(itertools.islice(waiting, _STEP)):
        batch += some
        if len(batch) >= BATCH or time.monotonic() - began >= BATCH_SECONDS:
            yield batch
            batch, began = [], time.monotonic()
    if batch:
        yield batch


class PathEntry:
    """What `os.DirEntry` tells about an entry of a folder, for one path. Raises OSError when nothing lies there or it cannot be known."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self._found = os.lstat(path)

    def is_symlink(self) -> bool:
        """Tell whether it is a link."""
        return S_ISLNK(self._found.st_mode)

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Tell whether it is a folder, not what a link leads to."""
        assert not follow_symlinks
        return S_ISDIR(self._found.st_mode)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return what the system knows about it."""
        return os.stat(self.path) if follow_symlinks and self.is_symlink() else self._found


class Walk:
    """The files of one root, without those of other devices and other roots."""

    def __init__(self, root: Root, others: list[str], skip: set[str], unsettled: frozenset[str] = frozenset()) -> None:
        self.unsettled = unsettled
        """files that are left out of this walk, and whose images are not gone"""
        self.problems: list[str] = []
        self.links_out: list[str] = []
        self.mounts: list[str] = []
        self.archives: list[File] = []
        """those to look into"""
        self.left_out: Counter[str] = Counter()
        self.suffixes = suffixes.registered()
        """of the files that are images here"""
        self.unread_raw = suffixes.RAW - self.suffixes
        """those of RAW files, where the extra that reads them is not installed"""
        self._root = root
        self._inside = prefix_of(root.path)
        self._roots = [root.path, *others]
        self._skip = skip | unsettled
        self._rules = [(glob, re.compile(fnmatch.translate(glob))) for glob in json.loads(root.exclude)]

    def exclusion(self, path: str) -> str | None:
        """Return the glob that leaves out this path below the root, or a folder above it."""
        if not self._rules:
            return None
        parts = path.removeprefix(self._inside).split(os.sep)
        names = [*parts, *(os.sep.join(parts[: end + 1]) for end in range(len(parts)))]
        return next((glob for glob, rule in self._rules if any(rule.match(name) for name in names)), None)

    def files(self) -> Iterator[File]:
        """Yield the image files; `archives` and what else was found is complete behind the last."""
        found = self._found()
        if found is None:
            return
        if is_archive(self._root.path):
            self.archives.append(File(self._root.path, found.st_size, mtime_ns(found)))
            return
        yield from self._below([self._root.path], found.st_dev)

    def _found(self) -> os.stat_result | None:
        """Return what the root is; None, and a problem, where it has gone since it was looked at: what is known of it is kept."""
        try:
            return os.stat(self._root.path)
        except OSError:
            self.problems.append(self._root.path)
            return None

    def files_at(self, places: Iterable[str]) -> Iterator[File]:
        """Yield the image files at some paths below the root, and below those that are folders, that `files` would yield."""
        found = self._found()
        if found is None:
            return
        device = found.st_dev
        for place in places:
            folders: list[str] = []
            try:
                entry = PathEntry(place)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self.problems.append(place)
                continue
            if (file := self._entry(entry, folders, device)) is not None:
                yield file
            yield from self._below(folders, device)

    def topmost(self, path: str) -> str:
        """
        Return the highest path, of one below the root and the folders above it, that decides what `files` finds there.

        That is `path`, or a folder above it that is not entered: it is missing, excluded, hidden, a link, no folder, of another device.
        """
        found = self._found()
        if found is None:
            return path
        device = found.st_dev
        inside = os.path.join(self._root.path, "")
        at = self._root.path
        for name in path.removeprefix(inside).split(os.sep)[:-1]:
            at = os.path.join(at, name)
            try:
                entered = self._enters(PathEntry(at), device)
            except OSError:
                entered = False
            if not entered:
                return at
        return path

    def _enters(self, entry: PathEntry, device: int) -> bool:
        left_out = entry.name.startswith(".") or entry.name in _NOT_THE_USERS or entry.path in self._skip
        if left_out or not entry.is_dir(follow_symlinks=False) or self.exclusion(entry.path):
            return False
        return entry.stat(follow_symlinks=False).st_dev == device

    def _below(self, folders: list[str], device: int) -> Iterator[File]:
        while folders:
            folder = folders.pop()
            inside: list[str] = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if (file := self._entry(entry, inside, device)) is not None:
                            yield file
            except OSError:
                self.problems.append(folder)
            # In the order of their paths, as the catalogue has them: what is found together is compared and written together.
            folders += sorted(inside, reverse=True)

    def _entry(self, entry: os.DirEntry[str] | PathEntry, folders: list[str], device: int) -> File | None:
        """Return the image file that an entry is; note what else it may be. Called for millions of entries."""
        name = entry.name
        if name[0] == "." or entry.path in self._skip:
            return None
        try:
            if entry.is_dir(follow_symlinks=False):
                self._folder(entry, folders, device)
                return None
            if self._rules and self.exclusion(entry.path) is not None:
                return None
            suffix = suffixes.suffix(name)
            if suffix in self.suffixes:
                return self._file(entry)
            if suffix in archives.SUFFIXES and self._root.in_archives:
                if (archive := self._file(entry)) is not None:
                    self.archives.append(archive)
            elif suffix in LEFT_OUT:
                self.left_out[suffix] += 1
        except OSError:
            self.problems.append(entry.path)
        return None

    def _file(self, entry: os.DirEntry[str] | PathEntry) -> File | None:
        found = entry.stat()
        # Links to folders are not followed (loops); links to files may be; a pipe or a device is no picture.
        if not S_ISREG(found.st_mode):
            return None
        if entry.is_symlink() and not links.leads_into(entry.path, self._roots):
            self.links_out.append(entry.path)
            return None
        return File(entry.path, found.st_size, mtime_ns(found))

    def _folder(self, entry: os.DirEntry[str] | PathEntry, folders: list[str], device: int) -> None:
        if entry.name in _NOT_THE_USERS or self.exclusion(entry.path):
            return
        if entry.stat(follow_symlinks=False).st_dev != device:
            self.mounts.append(entry.path)
        else:
            folders.append(entry.path)
