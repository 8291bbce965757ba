"""
Our own files: how bytes become durable.

Owns the two ways in which pixfind writes a file: a `GrowingArray` is appended to, everything else is published by rename.
Must not know what the bytes mean. Byte layout and order of writes: docs/reference/format.md.
An `OSError` on our own files stops the command: `doing` tells it as a `LibraryError` with the file and what was done to it.
"""

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pixfind import errors

#: Set to 1 by benchmarks only, to price durability.
NO_SYNC = os.environ.get("PIXFIND_UNSAFE_NO_SYNC") == "1"

#: What we make is for its owner alone: names of folders, times and places of pictures are nobody else's business.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
#: A link in the place of a file of ours would have us write elsewhere.
NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST}

FAILURES = (errors.DiskFull, errors.NotWritable, errors.DiskFailed, errors.LinkInLibrary)
"""what `doing` raises: for those who can do without a file"""

#: What only a disk says, or a system that has lost it.
_BROKEN = {errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT}

_MAGIC = b"\x93NUMPY\x01\x00"
_numbers = itertools.count()
_LONGEST_COUNT = 10**18


def is_full(error: OSError) -> bool:
    """Tell whether the disk, the quota or the largest file size is reached."""
    return error.errno in _FULL


def is_failure(error: OSError) -> bool:
    """Tell whether the disk is to blame, whatever file it was."""
    return is_full(error) or error.errno in _BROKEN


@contextlib.contextmanager
def doing(operation: str, path: Path) -> Iterator[None]:
    """
    Border: one file of ours. Every OSError becomes DiskFull, NotWritable, DiskFailed or LinkInLibrary.

    `operation` ends "could not be ...": written, read, deleted. Of two around each other the inner one tells, as it knows more.
    """
    try:
        yield
    except OSError as error:
        raise told(error, operation, path) from error


def told(error: OSError, operation: str, path: Path | str) -> errors.LibraryError:
    """Return the LibraryError that an OSError on a file of ours is."""
    detail = error.strerror or str(error)
    if error.errno == errno.ELOOP:
        return errors.LinkInLibrary(path=path)
    if is_full(error):
        return errors.DiskFull(path=path, detail=detail)
    if operation != "read" and error.errno in _FORBIDDEN:
        return errors.NotWritable(path=path, detail=detail)
    return errors.DiskFailed(path=path, operation=operation, detail=detail)


def writing(path: Path) -> contextlib.AbstractContextManager[None]:
    """Tell what goes wrong while `path` is written."""
    return doing("written", path)


def reading(path: Path) -> contextlib.AbstractContextManager[None]:
    """Tell what goes wrong while `path` is read."""
    return doing("read", path)


def delete(path: Path) -> None:
    """Delete a file of ours, if it is there."""
    with doing("deleted", path):
        path.unlink(missing_ok=True)


