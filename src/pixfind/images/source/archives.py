"""
Archives: pictures inside zip and tar files, read where they lie, on this machine or in a bucket.

A member's location is the archive's path, "!/" and the member's name, written as paths are: no "./", no doubled slash. Nothing is
unpacked to disk, and no name of a member is ever used as a path, so links and `..` in an archive lead nowhere. A zip or a tar that is itself a member
is looked into as well, once: "a.zip!/b.zip!/c.jpg"; it is in memory while it is read. The formats: `archive_index`, `gzip_stream`.
"""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import files, folders, gzip_stream, objects, outer_file
from pixfind.images.source.archive_index import DAMAGE, MAX_MEMBERS, Archive, Tar, Zip
from pixfind.images.source.files import content_hash
from pixfind.images.source.protocol import ELSEWHERE, File, Order, Original, Presence
from pixfind.images.source.walk import ContainerWalk
from pixfind.types import Fingerprint

MARK: Final = "!/"
"""between the path of an archive and the name of a member"""

_TARS: Final = frozenset({".tar", ".tar.gz", ".tgz"})

SUFFIXES: Final = suffixes.ARCHIVES

KIND: Final = "archive"

SETTINGS: Final[frozenset[str]] = frozenset()

MAX_MEMBER_BYTES: Final = 1 << 30
"""A larger member is not read: what an archive claims to hold costs memory, whatever its own size is."""

MAX_NESTED_BYTES: Final = 256 << 20
"""An archive inside an archive is in memory while it is read; a larger one is counted, not looked into."""

_NESTABLE: Final = frozenset({".zip", ".cbz", ".tar"})
"""inside an archive: a compressed tar would be inflated as a whole, within what was inflated before"""

_MAX_NESTED = 2
_MAX_INDEXES = 8

listed = 0
"""members that were listed in this process: it grows while a large archive is looked into for the first time"""


# --- a source -------------------------------------------------------------------------------------


def has_root(root: str) -> bool:
    """Tell whether a root is an archive of this machine: by its extension, unless a folder is named like that."""
    return _is_archive_name(root) and not ELSEWHERE.match(root) and not os.path.isdir(root)


def has(location: str) -> bool:
    """Tell whether a location is that of a member."""
    return split(location) is not None


def as_root(given: str) -> str:
    """Return the absolute path."""
    return os.path.abspath(os.path.expanduser(given))


