"""
Archives: pictures inside zip and tar files, read where they lie.

A member's location is the archive's path, "!/" and the member's name, written as paths are: no "./", no doubled slash. Nothing is
unpacked to disk, and no name of a member is ever used as a path, so links and `..` in an archive lead nowhere. The formats: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (zip),
https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (tar). A tar may be compressed as a whole with gzip (`gzip_stream`).
"""

import calendar
import contextlib
import errno
import io
import os
import posixpath
import tarfile
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol, Self

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import gzip_stream
from pixfind.images.source.files import Original, content_hash, mtime_ns
from pixfind.types import Fingerprint

MARK: Final = "!/"
"""between the path of an archive and the name of a member"""

_TARS: Final = frozenset({".tar", ".tar.gz", ".tgz"})

SUFFIXES: Final = frozenset({".zip", ".cbz"}) | _TARS

MAX_MEMBER_BYTES: Final = 1 << 30
"""A larger member is not read: what an archive claims to hold costs memory, whatever its own size is."""

MAX_MEMBERS: Final = 2_000_000
"""An archive with more is not looked into: its index would not fit into the memory of a worker."""

_MAX_INDEXES = 8

_GZIP_MAGIC: Final = b"\x1f\x8b"

_BUFFER_BYTES = 128 << 10

_HEADERS_OF_HEADERS: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_MAX_HEADER_BYTES: Final = 1 << 20

_NAMELESS: Final = ("", ".")

listed = 0
"""members that were listed in this process: it grows while a large archive is looked into for the first time"""

try:
    from lzma import LZMAError
except ImportError:  # A Python that was built without it cannot read such members, and says so.
    LZMAError = zlib.error  # type: ignore[misc,assignment]

