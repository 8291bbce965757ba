"""
A zip file that is sent while it is made: nothing of it is on this disk, and little of it in memory.

Owns the names inside and the bytes. Members are stored and not deflated, because pictures are compressed already. Must not know where files come from.
"""

import asyncio
import datetime as dt
import os
import re
import zipfile
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

_CHUNK: Final = 512 * 1024
_FIRST_YEAR, _LAST_YEAR = 1980, 2107
"""that the format can write"""
_MAX_NAME: Final = 180
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ufffd\u202a-\u202e\u2066-\u2069]')
"""characters that some system takes for a folder or does not allow, and such as turn the writing around"""


class Names:
    """The names of the members: each once, without folders, and valid on every system."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """Return a name for a file called `name`: the same where that is possible, "a (2).jpg" for the second "a.jpg"."""
        stem, suffix = os.path.splitext(_UNSAFE.sub("_", name))  # noqa: PTH122  a name, not a path
        stem = stem.strip(". ")[:_MAX_NAME] or "picture"
        made, number = stem + suffix, 1
        # Two names that differ in case alone are one file on some systems.
        while made.casefold() in self._taken:
            number += 1
            made = f"{stem} ({number}){suffix}"
        self._taken.add(made.casefold())
        return made


class ZipStream:
    """A zip file whose bytes are taken away while it grows."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._names = Names()
        self._zip = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_STORED)

    async def add(self, name: str, file: BinaryIO) -> AsyncIterator[bytes]:
        """Append an open file, and yield the bytes that this makes; raises OSError where the file cannot be read to its end."""
        status = os.fstat(file.fileno())
        info = zipfile.ZipInfo(self._names.unique(name), _date(status.st_mtime))
        info.external_attr = 0o644 << 16
        # Sizes follow the data: they are not known until it has been read.
        with self._zip.open(info, "w", force_zip64=status.st_size > zipfile.ZIP64_LIMIT // 2) as member:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                member.write(chunk)
                yield self._pipe.take()
        yield self._pipe.take()

    def end(self) -> bytes:
        """Return the last bytes, the directory."""
        self._zip.close()
        return self._pipe.take()


class _Pipe:
    """A file that can only be written to, as `zipfile` expects it."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: everything has been written."""

    def close(self) -> None:
        """Do nothing: the last bytes are still to be taken."""

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken


def _date(seconds: float) -> tuple[int, int, int, int, int, int]:
    """Return a time as the format has it: local time, from 1980 to 2107."""
    try:
        local = dt.datetime.fromtimestamp(seconds)  # noqa: DTZ006  the format knows no zone
    except (OverflowError, OSError, ValueError):
        return (_FIRST_YEAR, 1, 1, 0, 0, 0)
    if not _FIRST_YEAR <= local.year <= _LAST_YEAR:
        return (_FIRST_YEAR, 1, 1, 0, 0, 0)
    return (local.year, local.month, local.day, local.hour, local.minute, local.second)
