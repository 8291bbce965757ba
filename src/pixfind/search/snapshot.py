"""
The index and the score calibration of a library as they are at one moment.

A search works on one snapshot from its first line to its last. Must not know queries.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.index import reader
from pixfind.library.library import Library
from pixfind.search import calibration
from pixfind.search.calibration import ScoreCalibration

_NPY_HEADER = 128
"""bytes that hold the number of rows of an .npy file"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one search uses."""

    index: reader.Index
    calibration: ScoreCalibration


class SnapshotCache:
    """Opens a snapshot again only where something has changed. Several searchers of one library may share it; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._snapshot: Snapshot | None = None

    def get(self, library: Library) -> Snapshot:
        """Return the present snapshot, opened anew where another process has merged or built since; raises NotEmbedded."""
        with self._lock:
            seen = self.state(library)
            if seen != self._seen or self._snapshot is None:
                self._snapshot = _open(library)
                self._seen = seen
            return self._snapshot

    @staticmethod
    def state(library: Library) -> tuple[object, ...]:
        """Return what differs as soon as another process has merged or built."""
        return (
            _header(library.embeddings_path),
            _file_identity(library.index_path),
            _file_identity(calibration.path(library.data)),
        )

    @property
    def etag(self) -> str:
        """A word that changes when results may; empty before the first search."""
        return "" if self._snapshot is None else f"{abs(hash(self._seen)):x}"


def _open(library: Library) -> Snapshot:
    model = library.model()
    if model is None or not library.merged_rows:
        raise errors.NotEmbedded(path=library.path)
    embeddings = library.embeddings()
    known = calibration.load(calibration.path(library.data), model.hash, model.dimension)
    return Snapshot(reader.open(library.index_path, embeddings), known or calibration.moments(embeddings))


def _header(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_NPY_HEADER)
    except FileNotFoundError:
        return b""


def _file_identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