_DAMAGE = (
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


@dataclass(frozen=True, slots=True)
class Member:
    """One picture of an archive, as its directory describes it."""

    location: str
    size: int
    """bytes, not compressed"""
    mtime_ns: int
    """of the member; for zip, which keeps seconds, the digits below are from its checksum, so that other bytes are another version"""


class _Archive(Protocol):
    version: tuple[int, int]
    """size and mtime_ns that the file had before its index was read"""

    def names(self) -> Iterator[tuple[str, int, int]]:
        """Yield (name, size, mtime_ns) of every file; raises one of _DAMAGE behind the last one that can be listed."""

    def find(self, name: str) -> tuple[int, int] | None:
        """Return (size, mtime_ns) of the member of this name, the last one where there are several."""

    def read(self, name: str) -> bytes:
        """Return a member's bytes; raises KeyError, EncryptedMember, OSError, or one of _DAMAGE."""


def is_archive_name(name: str) -> bool:
    """Tell by its extension whether a file is an archive that can be read."""
    return suffixes.suffix(os.path.basename(name)) in SUFFIXES


def split(location: str) -> tuple[str, str] | None:
    """Return the path of the archive and the name of the member; None for a file."""
    at = location.find(MARK)
    while at > 0:
        # A folder may be named like that as well.
        if is_archive_name(location[:at]) and not os.path.isdir(location[: at + 1]):
            return location[:at], location[at + len(MARK) :]
        at = location.find(MARK, at + 1)
    return None


def members(path: str) -> Iterator[Member]:
    """
    Yield the files in an archive, one of each name.

    Raises ArchiveUnreadable with the reason: at once, or behind those that could be listed.
    """
    prefix = path + MARK
    try:
        for name, size, modified in _indexed(path).names():
            yield Member(prefix + name, size, modified)
    except OSError as error:
        raise errors.ArchiveUnreadable(path=path, detail=error.strerror or str(error)) from error
    except _DAMAGE as error:
        raise errors.ArchiveUnreadable(path=path, detail=str(error) or type(error).__name__) from error


def prepare(path: str) -> None:
    """Look into an archive that was not read yet, which may take minutes; what is wrong with it is for `read` to say."""
    with contextlib.suppress(OSError, *_DAMAGE):
        _indexed(path)


def version(path: str, name: str) -> tuple[int, int] | None:
    """Return (size, mtime_ns) of a member; None where the archive or the member is not there."""
    with contextlib.suppress(OSError, *_DAMAGE):
        return _indexed(path).find(name)
    return None


def read(path: str, name: str) -> Original:
    """
    Read one member; its fingerprint has the size and time of its entry in the archive.

    Raises FileMissing, Unreadable, Damaged, EmptyFile, EncryptedMember, MemberTooLarge, and ModifiedDuringRead when the archive changed
    meanwhile: its index then names other bytes, which a tar has no checksum to tell apart.
    """
    try:
        archive = _indexed(path)
        found = archive.find(name)
        if found is None:
            raise errors.FileMissing
        size, modified = found
        if size > MAX_MEMBER_BYTES:
            raise errors.MemberTooLarge(size=size / 1e6, limit=MAX_MEMBER_BYTES / 1e6)
        try:
            data = archive.read(name)
        finally:
            if _version(path) != archive.version:
                raise errors.ModifiedDuringRead
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except OSError as error:
        raise errors.Unreadable(detail=error.strerror or str(error)) from error
    except _DAMAGE as error:
        raise errors.Damaged(detail=f"in its archive: {error or type(error).__name__}") from error
    if not data:
        raise errors.EmptyFile
    return Original(data, Fingerprint(len(data), modified, content_hash(data)))


# --- indexes of archives --------------------------------------------------------------------------

_guard = threading.Lock()
_indexes: OrderedDict[str, _Archive] = OrderedDict()
"""path -> index, the latest used last"""


def _indexed(path: str) -> _Archive:
    """Return the index of an archive, read again when the file has changed. Raises OSError and _DAMAGE."""
    version = _version(path)
    with _guard:
        known = _indexes.get(path)
        if known is None or known.version != version:
            suffix = suffixes.suffix(os.path.basename(path))
            _indexes[path] = known = (_Tar if suffix in _TARS else _Zip)(path, version)
        _indexes.move_to_end(path)
        while len(_indexes) > _MAX_INDEXES:
            _indexes.popitem(last=False)
        return known


def _version(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, mtime_ns(found)


class _ClosedFile(io.RawIOBase):
    """A file that is open only while it is read: an index that is kept must not hold a drive that somebody wants to unmount."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        at = offset + (os.stat(self._path).st_size if start is None else start)
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # As a real file, which zipfile relies on.
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        with open(self._path, "rb", buffering=0) as file:
            file.seek(self._at)
            count = file.readinto(buffer) or 0
        self._at += count
        return count


class _Zip:
    def __init__(self, path: str, version: tuple[int, int]) -> None:
        self.version = version
        # Buffered: a member's header, which is read in three pieces, and most of its bytes come with one read.
        self._zip = zipfile.ZipFile(io.BufferedReader(_ClosedFile(path), _BUFFER_BYTES))
        # Not `is_dir`: it fails for an empty name.
        files = (each for each in self._zip.infolist() if not each.filename.endswith("/"))
        self._files = {name: each for each in files if (name := _as_path(each.filename)) not in _NAMELESS}
        _check_count(len(self._files))

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
        with self._zip.open(each) as file:
            data = file.read(each.file_size)
        return _complete(data, each.file_size)


class _TarHeader(tarfile.TarInfo):
    """A header whose sizes can be true: tarfile believes what it reads, goes back for ever, or asks for terabytes of memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.type in _HEADERS_OF_HEADERS and found.size > _MAX_HEADER_BYTES):
            raise tarfile.InvalidHeaderError("a size that cannot be")  # type: ignore[attr-defined]
        return found


class _Tar:
    def __init__(self, path: str, version: tuple[int, int]) -> None:
        self.version = version
        self._path = path
        self._files: dict[str, tuple[int, int, int]] = {}
        self._damage: Exception | None = None
        with open(path, "rb") as file:
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            self._stream = gzip_stream.GzipStream(path) if compressed else None
            try:
                self._list(file if self._stream is None else self._stream.open(file))
            except _DAMAGE as error:
                # What comes before the damage can be read.
                self._damage = error

    def _list(self, file: BinaryIO) -> None:
        global listed
        with tarfile.open(fileobj=file, mode="r:", tarinfo=_TarHeader) as tar:
            for each in tar:
                listed += 1
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
        with open(self._path, "rb", buffering=0) as file:
            file.seek(offset)
            data = file.read(size)
        return _complete(data, size)


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
