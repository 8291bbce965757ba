"""
One image for a client: its metadata, a thumbnail, its file.

Owns the way from an image id to bytes, and the promise that nothing outside the registered folders is ever opened. Must not know HTTP.
"""

import itertools
import json
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.images import decode, source, suffixes, thumbnails
from pixfind.images.source import links
from pixfind.library import fields, labels
from pixfind.library.library import Library
from pixfind.search import shots
from pixfind.search.filters import NO_FILTERS
from pixfind.server import cursors, schemas
from pixfind.types import iso_time
from pixfind.worker.decoders import DecoderPool

_HEAD_BYTES = 64

# Types that every browser displays and in which nothing can run, by their first bytes: a file's name proves nothing.
INLINE_TYPES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)

_MATROSKA = b"\x1a\x45\xdf\xa3"

#: Where containers of videos have which bytes.
_VIDEOS = (
    *((4, box) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
    (0, _MATROSKA),
    (8, b"AVI "),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF
    (0, b"FLV"),
    (0, b"OggS"),
    (0, b"\0\0\x01\xba"),  # MPEG-PS
    (0, b"\0\0\x01\xb3"),
    (0, b"\x06\x0e\x2b\x34"),  # MXF
    (0, b"\x1f\x07\0"),  # DV
    *((at, b"\x47") for at in (0, 4)),  # MPEG-TS, with times before each packet on cameras
)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One row of the catalogue's images."""

    image_id: int
    path: str
    root: str
    size: int
    mtime_ns: int
    hash: bytes | None
    outcome: str
    reason: str | None
    row: int | None
    width: int
    height: int
    taken_at: int | None
    camera: str
    latitude: float | None
    longitude: float | None

    @property
    def time(self) -> int:
        """When it was taken, or its file changed, in seconds since 1970: as search.sql has it, rounded towards zero."""
        if self.taken_at is not None:
            return self.taken_at
        seconds = abs(self.mtime_ns) // 1_000_000_000
        return seconds if self.mtime_ns >= 0 else -seconds

    @property
    def name(self) -> str:
        return os.path.basename(self.path)  # noqa: PTH119  names may hold any bytes

    @property
    def is_video(self) -> bool:
        """Whether it is a frame of a video."""
        return source.is_video(self.path)

    @property
    def file(self) -> str:
        """The path of the file that holds it: its own, or that of the archive or the video."""
        return source.file_of(self.path)

    @property
    def file_name(self) -> str:
        """The name of the file that a client gets: of a frame that of its video."""
        return os.path.basename(self.file) if self.is_video else self.name  # noqa: PTH119


def image(library: Library, image_id: int) -> ImageRecord:
    """Return the image with this id; raises ImageNotFound when there is none or it is gone."""
    row: tuple[Any, ...] | None = next(library.catalogue.rows("shown_image", "search.sql", image_id=image_id), None)
    if row is None:
        raise errors.ImageNotFound(image_id=image_id, path=library.path, former_kind="NoImage")
    return ImageRecord(image_id, *row)


def contents(library: Library, ids: Sequence[int]) -> list[bytes]:
    """Return the content hashes of images, in their order; raises ImageNotFound for one that was never read or is gone."""
    found = dict(library.catalogue.rows("contents_with_ids", "search.sql", ids=json.dumps(list(ids))))
    for image_id in ids:
        if image_id not in found:
            raise errors.ImageNotFound(image_id=image_id, path=library.path, former_kind="NoImage")
    return [found[image_id] for image_id in ids]


def metadata(library: Library, image_id: int) -> schemas.Metadata:
    """Return the metadata of an image; raises ImageNotFound."""
    record = image(library, image_id)
    same = () if record.row is None else library.catalogue.rows("paths_of_row", "search.sql", row=record.row)
    files = shots.beside(library.catalogue, [record.path], NO_FILTERS)
    return schemas.Metadata(
        image_id=image_id,
        path=schemas.display_path(record.path),
        name=schemas.display_path(record.name),
        root=schemas.display_path(record.root),
        width=record.width or None,
        height=record.height or None,
        bytes=max(record.size, 0),
        taken=iso_time(record.taken_at),
        # Of an address that was never read nothing is known.
        modified=(iso_time(record.mtime_ns / 1e9) if record.size >= 0 else None) or "",
        camera=record.camera or None,
        latitude=record.latitude,
        longitude=record.longitude,
        outcome=record.outcome,
        reason=record.reason,
        also=[schemas.display_path(path) for other, path in same if other != image_id],
        same_shot=[schemas.display_path(file.path) for file in files.get(record.path, ()) if file.image_id != image_id],
        time=suffixes.frame_time(record.path),
        labels=[] if record.row is None else labels.of_row(library.catalogue, record.row),
        fields=fields.of_image(library.catalogue, image_id),
        cursors={sort: str(cursor) for sort, cursor in cursors.at_image(image_id, record.time).items()},
    )


def open_file(library: Library, record: ImageRecord) -> int:
    """
    Return a descriptor of the image's file, open for reading; of a copy without a name for a member of an archive and an object, of the video for a
    frame.

    Raises OutsideRoots for what lies in no registered folder or address, also when a link leads there, FileUnavailable when the file cannot be read, NotAPicture when no decoder
    recognises its bytes.
    """
    if source.is_address(record.path):
        data = _fetch(library, record).data
    else:
        descriptor = _open_in_roots(library, record)
        try:
            if not _is_copied(record):
                _check_picture(record, os.pread(descriptor, _HEAD_BYTES, 0))
                return descriptor
            data = _read_member(record)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    with tempfile.TemporaryFile() as copy:
        copy.write(data)
        copy.seek(0)
        return os.dup(copy.fileno())


def opened(library: Library, image_id: int) -> tuple[ImageRecord, int]:
    """Return an image and a descriptor of its file; raises ImageNotFound and what `open_file` raises."""
    record = image(library, image_id)
    return record, open_file(library, record)


def file_size(library: Library, record: ImageRecord) -> int:
    """Return how many bytes `open_file` would give; raises as it does, but does not read what lies in an archive or on another machine."""
    if source.is_address(record.path):
        _check_address(library, record)
        return record.size
    if _is_copied(record):
        os.close(_open_in_roots(library, record))
        return record.size
    with os.fdopen(open_file(library, record), "rb") as file:
        return os.fstat(file.fileno()).st_size


def _is_copied(record: ImageRecord) -> bool:
    """Tell whether `open_file` gives a copy: of a member of an archive, of an object. Of a video it gives the whole file."""
    return source.is_address(record.path) or (record.file != record.path and not record.is_video)


def _open_in_roots(library: Library, record: ImageRecord) -> int:
    """Return a descriptor of the image's file or of its archive; raises OutsideRoots, FileUnavailable."""
    path = record.file
    try:
        # O_NONBLOCK: a pipe with the name of a picture must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise errors.FileUnavailable(
            image_id=record.image_id, detail=error.strerror or "it cannot be opened"
        ) from error
    try:
        _check_inside_roots(library, record, path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read_member(record: ImageRecord) -> bytes:
    try:
        data = source.read(record.path).data
    except errors.ImageProblem as error:
        raise errors.FileUnavailable(image_id=record.image_id, detail=str(error)) from error
    _check_picture(record, data[:_HEAD_BYTES])
    return data


def _fetch(library: Library, record: ImageRecord) -> source.Original:
    """Read what lies on another machine; raises OutsideRoots, FileUnavailable, NotAPicture."""
    _check_address(library, record)
    # A root may have been added since the library was opened.
    library.use_sources()
    try:
        original = source.read(record.path)
    except errors.ImageProblem as error:
        raise errors.FileUnavailable(image_id=record.image_id, detail=str(error)) from error
    _check_picture(record, original.data[:_HEAD_BYTES])
    return original


def _check_address(library: Library, record: ImageRecord) -> None:
    """Raise OutsideRoots for an address that lies in no root: nobody is asked for what the user never registered."""
    if source.prefix(record.root) is None:
        return  # A list names its addresses one by one.
    prefixes = (source.prefix(root.path) for root in library.catalogue.roots() if source.is_address(root.path))
    if not record.path.startswith(tuple(prefix for prefix in prefixes if prefix)):
        raise errors.OutsideRoots(image_id=record.image_id)


def _check_inside_roots(library: Library, record: ImageRecord, path: str, opened: os.stat_result) -> None:
    """Check that the open file is a regular file in a registered folder. Links may change at any time, so the open descriptor is compared."""
    if not stat.S_ISREG(opened.st_mode):
        raise errors.FileUnavailable(image_id=record.image_id, detail="it is not a file")
    real = os.path.realpath(path)
    # A list names its files one by one: a link may not lead out of the folder of such a file either.
    own = record.root if source.prefix(record.root) is not None else os.path.dirname(path)  # noqa: PTH120  names may hold any bytes
    others = (root.path for root in library.catalogue.roots())
    if not links.leads_into(real, itertools.chain([own], others)):
        raise errors.OutsideRoots(image_id=record.image_id)
    try:
        found = Path(real).lstat()
    except OSError as error:
        raise errors.FileUnavailable(image_id=record.image_id, detail=error.strerror or "it has gone") from error
    if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
        raise errors.OutsideRoots(image_id=record.image_id)


def _check_picture(record: ImageRecord, head: bytes) -> None:
    """Refuse other files: a library may come from a stranger, who may have registered any file."""
    known = any(head.startswith(magic, at) for at, magic in _VIDEOS) if record.is_video else decode.recognises(head)
    if not known:
        raise errors.NotAPicture(image_id=record.image_id)


def version(record: ImageRecord, descriptor: int) -> str | None:
    """Return what identifies the bytes that `open_file` has copied; None for a file that it has opened itself."""
    if not _is_copied(record):
        return None
    return source.content_hash(os.pread(descriptor, os.fstat(descriptor).st_size, 0)).hex()


def video_type(head: bytes) -> str | None:
    """Return the media type of a video that browsers play, from the first 64 bytes; None for all others."""
    if head.startswith(b"ftyp", 4):
        return "video/quicktime" if head.startswith(b"qt  ", 8) else "video/mp4"
    if head.startswith(_MATROSKA):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    return "video/ogg" if head.startswith(b"OggS") else None


def media_type(head: bytes) -> str | None:
    """Return the media type that a browser may display, from the first 16 bytes; None for all other files."""
    for magic, kind in INLINE_TYPES:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:12] == b"ftypavif":
        return "image/avif"
    return None


