"""
What is in one archive: an index of the members of a zip or a tar, and their bytes.

Owns the formats: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (zip), https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
(tar). Must not know locations.
"""

import calendar
import io
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Protocol, Self

from pixfind import errors
from pixfind.images.source import gzip_stream
from pixfind.images.source.outer_file import OuterFile

MAX_MEMBERS: Final = 2_000_000
"""An archive with more is not looked into: its index would not fit into the memory of a worker."""

MAX_FETCHED_BYTES: Final = 1 << 30
"""of a compressed member of a zip on another machine, which is in memory before it is inflated"""

_ZIP_HEADER: Final = struct.Struct("<4s22sHH")
"""of a member: magic, what the directory has as well, length of the name, length of the extra field"""
_ZIP_MAGIC: Final = b"PK\x03\x04"
_ZIP_SLACK: Final = 64

_GZIP_MAGIC: Final = b"\x1f\x8b"

_HEADERS_OF_HEADERS: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_MAX_HEADER_BYTES: Final = 1 << 20

_NAMELESS: Final = ("", ".")

try:
    from lzma import LZMAError
except ImportError:  # A Python that was built without it cannot read such members, and says so.
    LZMAError = zlib.error  # type: ignore[misc,assignment]

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    LZMAError,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    IndexError,
    RecursionError,
    MemoryError,
)
"""what the standard library raises for the bytes of a damaged archive, and for what it cannot read"""


class Archive(Protocol):
    file: OuterFile
    """that holds it, or the archive in which it lies, in the version of which this is the index"""

    def names(self) -> Iterator[tuple[str, int, int]]:
        """Yield (name, size, mtime_ns) of every file; raises one of DAMAGE behind the last one that can be listed."""

    def find(self, name: str) -> tuple[int, int] | None:
        """Return (size, mtime_ns) of the member of this name, the last one where there are several."""

    def read(self, name: str) -> bytes:
        """Return a member's bytes; raises KeyError, EncryptedMember, OSError, or one of DAMAGE."""


class Zip:
    def __init__(self, file: OuterFile, data: bytes | None = None) -> None:
        """`data`: the bytes of an archive that lies inside another."""
        self.file = file
        self._is_elsewhere = data is None and file.path is None
        self._zip = zipfile.ZipFile(file.lasting() if data is None else io.BytesIO(data))
        # Not `is_dir`: it fails for an empty name.
        files = (each for each in self._zip.infolist() if not each.filename.endswith("/"))
        self._files = {name: each for each in files if (name := _as_path(each.filename)) not in _NAMELESS}
        _check_count(len(self._files))
        if self._is_elsewhere:
            # Its members are fetched one by one: what was read for the directory is not kept.
            self._zip.close()

    def names(self) -> Iterator[tuple[str, int, int]]:
        return ((name, each.file_size, _zip_mtime_ns(each)) for name, each in self._files.items())

    def find(self, name: str) -> tuple[int, int] | None:
        each = self._files.get(name)
        return None if each is None else (each.file_size, _zip_mtime_ns(each))

    def read(self, name: str) -> bytes:
        each = self._files[name]
        if each.flag_bits & 1:
            raise errors.EncryptedMember
        # Never more than the entry promises, which was compared with the limit; the checksum is verified behind the last byte.
        with self._fetched(each) if self._is_elsewhere else self._zip.open(each) as file:
            data = file.read(each.file_size)
        return _complete(data, each.file_size)

    def _fetched(self, each: zipfile.ZipInfo) -> zipfile.ZipExtFile:
        """Return a member of an archive on another machine, which one request brings, header and all."""
        if each.compress_size > MAX_FETCHED_BYTES:
            raise errors.MemberTooLarge(size=each.compress_size / 1e6, limit=MAX_FETCHED_BYTES / 1e6)
        # Longer than most: the name and the extra field of the header, which the directory has in another form.
        header = _ZIP_HEADER.size + 2 * len(each.filename.encode()) + len(each.extra) + _ZIP_SLACK
        found = self.file.read(each.header_offset, header + each.compress_size)
        if len(found) < _ZIP_HEADER.size:
            raise EOFError
        magic, _, name, extra = _ZIP_HEADER.unpack_from(found)
        if magic != _ZIP_MAGIC:
            message = "no header where the directory has one"
            raise zipfile.BadZipFile(message)
        begin = _ZIP_HEADER.size + name + extra
        if (missing := begin + each.compress_size - len(found)) > 0:
            found += self.file.read(each.header_offset + len(found), missing)
        return zipfile.ZipExtFile(io.BytesIO(found[begin : begin + each.compress_size]), "r", each, None, True)


