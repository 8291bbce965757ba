"""
Where a worker's rows go.

Owns the `Sink` protocol, which is all that `pipeline.Worker` knows, `FileSink`, the pair of worker files of one worker on this machine, and
`MessageSink`, for a worker whose files lie on another one.
Must not know where rows come from; `library.commit` makes them part of the library.
"""

import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.storage import embedding_files, worker_files
from pixfind.types import EmbeddedImage
from pixfind.worker import protocol

_LOCK_SECONDS = 30.0
"""how long a predecessor that was killed may still hold the files"""

log = logging.getLogger("pixfind.worker")


class Sink(Protocol):
    """Takes the rows of one worker, in order."""

    def append(self, rows: Sequence[EmbeddedImage], embeddings: NDArray[np.float16]) -> None:
        """
        Take `rows` and their embeddings [n, d] float16.

        A `protocol.Saved` that is sent after this has returned is true when it arrives: the rows are durable by then.
        Raises OperationError when they cannot be kept, such as DiskFull.
        """


class FileSink:
    """The worker files of one worker, locked for as long as the sink is open."""

    def __init__(self, data: Path, worker: int, dimension: int) -> None:
        """
        Lock and open the files of `worker` in the directory `data`, for embeddings of `dimension` numbers.

        Raises WorkerFilesBusy when another process keeps them, and DiskFull.
        """
        self._lock = worker_files.lock(data, worker, patience=_LOCK_SECONDS)
        try:
            self._pair = embedding_files.Pair(*worker_files.paths(data, worker), dimension, write=True)
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def free(cls, data: Path, dimension: int) -> Self:
        """Open the worker files of the first number that no other process writes: parts of a cluster may be embedding meanwhile. Raises DiskFull."""
        for worker in itertools.count():
            try:
                worker_files.lock(data, worker, patience=0).release()
                return cls(data, worker, dimension)
            except errors.WorkerFilesBusy:
                continue
        raise AssertionError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, rows: Sequence[EmbeddedImage], embeddings: NDArray[np.float16]) -> None:
        """Make `rows` and their embeddings [n, d] float16 durable; raises DiskFull."""
        self._pair.append(embedding_files.index_rows(rows, embeddings), embeddings)
        log.info("saved %d rows, %d in all", len(rows), self._pair.count)

    def append_sent(self, rows: protocol.Rows) -> None:
        """Make the rows that a `MessageSink` has sent durable; raises DiskFull."""
        table = np.frombuffer(rows.table, embedding_files.INDEX_ROW)
        embeddings = np.frombuffer(rows.embeddings, embedding_files.EMBEDDING).reshape(len(table), -1)
        self._pair.append(table, embeddings)

    def close(self) -> None:
        """Close the files and release their lock."""
        self._pair.close()
        self._lock.release()


class MessageSink:
    """Sends rows, with their checksums, to where the worker files are."""

    def __init__(self, send: Callable[[protocol.FromWorker], None]) -> None:
        """Send rows by `send`; what carries them keeps the promise of `Sink.append`: it makes them durable before it passes on a `Saved`."""
        self._send = send

    def append(self, rows: Sequence[EmbeddedImage], embeddings: NDArray[np.float16]) -> None:
        """Send `rows` and their embeddings [n, d] float16."""
        table = embedding_files.index_rows(rows, embeddings)
        self._send(protocol.Rows(table.tobytes(), embeddings.astype(embedding_files.EMBEDDING, copy=False).tobytes()))