def prefix(root: str) -> str:
    """Return the path with the mark behind it."""
    return root + MARK


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise ArchiveUnreadable for an archive whose first member cannot be listed, FolderNotReadable for what is no file."""
    if os.path.isfile(root):
        next(members(root), None)
    else:
        folders.check(root, settings)


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:  # noqa: ARG001  `protocol.Source`
    """Tell whether the file is there; a walk says what is wrong with it."""
    return files.presence(root)


def walk(order: Order) -> ContainerWalk:
    """Return a walk that finds the archive to look into, and no more."""
    return ContainerWalk(order, prefix(order.root))


def members(path: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Iterator[File]:  # noqa: ARG001  `protocol.Container`
    """
    Yield the files in an archive, one of each name. Their sizes are those that are not compressed.

    Their times are those of the members; for zip, which keeps seconds, the digits below are from the checksum, so that other bytes are another
    version. Raises ArchiveUnreadable with the reason: at once, or behind those that could be listed.
    """
    inside = prefix(path)
    try:
        archive = _indexed(path, sure=True)
        nested = _Allowance(archive.file.version[0])
        for name, size, modified in archive.names():
            listed_inside = nested.members(path, archive, name, size)
            if listed_inside is None:
                yield File(inside + name, size, modified)
            else:
                yield from (File(f"{inside}{name}{MARK}{each}", *known) for each, *known in listed_inside)
    except OSError as error:
        raise errors.ArchiveUnreadable(path=path, detail=error.strerror or str(error)) from error
    except errors.ImageProblem as error:
        # An object: its store is away, or it was exchanged meanwhile.
        raise errors.ArchiveUnreadable(path=path, detail=str(error)) from error
    except DAMAGE as error:
        raise errors.ArchiveUnreadable(path=path, detail=str(error) or type(error).__name__) from error


def split(location: str) -> tuple[str, str] | None:
    """Return the path of the archive and the name of the member; None for what is no member."""
    at = location.find(MARK)
    while at > 0:
        if _may_be_archive(location[:at]):
            return location[:at], location[at + len(MARK) :]
        at = location.find(MARK, at + 1)
    return None


def _may_be_archive(path: str) -> bool:
    if ELSEWHERE.match(path):
        return objects.has(path) and suffixes.suffix(path.rpartition("/")[2]) in objects.ARCHIVES
    # A folder may be named like that as well, with the first character of the mark.
    return _is_archive_name(path) and not os.path.isdir(path + MARK[0])


def _is_archive_name(name: str) -> bool:
    return suffixes.suffix(os.path.basename(name)) in SUFFIXES


def _parts(location: str) -> tuple[str, str]:
    """Return what `split` does of the location of a member."""
    parts = split(location)
    assert parts is not None, location
    return parts


def file_of(location: str) -> str:
    """Return the path of the archive."""
    return _parts(location)[0]


def prepare(location: str) -> None:
    """Look into an archive that was not read yet, which may take minutes; what is wrong with it is for `read` to say."""
    with contextlib.suppress(OSError, errors.ImageProblem, *DAMAGE):
        _indexed(file_of(location))


def exists(location: str) -> bool:
    """Tell whether the archive has this member; True as well where its store does not say: what nobody could look at has not gone."""
    path, name = _parts(location)
    with contextlib.suppress(OSError, errors.EncryptedMember, errors.MemberTooLarge, *DAMAGE):
        try:
            archive, name = _resolved(path, name)
        except (errors.SourceAway, errors.Unreadable, errors.ModifiedDuringRead):
            return True
        return archive.find(name) is not None
    return False


def version(location: str) -> tuple[int, int] | None:
    """Return (size, mtime_ns) of a member; None where the archive or the member is not there."""
    path, name = _parts(location)
    with contextlib.suppress(OSError, errors.ImageProblem, *DAMAGE):
        archive, name = _resolved(path, name)
        return archive.find(name)
    return None


def beside(location: str, names: Iterable[str]) -> tuple[str, int] | None:
    """Return location and size in bytes of the first of these names that lies beside a member; None where there is none, or no telling."""
    path, member = _parts(location)
    with contextlib.suppress(OSError, errors.ImageProblem, *DAMAGE):
        # Once for all names: each look at the archive asks whether it has changed.
        archive, name = _resolved(path, member)
        folder = os.path.dirname(name)
        for each in names:
            if (found := archive.find(os.path.join(folder, each))) is not None:
                return os.path.join(os.path.dirname(location), each), found[0]
    return None


def read(location: str) -> Original:
    """
    Read one member; its fingerprint has the size and time of its entry in the archive.

    Raises FileMissing, Unreadable, Damaged, EmptyFile, EncryptedMember, MemberTooLarge, and ModifiedDuringRead when the archive changed
    meanwhile: its index then names other bytes, which a tar has no checksum to tell apart.
    """
    path, name = _parts(location)
    try:
        archive, name = _resolved(path, name)
        found = archive.find(name)
        if found is None:
            raise errors.FileMissing
        size, modified = found
        if size > MAX_MEMBER_BYTES:
            raise errors.MemberTooLarge(size=size / 1e6, limit=MAX_MEMBER_BYTES / 1e6)
        try:
            data = archive.read(name)
        finally:
            if not archive.file.is_current():
                raise errors.ModifiedDuringRead
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except OSError as error:
        raise errors.Unreadable(detail=error.strerror or str(error)) from error
    except DAMAGE as error:
        raise errors.Damaged(detail=f"in its archive: {error or type(error).__name__}") from error
    if not data:
        raise errors.EmptyFile
    return Original(data, Fingerprint(len(data), modified, content_hash(data)))


# --- indexes of archives --------------------------------------------------------------------------

_guard = threading.Lock()
_indexes: OrderedDict[str, Archive] = OrderedDict()
"""path -> index, the latest used last"""
_building: dict[str, threading.Lock] = {}
"""path -> held by the thread that looks into this archive"""


def _indexed(path: str, *, sure: bool = False) -> Archive:
    """Return the index of an archive, read again when the file has changed; with `sure` an object is asked. Raises OSError, DAMAGE and ImageProblem."""
    with _guard:
        building = _building.setdefault(path, threading.Lock())
    # One archive, which may be far away, does not keep the others waiting.
    with building:
        with _guard:
            known = _indexes.get(path)
        if known is None or not known.file.is_current(sure=sure):
            file = outer_file.opened(path)
            suffix = suffixes.suffix(os.path.basename(path))
            known = Tar(file, noted=_note) if suffix in _TARS else Zip(file)
        with _guard:
            _indexes[path] = known
            _indexes.move_to_end(path)
            while len(_indexes) > _MAX_INDEXES:
                _building.pop(_indexes.popitem(last=False)[0], None)
    return known


# --- archives in archives -------------------------------------------------------------------------

_nested: OrderedDict[tuple[str, str], Archive] = OrderedDict()
"""(path, name of the inner archive) -> its index, the latest used last; they hold its bytes"""


def _resolved(path: str, name: str) -> tuple[Archive, str]:
    """Return the archive that has a member, which may lie in another, and its name there. Raises OSError, DAMAGE and ImageProblem."""
    archive = _indexed(path)
    at = name.find(MARK)
    # A folder inside may be named like an archive as well.
    while at > 0 and archive.find(name) is None:
        if _is_nestable(name[:at]) and archive.find(name[:at]) is not None:
            return _inner(path, archive, name[:at]), name[at + len(MARK) :]
        at = name.find(MARK, at + 1)
    return archive, name


def _is_nestable(name: str) -> bool:
    return suffixes.suffix(os.path.basename(name)) in _NESTABLE


def _inner(path: str, archive: Archive, name: str) -> Archive:
    """Return the index of an archive in an archive. Raises OSError, DAMAGE, MemberTooLarge and EncryptedMember."""
    with _guard:
        known = _nested.get((path, name))
        if known is None or known.file is not archive.file:
            size, _ = archive.find(name) or (0, 0)
            if size > MAX_NESTED_BYTES:
                raise errors.MemberTooLarge(size=size / 1e6, limit=MAX_NESTED_BYTES / 1e6)
            kind = Tar if suffixes.suffix(os.path.basename(name)) in _TARS else Zip
            _nested[path, name] = known = kind(archive.file, archive.read(name))
        _nested.move_to_end((path, name))
        while len(_nested) > _MAX_NESTED:
            _nested.popitem(last=False)
        return known


class _Allowance:
    """How far the archives inside one are looked into: what they are unpacked to costs time, however small the outer one is."""

    def __init__(self, size: int) -> None:
        self._bytes = gzip_stream.MAX_EXPANSION * size + gzip_stream.FREE_BYTES
        self._members = MAX_MEMBERS

    def members(self, path: str, archive: Archive, name: str, size: int) -> Iterator[tuple[str, int, int]] | None:
        """Return the members of an archive inside; None for what is none, cannot be read, or would be too much."""
        if not _is_nestable(name) or size > self._bytes:
            return None
        self._bytes -= size
        try:
            found = list(_inner(path, archive, name).names())
        except (OSError, errors.ImageProblem, *DAMAGE):
            return None
        self._members -= len(found)
        return iter(found) if self._members >= 0 else None


def _note() -> None:
    global listed
    listed += 1