class _TarHeader(tarfile.TarInfo):
    """A header whose sizes can be true: tarfile believes what it reads, goes back for ever, or asks for terabytes of memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.type in _HEADERS_OF_HEADERS and found.size > _MAX_HEADER_BYTES):
            raise tarfile.InvalidHeaderError("a size that cannot be")  # type: ignore[attr-defined]
        return found


class Tar:
    def __init__(
        self,
        file: OuterFile,
        data: bytes | None = None,
        *,
        noted: Callable[[], None] = lambda: None,
    ) -> None:
        """`data`: the bytes of an archive that lies inside another, which is not compressed as a whole. `noted` is called for each entry."""
        self.file = file
        self._data = data
        self._noted = noted
        self._files: dict[str, tuple[int, int, int]] = {}
        self._damage: Exception | None = None
        with self._open() as opened:
            compressed = data is None and opened.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            opened.seek(0)
            self._stream = gzip_stream.GzipStream(file.path) if compressed and file.path is not None else None
            try:
                self._list(opened if self._stream is None else self._stream.open(opened))
            except DAMAGE as error:
                # What comes before the damage can be read.
                self._damage = error

    def _list(self, file: BinaryIO) -> None:
        with tarfile.open(fileobj=file, mode="r:", tarinfo=_TarHeader) as tar:
            for each in tar:
                self._noted()
                if each.size < 0:
                    raise tarfile.ReadError("a negative size")
                if each.isreg() and not each.issparse():
                    self._files[_as_path(each.name)] = each.size, _in_range(each.mtime), each.offset_data
                    _check_count(len(self._files))
                # They are kept otherwise, a kilobyte each.
                tar.members.clear()  # type: ignore[attr-defined]
            end = tar.offset
        # A header that is damaged ends the list as the end of the archive does.
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            message = f"no header at byte {end}"
            raise tarfile.ReadError(message)

    def names(self) -> Iterator[tuple[str, int, int]]:
        for name, (size, modified, _) in self._files.items():
            yield name, size, modified
        if self._damage is not None:
            raise self._damage

    def find(self, name: str) -> tuple[int, int] | None:
        found = self._files.get(name)
        return None if found is None else found[:2]

    def read(self, name: str) -> bytes:
        size, _, offset = self._files[name]
        if self._stream is not None:
            return _complete(self._stream.read(offset, size), size)
        data = self.file.read(offset, size) if self._data is None else self._data[offset : offset + size]
        return _complete(data, size)

    def _open(self) -> BinaryIO:
        return self.file.open() if self._data is None else io.BytesIO(self._data)


def _complete(data: bytes, size: int) -> bytes:
    if len(data) != size:
        message = f"{len(data)} of {size} bytes"
        raise EOFError(message)
    return data


def _in_range(seconds: float) -> int:
    """Return nanoseconds that SQLite can keep."""
    return max(-(2**63), min(int(seconds * 1e9), 2**63 - 1))


def _as_path(name: str) -> str:
    return posixpath.normpath(name).lstrip("/")


def _check_count(count: int) -> None:
    if count > MAX_MEMBERS:
        message = f"it has more than {MAX_MEMBERS:,} members"
        raise ValueError(message)


def _zip_mtime_ns(each: zipfile.ZipInfo) -> int:
    try:
        seconds = calendar.timegm((*each.date_time, 0, 0, 0))
    except ValueError:
        seconds = 0  # A month 0, as some programs write it.
    return seconds * 10**9 + each.CRC % 10**9
