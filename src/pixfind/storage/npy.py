"""
Arrays that rows are appended to: .npy files that survive a crash at any moment.

Owns the order of writes: rows, sync, then the header with the new count. Must not know what a row means.
Byte layout: docs/reference/format.md. The header itself is in `npy_header`, which needs no NumPy.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib import format  # noqa: A004 - the name of NumPy's module
from numpy.typing import NDArray

from pixfind import errors
from pixfind.storage import disk, npy_header


class GrowingArray:
    """
    An .npy file that rows are appended to; always loadable with `np.load`.

    Rows are written and synced first. The header with the new count is written last, in one write within one sector.
    Rows beyond the header's count were never promised, and the next `open` for writing cuts them off.
    """

    def __init__(
        self, path: Path, dtype: np.dtype[Any], row_shape: tuple[int, ...] = (), *, write: bool = False
    ) -> None:
        self.path = path
        self.dtype = dtype
        self.row_shape = row_shape
        self.row_bytes = dtype.itemsize * int(np.prod(row_shape, dtype=np.int64))
        self._descr = format.dtype_to_descr(dtype)
        self.header_bytes = _header_length(self._descr, row_shape)
        self._write = write
        with disk.writing(path) if write else disk.reading(path):
            try:
                flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
                self._descriptor = os.open(path, flags | disk.NO_LINK, disk.FILE_MODE)
            except FileNotFoundError as error:
                if write:
                    raise
                raise errors.LibraryDamaged(path=path, detail="it is missing") from error
            except IsADirectoryError as error:
                raise errors.LibraryDamaged(path=path, detail=disk.IS_FOLDER) from error
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
        """Close the file."""
        os.close(self._descriptor)

    def append(self, rows: NDArray[Any]) -> range:
        """Make `rows` ([n, *row_shape] of the file's dtype) durable and return their range; raises DiskFull and DiskFailed."""
        before = self.count
        self.write_behind(rows, before)
        self.promise(before + len(rows))
        return range(before, self.count)

    def write_behind(self, rows: NDArray[Any], start: int) -> None:
        """Write `rows` from row `start` on, at or behind the count: `promise` makes them part of the file. Raises DiskFull and DiskFailed."""
        rows = np.ascontiguousarray(rows, self.dtype)
        if rows.shape[1:] != self.row_shape:
            message = f"rows of shape {rows.shape[1:]} do not fit a file of {self.row_shape}"
            raise ValueError(message)
        with disk.writing(self.path):
            _write_all(self._descriptor, rows.tobytes(), self._offset(start))

    def promise(self, count: int) -> None:
        """Make everything that was written durable, then the count; raises DiskFull and DiskFailed."""
        with disk.writing(self.path):
            disk.sync(self._descriptor)
            # The header after the sync, never before: its count promises complete bytes.
            self._publish_count(count)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows `start` to `stop` as a read-only array [n, *row_shape]; raises LibraryDamaged when the file ends before them."""
        wanted = (stop - start) * self.row_bytes
        with disk.reading(self.path):
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

    def sync(self) -> None:
        """Make everything that can be read durable: a writer that was killed may not have synced it. Raises DiskFailed."""
        with disk.translate_errors("synced", self.path):
            # Opened again: Windows syncs only files that are open for writing.
            descriptor = os.open(self.path, os.O_RDWR | disk.NO_LINK)
            try:
                disk.sync(descriptor)
            finally:
                os.close(descriptor)

    def rows_present(self) -> int:
        """Return how many complete rows the file holds, whatever its header promises."""
        return max(0, os.fstat(self._descriptor).st_size - self.header_bytes) // self.row_bytes

    def shorten(self, count: int) -> None:
        """Forget all rows from `count` on."""
        with disk.writing(self.path):
            self._publish_count(count)
            os.ftruncate(self._descriptor, self._offset(count))
            disk.sync(self._descriptor)

    def _offset(self, row: int) -> int:
        return self.header_bytes + row * self.row_bytes

    def _start(self) -> int:
        if os.fstat(self._descriptor).st_size < self.header_bytes:
            # A new file, or one whose first write was interrupted: it promises nothing yet. Its name is durable before it has a header.
            disk.sync_directory(self.path.parent)
            self.count = 0
        else:
            self.count = self._read_count()
        # Written again: a header whose sync failed can be read, but may not have reached the disk.
        self._publish_count(self.count)
        os.ftruncate(self._descriptor, min(os.fstat(self._descriptor).st_size, self._offset(self.count)))
        return self.count

    def _publish_count(self, count: int) -> None:
        try:
            self._write_header(count)
            disk.sync(self._descriptor)
        except OSError:
            # After a sync that failed, the next one succeeds though nothing was written: a count that may not be on the disk must
            # not be read either.
            with contextlib.suppress(OSError):
                self._write_header(self.count)
            raise
        self.count = count

    def _write_header(self, count: int) -> None:
        header = npy_header.encode(self._descr, (count, *self.row_shape), self.header_bytes)
        _write_all(self._descriptor, header, 0)

    def _read_count(self) -> int:
        with disk.reading(self.path):
            data = os.pread(self._descriptor, self.header_bytes, 0)
        if len(data) < self.header_bytes:
            return 0  # Its first write was interrupted: it promises nothing yet.
        shape, descr = npy_header.decode(self.path, data)
        try:
            dtype = format.descr_to_dtype(descr)
        except (ValueError, TypeError) as error:
            raise errors.LibraryDamaged(path=self.path, detail=f"its header cannot be read ({error})") from error
        if dtype != self.dtype or shape[1:] != self.row_shape:
            raise errors.LibraryDamaged(
                path=self.path, detail=f"it holds rows of {shape[1:]} {dtype}, not {self.row_shape} {self.dtype}"
            )
        return shape[0]


def _header_length(descr: Any, row_shape: tuple[int, ...]) -> int:
    """128 bytes for a plain array, the next power of two that fits for a structured one: always within one disk sector."""
    for length in (128, 256, 512):
        with contextlib.suppress(ValueError):
            npy_header.encode(descr, (npy_header.MAX_COUNT, *row_shape), length)
            return length
    message = f"no header fits {descr}"
    raise ValueError(message)


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
