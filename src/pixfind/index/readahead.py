"""
Read-ahead for memory-mapped rows: madvise tells the system which rows will be read, so that it reads them in parallel.

Owns the advice and when it is worth its cost. Does nothing for arrays that are not mapped, or on systems without madvise.

A search reads a thousand rows from all over a file of gigabytes. Without advice the system reads the neighbourhood of each:
800 ms and the whole file for one search in 624,000 rows. With MADV_RANDOM: 200 ms, one read after the other. With MADV_WILLNEED
for each row: 20 ms. That advice costs 2 us a row, more than reading from memory, so it is given only while reads come from the disk, as
the system's own counters show, at first for a few rows; measured times would mistake a busy machine for a slow disk.
"""

import contextlib
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import float16, int64
from numpy.typing import NDArray

_COLD_SHARE = 50
"""The advice is worth its cost when at least one row of so many comes from the disk."""

_PROBES = 64
"""So many rows are read first, to see whether they are in memory: advice for the thousands of one search costs 20 ms."""

_DENSE = 16
"""When at least one row of so many is needed, reading everything in between is faster."""

_UNIT_BYTES = 512
"""the unit of ru_inblock in getrusage"""


class Readahead:
    """The advice for one array of rows [N, d]."""

    def __init__(self, rows: NDArray[float16]) -> None:
        self._map, self._start = _map_of(rows)
        self._row_bytes = rows.strides[0] if rows.ndim else 0
        self._rows = rows
        self._cold: bool | None = None
        if self._map is not None:
            self._map.madvise(mmap.MADV_RANDOM)

    @property
    def warm(self) -> bool:
        """Whether rows lie in memory: the array is no map, or what was read last did not come from the disk."""
        return self._map is None or self._cold is False

    @contextlib.contextmanager
    def reading(self, rows: NDArray[int64] | None) -> Iterator[None]:
        """Advise the system for a block that reads these rows, ascending; None: all of them, in order."""
        if self._map is None or rows is None or _dense(rows):
            with self._forwards():
                yield
            return
        if self._cold is None:
            self._cold = self._probe(rows)
        before = _read_from_disk()
        if self._cold:
            self._expect(rows)
        yield
        self._cold = _COLD_SHARE * (_read_from_disk() - before) > mmap.PAGESIZE * len(rows)

    @contextlib.contextmanager
    def _forwards(self) -> Iterator[None]:
        # For a scan the system's own read-ahead is best.
        if self._map is not None:
            self._map.madvise(mmap.MADV_NORMAL)
        yield
        if self._map is not None:
            self._map.madvise(mmap.MADV_RANDOM)

    def _probe(self, rows: NDArray[int64]) -> bool:
        """Read some of the rows, and tell whether any came from the disk."""
        some = rows[:: max(1, len(rows) // _PROBES)]
        before = _read_from_disk()
        self._expect(some)
        self._rows[some].sum()
        return _read_from_disk() > before

    def _expect(self, rows: NDArray[int64]) -> None:
        starts = self._start + rows * self._row_bytes
        firsts = starts // mmap.PAGESIZE * mmap.PAGESIZE
        for first, length in zip(firsts.tolist(), (starts + self._row_bytes - firsts).tolist(), strict=True):
            self._map.madvise(mmap.MADV_WILLNEED, first, length)


def _read_from_disk() -> int:
    """Return the bytes that the system has read from disks for this thread."""
    import resource  # missing on Windows, where this is never called

    usage = resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF))
    return _UNIT_BYTES * usage.ru_inblock


def _dense(rows: NDArray[int64]) -> bool:
    return len(rows) == 0 or int(rows[-1] - rows[0]) < _DENSE * len(rows)


def _map_of(rows: NDArray[float16]) -> tuple[Any, int]:
    """Return the memory map of an array and the array's offset in it; None where there is no map or no madvise."""
    mapped = getattr(rows, "_mmap", None)
    if mapped is None or not len(rows) or not hasattr(mmap, "MADV_WILLNEED"):
        return None, 0
    base = np.frombuffer(mapped, dtype=np.uint8, count=1)
    return mapped, rows.ctypes.data - base.ctypes.data
