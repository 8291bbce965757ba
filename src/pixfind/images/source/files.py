"""
Files of the user: reading and hashing; every `OSError` becomes an `ImageProblem` here.
"""

import os
import stat
from dataclasses import dataclass

from blake3 import blake3

from pixfind import errors
from pixfind.types import HASH_BYTES, Fingerprint

_MIN_NS, _MAX_NS = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Original:
    """One image file as it was read."""

    data: bytes
    fingerprint: Fingerprint


def content_hash(data: bytes) -> bytes:
    """Return the BLAKE3 hash of the whole content: HASH_BYTES long; files with the same hash have the same bytes."""
    return blake3(data).digest(HASH_BYTES)


def mtime_ns(found: os.stat_result) -> int:
    """Return the modification time of a file in ns since 1970, limited to 64 bits: some file systems go beyond the year 2262."""
    at = found.st_mtime_ns
    return at if _MIN_NS <= at <= _MAX_NS else min(max(at, _MIN_NS), _MAX_NS)


def read_file(path: str) -> Original:
    """
    Read a file and take its fingerprint.

    Raises EmptyFile, FileMissing, NotAFile, Unreadable, and ModifiedDuringRead when its size or time changed meanwhile.
    """
    try:
        # O_NONBLOCK: opening a pipe that is named like a picture must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise errors.NotAFile
            # Not until the end: a file may keep growing.
            data = file.read(before.st_size + 1)
            after = os.fstat(descriptor)
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except OSError as error:
        raise errors.Unreadable(detail=error.strerror or str(error)) from error
    except ValueError as error:
        # A NUL in the name.
        raise errors.Unreadable(detail=str(error)) from error
    if not data:
        raise errors.EmptyFile
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or after.st_size != len(data):
        raise errors.ModifiedDuringRead
    return Original(data, Fingerprint(after.st_size, mtime_ns(after), content_hash(data)))
