"""
Where a picture lies: a file, a member of an archive, a frame of a video. Read once, never written.

A location is one string: the path of a file, the path of an archive, "!/" and the name of a member, or the path of a video, "#t=" and a
time. The rest of the package passes locations and roots around as it passes paths, and asks here for whatever depends on their kind; `protocol`
says what a kind is, and each has a module of its own. Must not know what the bytes mean: `decode` does.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from pixfind.images import suffixes
from pixfind.images.source import archives, bucket_archives, lists, network, objects, part, videos, web
from pixfind.images.source.files import content_hash, mtime_ns
from pixfind.images.source.folders import FolderWalk, is_left_out
from pixfind.images.source.locations import (
    CONTAINERS,
    KINDS,
    exists,
    file_of,
    is_video,
    members,
    prepare,
    read,
    version,
)
from pixfind.images.source.part import Part
from pixfind.images.source.protocol import (
    UNKNOWN,
    File,
    Order,
    Original,
    Presence,
    Roots,
    Walk,
    batches,
    with_lower_scheme,
)
from pixfind.images.source.sampling import Sampling
from pixfind.images.source.side_files import completed

__all__ = [
    "COLLECTION",
    "PART",
    "UNKNOWN",
    "File",
    "FolderWalk",
    "Order",
    "Original",
    "Part",
    "Presence",
    "Sampling",
    "Walk",
    "activity",
    "as_root",
    "batches",
    "check",
    "check_settings",
    "completed",
    "container_suffixes",
    "content_hash",
    "exists",
    "file_of",
    "for_logs",
    "held_back",
    "inside",
    "is_address",
    "is_left_out",
    "is_same_frame",
    "is_video",
    "kind",
    "mark_of",
    "may_be_container",
    "members",
    "mtime_ns",
    "part_of",
    "patient",
    "prefix",
    "prepare",
    "reachable",
    "read",
    "read_frame",
    "settings_of",
    "use",
    "used",
    "version",
    "walk",
    "walk_parts",
]

PART: Final = "part"
"""setting of a root of any kind: which part of it a library has, such as "3/16" """

COLLECTION: Final = "collection"
"""setting of such a root: the collection.toml whose libraries have the other parts"""

_INSIDE: Final = re.compile(
    "|".join(f"(?:{'|'.join(map(re.escape, sorted(kind.SUFFIXES)))}){re.escape(kind.MARK)}" for kind in CONTAINERS),
    re.IGNORECASE,
)

_ROOTS: Final[tuple[Roots, ...]] = (lists, bucket_archives, *KINDS)
"""in the order in which they are asked: lists and archives in buckets by their suffix, then as `KINDS`; folders take what is left"""


# --- roots ----------------------------------------------------------------------------------------


def as_root(given: str | os.PathLike[str]) -> str:
    """Return the one way to write a root that a user gave: the absolute path of a folder or an archive."""
    text = with_lower_scheme(os.fspath(given))
    return _of_root(text).as_root(text)


def settings_of(root: str) -> frozenset[str]:
    """Return the names of the settings that a root can have."""
    return _of_root(root).SETTINGS | {PART, COLLECTION}


def kind(root: str) -> str:
    """Return what a user calls a root of this kind: folder, archive, video, list, bucket or web folder."""
    return _of_root(root).KIND


def is_address(root: str) -> bool:
    """Tell whether a root is no path of this machine."""
    return objects.has_root(root) or web.has_root(root)


def prefix(root: str) -> str | None:
    """Return what the locations of all images of a root begin with; None where that may be anything."""
    return _of_root(root).prefix(root)


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise FolderNotReadable, ArchiveUnreadable, ListUnreadable and their like for what cannot become a root."""
    _of_root(root).check(root, settings)


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:
    """Tell whether the pictures of a root can be read now."""
    return _of_root(root).reachable(root, settings)


def walk(order: Order) -> Walk:
    """Return a walk over a root."""
    return _of_root(order.root).walk(order)


def walk_parts(order: Order) -> FolderWalk | None:
    """Return a walk over parts of a root; None where it is not made of paths that change one by one."""
    found = walk(order)
    return found if isinstance(found, FolderWalk) else None


def use(roots: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Read what lies in these roots with their settings from now on, in this process. Call it before the first read."""
    known = list(roots)
    objects.use(known)
    web.use(known)


def used() -> list[tuple[str, Mapping[str, Any]]]:
    """Return what `use` has been told, for another process."""
    return objects.used() + web.used()


def _of_root(root: str) -> Roots:
    return next(kind for kind in _ROOTS if kind.has_root(root))


# --- what lies inside -----------------------------------------------------------------------------


def container_suffixes(settings: Mapping[str, Any], *, in_archives: bool) -> frozenset[str]:
    """Return the suffixes of the containers that are looked into below a root; of videos only where they can be read."""
    in_videos = Sampling.of(settings) is not None and suffixes.reads_videos()
    return (archives.SUFFIXES if in_archives else frozenset()) | (videos.SUFFIXES if in_videos else frozenset())


def part_of(root: str, text: str) -> Part:
    """Return the part of a root that a setting names; raises InvalidPart."""
    return Part.of(text, prefix(root) or "", _INSIDE)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ExtraNotInstalled where settings ask for frames of videos, which cannot be read here, and InvalidPart."""
    if PART in settings:
        part.parse(settings[PART])
    if Sampling.of(settings) is not None:
        videos.check_extra()


def may_be_container(name: str) -> bool:
    """Tell by its extension whether a file may be one of a kind that is looked into, where that was asked for."""
    return any(suffixes.suffix(name) in kind.SUFFIXES for kind in CONTAINERS)


def read_frame(file: BinaryIO, location: str) -> Original:
    """Take a frame out of a video that is open, whatever lies at its path by now; raises as `read` does."""
    return videos.read_frame(file, location)


def is_same_frame(location: str, registered_mtime_ns: int, status: os.stat_result) -> bool:
    """Tell whether a frame that was registered with this mtime_ns is still that of the file with this status; without opening it."""
    return videos.is_unchanged(location, registered_mtime_ns, status)


def for_logs(location: str) -> str:
    """Return a location as a log may have it: without what lets whoever reads it ask for the picture."""
    return web.for_logs(location)


def activity() -> int:
    """Return a number that grows while a container is looked into or another machine is asked, which may take minutes."""
    return network.activity + sum(kind.listed for kind in CONTAINERS)


def held_back() -> str | None:
    """Return for which source reads of this process wait, and why; None while none waits."""
    return network.held_back()


@contextlib.contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Let reads wait so long for a source that cannot be reached, before they raise SourceAway."""
    before, network.patience = network.patience, seconds
    try:
        yield
    finally:
        network.patience = before


def mark_of(root: str) -> str | None:
    """Return what lies between a root that is a container and the names in it; None for another root."""
    return next((kind.MARK for kind in CONTAINERS if kind.has_root(root)), None)


def inside(path: str) -> tuple[str, ...]:
    """Return what the locations of all that is inside a path can begin with, be it a folder or a container."""
    separated = path + "/" if is_address(path) else os.path.join(path, "")
    return (separated, *(path + kind.MARK for kind in CONTAINERS))
