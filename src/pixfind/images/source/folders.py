"""
Folders: pictures that are files of this machine, in the folders that hold them.

Owns which folders are entered: none of another device or another root, no hidden ones, no bins. Reads names, sizes and times only; the bytes are
read by `files`. This kind takes every root and location that no other takes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any, Final

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import files, links, sampling
from pixfind.images.source.files import mtime_ns, read_file
from pixfind.images.source.protocol import ELSEWHERE, File, Order, Original, Presence
from pixfind.images.source.walk import Findings

#: Folders that hold no pictures of the user: thumbnails, bins, file system internals. Hidden ones are left out by their dot.
_NOT_THE_USERS: Final = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"})


KIND: Final = "folder"

SETTINGS: Final = sampling.SETTINGS


def has_root(root: str) -> bool:  # noqa: ARG001  `protocol.Source`
    """Take any root: others have been asked before."""
    return True


def has(location: str) -> bool:  # noqa: ARG001  `protocol.Source`
    """Take any location: others have been asked before."""
    return True


def as_root(given: str) -> str:
    """Return the absolute path; links in it stay."""
    return os.path.abspath(os.path.expanduser(given))


def prefix(root: str) -> str:
    """Return the path of the folder with a separator behind it."""
    return os.path.join(root, "")


def check(root: str, settings: Mapping[str, Any]) -> None:  # noqa: ARG001  `protocol.Source`
    """Raise FolderNotReadable for what is no folder, or none that can be read."""
    try:
        with os.scandir(root):
            pass
    except OSError as error:
        raise errors.FolderNotReadable(path=root, detail=error.strerror) from error


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:  # noqa: ARG001  `protocol.Source`
    """Tell whether the folder can be read, whether it is empty, and on which device it lies."""

    def look() -> Presence:
        device = os.stat(root).st_dev
        with os.scandir(root) as entries:
            return Presence(None, empty=next(iter(entries), None) is None, device=device)

    return files.presence_by(root, look)


def walk(order: Order) -> "FolderWalk":
    """Return a walk over the folder."""
    return FolderWalk(order)


def read(location: str) -> Original:
    """Read a file; raises EmptyFile, FileMissing, NotAFile, Unreadable, and ModifiedDuringRead."""
    if (elsewhere := ELSEWHERE.match(location)) is not None:
        raise errors.Unreadable(detail=f"no source reads {elsewhere[1]}:// addresses")
    return read_file(location)


def version(location: str) -> tuple[int, int] | None:
    """Return the size and time of a file; None where there is none."""
    try:
        return files.version(location)
    except (OSError, ValueError):
        return None


def exists(location: str) -> bool:
    """Tell whether something lies there, whatever it is."""
    return os.path.lexists(location)


def prepare(location: str) -> None:
    """Do nothing: a file is read at once."""


def file_of(location: str) -> str:
    """Return the path itself."""
    return location


def is_left_out(below: str) -> bool:
    """Tell by its name whether the walk never comes to a path, which is relative to its root: it or a folder above it is hidden or not the user's."""
    return any(name.startswith(".") or name in _NOT_THE_USERS for name in below.split(os.sep))


def _is_of_a_library(entry: "os.DirEntry[str] | PathEntry") -> bool:
    """Tell whether a folder has the thumbnails of a library, which may lie among the pictures."""
    return entry.name == "thumbnails" and os.path.exists(os.path.join(os.path.dirname(entry.path), "metadata.db"))


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


class FolderWalk(Findings):
    """The files of one folder, without those of other devices and other roots."""

    def __init__(self, order: Order) -> None:
        super().__init__(order, prefix(order.root))
        self._roots = [order.root, *order.others]
        self._skip = order.skip | order.unsettled

    def files(self) -> Iterator[File]:
        """Yield the image files; what else was found is complete behind the last."""
        found = self._found()
        if found is not None:
            yield from self._below([self.order.root], found.st_dev)

    def _found(self) -> os.stat_result | None:
        """Return what the root is; None, and a problem, where it has gone since it was looked at: what is known of it is kept."""
        try:
            return os.stat(self.order.root)
        except OSError:
            self.problems.append(self.order.root)
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
        inside = prefix(self.order.root)
        at = self.order.root
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
        if left_out or _is_of_a_library(entry) or not entry.is_dir(follow_symlinks=False) or self.exclusion(entry.path):
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
            if suffix in self.order.containers:
                if (container := self._file(entry)) is not None:
                    self.containers.append(container)
            elif suffix in suffixes.COUNTED:
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
        if entry.name in _NOT_THE_USERS or self.exclusion(entry.path) or _is_of_a_library(entry):
            return
        if entry.stat(follow_symlinks=False).st_dev != device:
            self.mounts.append(entry.path)
        else:
            folders.append(entry.path)