def side_for(size: int) -> int:
    """Return the smallest side of thumbnails that is at least `size` pixels, or the largest."""
    return next((side for side in thumbnails.SIDES if side >= size), thumbnails.SIDES[-1])


class Thumbnails:
    """Thumbnails of a library's images, cached in the library."""

    def __init__(self, folder: Path, decoders: DecoderPool) -> None:
        self._cache = thumbnails.Cache(folder)
        self._decoders = decoders

    def get(self, library: Library, image_id: int, side: int) -> bytes:
        """
        Return a JPEG whose longer side has at most `side` pixels.

        Raises ImageNotFound, NoThumbnail for an image without an embedding, what `open_file` raises, ImageProblem and DecodingFailed.
        """
        record = image(library, image_id)
        if record.row is None:
            # No worker has decoded it successfully: another process would most likely fail too.
            raise errors.NoThumbnail(image_id=image_id, detail=record.reason or "it is not embedded yet")
        if source.is_address(record.path):
            return self._of_address(library, record, side)
        read: Callable[[], bytes]
        with os.fdopen(_open_in_roots(library, record), "rb") as file:
            if record.is_video:
                return self._frame(record, os.fstat(file.fileno()), side)
            if _is_copied(record):
                # Its archive says what it is: one that has a thumbnail is not read.
                found, read = source.version(record.path), lambda: _read_member(record)
            else:
                _check_picture(record, os.pread(file.fileno(), _HEAD_BYTES, 0))
                status = os.fstat(file.fileno())
                found, read = (status.st_size, source.mtime_ns(status)), file.read
            if record.hash is not None and found == (record.size, record.mtime_ns):
                return self._kept(record.hash, side, lambda: self._decoders.thumbnail(read(), side))
            # The file changed since the scan: cached under the catalogue's hash, the wrong thumbnail would stay for ever.
            data = read()
            return self._kept(source.content_hash(data), side, lambda: self._decoders.thumbnail(data, side))

    def _kept(self, content: bytes, side: int, make: Callable[[], bytes]) -> bytes:
        """Return the thumbnail of a content from the cache, else what `make` returns, which is then cached."""
        return self._cached(content, side) or self._cache.get_or_make(content, side, make)

    def _cached(self, content: bytes, side: int) -> bytes | None:
        """Return the thumbnail of a content from the cache, or from a larger one there, such as one that was made ahead; None where there is none."""
        found = self._cache.get(content, side)
        if found is None and (larger := self._cache.larger(content, side)) is not None:
            found = self._decoders.thumbnail(larger, side)
            self._cache.put(content, side, found)
        return found

    def _of_address(self, library: Library, record: ImageRecord, side: int) -> bytes:
        """Return the thumbnail of what was embedded, without a question to another machine where it is cached: a scan finds what has changed."""
        _check_address(library, record)
        cached = None if record.hash is None else self._cached(record.hash, side)
        if cached is not None:
            return cached
        original = _fetch(library, record)
        return self._kept(original.fingerprint.hash, side, lambda: self._decoders.thumbnail(original.data, side))

    def _frame(self, record: ImageRecord, status: os.stat_result, side: int) -> bytes:
        def make() -> bytes:
            return self._decoders.frame_thumbnail(record.path, (status.st_dev, status.st_ino), side)

        # A video that has changed since the scan has other frames, which are shown and not kept.
        if record.hash is None or not source.is_same_frame(record.path, record.mtime_ns, status):
            return make()
        return self._kept(record.hash, side, make)
