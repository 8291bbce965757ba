"""
A consistent view of the index and the score calibration of a library.

One search uses one snapshot from its beginning to its end. Must not know queries.
"""

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.index import reader
from pixfind.library.library import Library
from pixfind.search import calibration
from pixfind.search.calibration import ScoreCalibration
from pixfind.storage import disk

_NPY_HEADER = 128
"""the first bytes of an .npy file, with its number of rows"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index and the calibration of one search."""

    index: reader.Index
    calibration: ScoreCalibration
    etag: str
    """changes whenever results may change"""


class SnapshotCache:
    """Keeps a snapshot until its files change. Thread-safe, so that several searchers of one library may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._snapshot: Snapshot | None = None

    def get(self, library: Library) -> Snapshot:
        """Return the present snapshot, reopened when another process has merged rows or built an index since; raises NotEmbedded."""
        with self._lock:
            seen = self.state(library)
            if seen != self._seen or self._snapshot is None:
                self._snapshot = _open(library, f"{abs(hash(seen)):x}")
                self._seen = seen
            return self._snapshot

    @staticmethod
    def state(library: Library) -> tuple[object, ...]:
        """Return a value that changes when another process merges rows or builds an index."""
        return (
            _header(library.embeddings_path),
            _file_identity(library.index_path),
            _file_identity(calibration.path(library.data)),
        )

    @property
    def etag(self) -> str:
        """A string that changes whenever results may change; empty before the first search."""
        return "" if self._snapshot is None else self._snapshot.etag


def _open(library: Library, etag: str) -> Snapshot:
    model = library.model()
    if model is None or not library.merged_rows:
        raise errors.NotEmbedded(path=library.path)
    embeddings = library.embeddings()
    known = calibration.load(calibration.path(library.data), model.hash, model.dimension)
    return Snapshot(reader.open(library.index_path, embeddings), known or calibration.moments(embeddings), etag)


def _header(path: Path) -> bytes:
    with disk.reading(path), contextlib.suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
        return file.read(_NPY_HEADER)
    return b""


def _file_identity(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when the file is replaced; None when there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