def sync(descriptor: int) -> None:
    """Return when everything written to the file is on the disk."""
    if NO_SYNC:
        return
    # fdatasync leaves out times of access, not the length: enough for us and cheaper. macOS has no such call.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_directory(path: Path) -> None:
    """Make a rename or a new file in `path` durable. A no-op where directories cannot be opened (Windows)."""
    if NO_SYNC or os.name == "nt":
        return
    with doing("synced", path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, and what is missing above it."""
    with doing("made", path):
        if not path.is_dir():
            make_folder(path.parent)
            path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def create(path: Path | str, flags: int = 0) -> int:
    """Return a descriptor of a file of ours, open for writing, made for its owner alone where it is missing; no link is followed."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | NO_LINK | getattr(os, "O_BINARY", 0) | flags, FILE_MODE)


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """
    Yield a temporary path beside `path`; when the block ends well it takes the place of `path` in one step.

    Readers see the old file or the new one, never a part. A crash leaves the old file and a `.tmp`.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_numbers)}.tmp")
    try:
        with writing(path):
            os.close(create(temporary, os.O_EXCL))
            # Who has opened a library to others keeps it open.
            with contextlib.suppress(FileNotFoundError):
                before = path.lstat().st_mode
                temporary.chmod(before & 0o666 if stat.S_ISREG(before) else FILE_MODE)
            yield temporary
            with temporary.open("rb+") as file:
                sync(file.fileno())
            temporary.replace(path)
            sync_directory(path.parent)
    finally:
        # It is only in the way, and what went wrong before matters more.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish(path: Path, data: bytes) -> None:
    """Replace the content of `path` in one step."""
    with publishing(path) as temporary:
        temporary.write_bytes(data)


def header(dtype: np.dtype[Any], shape: tuple[int, ...], length: int) -> bytes:
    """
    Return an .npy version 1.0 header of exactly `length` bytes.

    Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. NumPy pads to a multiple of 64; we pad to a
    fixed length, so that a header with more rows takes the place of one with fewer.
    """
    text = repr({"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}).encode("latin1")
    room = length - len(_MAGIC) - 2
    if len(text) + 1 > room:
        message = f"an .npy header of {len(text)} bytes does not fit into {length}"
        raise ValueError(message)
    return _MAGIC + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"


def _header_length(dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> int:
    """128 bytes for a plain array, the next power of two that fits for a structured one: always within one disk sector."""
    for length in (128, 256, 512):
        with contextlib.suppress(ValueError):
            header(dtype, (_LONGEST_COUNT, *row_shape), length)
            return length
    message = f"no header fits {dtype}"
    raise ValueError(message)


class GrowingArray:
    """
    An .npy file that rows are appended to; always loadable with `np.load`.

    Rows are written and synced first. The header with the new count is written last, in one write within one sector.
    Whatever lies behind the header's count was never promised, and the next `open` for writing cuts it off.
    """

    def __init__(
        self, path: Path, dtype: np.dtype[Any], row_shape: tuple[int, ...] = (), *, write: bool = False
    ) -> None:
        self.path = path
        self.dtype = dtype
        self.row_shape = row_shape
        self.row_bytes = dtype.itemsize * int(np.prod(row_shape, dtype=np.int64))
        self.header_bytes = _header_length(dtype, row_shape)
        self._write = write
        with writing(path) if write else reading(path):
            try:
                how = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
                self._descriptor = os.open(path, how | NO_LINK, FILE_MODE)
            except FileNotFoundError as error:
                if write:
                    raise
                raise errors.LibraryDamaged(path=path, detail="it is missing") from error
            try:
                self.count = self._start() if write else self._read_count()
            except BaseException:
                os.close(self._descriptor)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def append(self, rows: NDArray[Any]) -> range:
        """Make `rows` ([n, *row_shape] of the file's dtype) durable and return where they lie."""
        rows = np.ascontiguousarray(rows, self.dtype)
        if rows.shape[1:] != self.row_shape:
            message = f"rows of shape {rows.shape[1:]} do not fit a file of {self.row_shape}"
            raise ValueError(message)
        with writing(self.path):
            _write_all(self._descriptor, rows.tobytes(), self._offset(self.count))
            sync(self._descriptor)
            # The header after the sync, never before: its count promises complete bytes.
            self._publish_count(self.count + len(rows))
        return range(self.count - len(rows), self.count)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return a copy of rows `start` to `stop`; raises LibraryDamaged where the file ends before them."""
        wanted = (stop - start) * self.row_bytes
        with reading(self.path):
            data = b"".join(_read_all(self._descriptor, wanted, self._offset(start)))
        if len(data) != wanted:
            raise errors.LibraryDamaged(
                path=self.path, detail=f"the header promises {self.count} rows, the file ends before row {stop}"
            )
        return np.frombuffer(data, self.dtype).reshape(-1, *self.row_shape)

    def refresh(self) -> int:
        """Read the count again: another process may have appended."""
        self.count = self._read_count()
        return self.count

    def rows_present(self) -> int:
        """Return how many complete rows the file holds, whatever its header promises."""
        return max(0, os.fstat(self._descriptor).st_size - self.header_bytes) // self.row_bytes

    def shorten(self, count: int) -> None:
        """Forget all rows from `count` on."""
        with writing(self.path):
            self._publish_count(count)
            os.ftruncate(self._descriptor, self._offset(count))
            sync(self._descriptor)

    def _offset(self, row: int) -> int:
        return self.header_bytes + row * self.row_bytes

    def _start(self) -> int:
        if os.fstat(self._descriptor).st_size < self.header_bytes:
            # A new file, or one whose first write was cut: it holds no promise yet.
            self._publish_count(0)
            sync_directory(self.path.parent)
            return 0
        count = self._read_count()
        # Written once more: of a header whose sync failed nobody knows whether it reached the disk, though it can be read.
        self._publish_count(count)
        os.ftruncate(self._descriptor, min(os.fstat(self._descriptor).st_size, self._offset(count)))
        return count

    def _publish_count(self, count: int) -> None:
        _write_all(self._descriptor, header(self.dtype, (count, *self.row_shape), self.header_bytes), 0)
        sync(self._descriptor)
        self.count = count

    def _read_count(self) -> int:
        with reading(self.path):
            data = os.pread(self._descriptor, self.header_bytes, 0)
        if len(data) < self.header_bytes:
            return 0  # Its first write was cut: it holds no promise yet.
        shape, dtype = _parse_header(self.path, data)
        if dtype != self.dtype or shape[1:] != self.row_shape:
            raise errors.LibraryDamaged(
                path=self.path, detail=f"it holds rows of {shape[1:]} {dtype}, not {self.row_shape} {self.dtype}"
            )
        return shape[0]


def npy_shape(path: Path) -> tuple[int, ...]:
    """Return the shape in the header of an .npy file, (0,) for one that is missing or was never finished."""
    with reading(path):
        try:
            with path.open("rb") as file:
                data = file.read(512)
        except FileNotFoundError:
            return (0,)
    return _parse_header(path, data)[0] if len(data) >= len(header(np.dtype("<f2"), (0,), 128)) else (0,)


def _parse_header(path: Path, data: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    import ast

    try:
        length = int.from_bytes(data.removeprefix(_MAGIC)[:2], "little") if data.startswith(_MAGIC) else 0
        fields = ast.literal_eval(data[10 : 10 + length].decode("latin1"))
        return tuple(fields["shape"]), npy.descr_to_dtype(fields["descr"])
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise errors.LibraryDamaged(path=path, detail=f"its header cannot be read ({error})") from error


def _write_all(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _read_all(descriptor: int, wanted: int, offset: int) -> Iterator[bytes]:
    # One read returns at most 2 GiB on Linux.
    while wanted:
        data = os.pread(descriptor, min(wanted, 1 << 30), offset)
        if not data:
            return
        yield data
        wanted, offset = wanted - len(data), offset + len(data)
