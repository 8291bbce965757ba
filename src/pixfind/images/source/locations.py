"""
Where one picture lies: asks the kind of source that a location is of.

The rest of the package passes locations around as it passes paths; what depends on their kind is asked here, and offered by `images.source`.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import archives, folders, objects, videos, web
from pixfind.images.source.protocol import Container, File, Original, Source

CONTAINERS: Final[tuple[Container, ...]] = (archives, videos)

KINDS: Final[tuple[Source, ...]] = (archives, objects, web, videos, folders)
"""in the order in which they are asked: archives, which may lie in a bucket, addresses by their scheme, videos by their suffix; folders take what is left"""


def read(location: str) -> Original:
    """
    Read the bytes at a location and take their fingerprint.

    Raises EmptyFile, FileMissing, NotAFile, Unreadable, and ModifiedDuringRead when a file's size or time changed meanwhile; for a member
    of an archive also Damaged, EncryptedMember and MemberTooLarge.
    """
    return _of(location).read(location)


def prepare(location: str) -> None:
    """Do what the first read of an archive needs, which may take minutes; nothing for a file."""
    _of(location).prepare(location)


def exists(location: str) -> bool:
    """Tell whether something lies at a location, whatever it is."""
    return _of(location).exists(location)


def version(location: str) -> tuple[int, int] | None:
    """Return (size, mtime_ns) of what lies at a location, without reading it; None where there is nothing, or no file."""
    return _of(location).version(location)


def file_of(location: str) -> str:
    """Return the path of the file that holds a location: itself, or the archive."""
    return _of(location).file_of(location)


def is_video(location: str) -> bool:
    """Tell whether a location is that of a frame of a video, or of a whole video."""
    return _of(location) is videos


def members(path: str, settings: Mapping[str, Any]) -> Iterator[File]:
    """
    Yield the pictures in a container, and what else an archive holds; `settings` are those of the root.

    Raises an OperationError with the reason, at once or behind those that could be listed.
    """
    suffix = suffixes.suffix(os.path.basename(path))
    return next(kind for kind in CONTAINERS if suffix in kind.SUFFIXES).members(path, settings)


def is_occupied(path: str) -> bool:
    """Tell whether anything lies in a folder or a container that can be read."""
    with contextlib.suppress(OSError, errors.OperationError):
        if os.path.isfile(path):
            return is_video(path) or next(members(path, {}), None) is not None
        with os.scandir(path) as entries:
            return next(iter(entries), None) is not None
    return False


def _of(location: str) -> Source:
    return next(kind for kind in KINDS if kind.has(location))
