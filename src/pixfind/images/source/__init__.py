"""
Where a picture lies: a file, or a member of an archive. Read once, never written.

A location is one string: the path of a file, or the path of an archive, "!/" and the name of a member. The rest of the package passes
locations around as it passes paths, and does not know what kind they are. Must not know what the bytes mean: `decode` does.
"""

import os

from pixfind.images.source import archives
from pixfind.images.source.files import Original, content_hash, mtime_ns, read_file
from pixfind.images.source.side_files import completed

__all__ = ["Original", "completed", "content_hash", "exists", "file_of", "mtime_ns", "prepare", "read", "version"]


def read(location: str) -> Original:
    """
    Read the bytes at a location and take their fingerprint.

    Raises EmptyFile, FileMissing, NotAFile, Unreadable, and ModifiedDuringRead when a file's size or time changed meanwhile; for a member
    of an archive also Damaged, EncryptedMember and MemberTooLarge.
    """
    parts = archives.split(location)
    return read_file(location) if parts is None else archives.read(*parts)


def prepare(location: str) -> None:
    """Do what the first read of an archive needs, which may take minutes; nothing for a file."""
    parts = archives.split(location)
    if parts is not None:
        archives.prepare(parts[0])


def exists(location: str) -> bool:
    """Tell whether something lies at a location, whatever it is."""
    parts = archives.split(location)
    return os.path.lexists(location) if parts is None else archives.version(*parts) is not None


def version(location: str) -> tuple[int, int] | None:
    """Return (size, mtime_ns) of what lies at a location, without reading it; None where there is nothing, or no file."""
    parts = archives.split(location)
    if parts is not None:
        return archives.version(*parts)
    try:
        found = os.stat(location)
    except (OSError, ValueError):
        return None
    return found.st_size, mtime_ns(found)


def file_of(location: str) -> str:
    """Return the path of the file that holds a location: itself, or the archive."""
    parts = archives.split(location)
    return location if parts is None else parts[0]
