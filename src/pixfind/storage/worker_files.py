"""
Worker files: which there are in a library's data/, how they are named, and who writes them.

Owns their names and their locks. What is in them: `embedding_files`. Needs no NumPy.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pixfind import errors
from pixfind.storage import locks

if TYPE_CHECKING:
    from filelock import BaseFileLock


def paths(data: Path, worker: int) -> tuple[Path, Path]:
    """Return the paths of a worker's embeddings and of its index rows."""
    return data / f"embeddings_worker_{worker}.npy", data / f"indices_worker_{worker}.npy"


def workers(data: Path) -> list[int]:
    """Return the numbers of the workers that left files in `data`."""
    return sorted(
        number(path) for path in data.glob("indices_worker_*.npy") if path.stem.rpartition("_")[2].isdecimal()
    )


def number(path: Path) -> int:
    """Return the K of a worker file's name."""
    return int(path.stem.rpartition("_")[2])


def lock(data: Path, worker: int, *, patience: float) -> "BaseFileLock":
    """
    Return the held lock of the pair's writer; the system releases it when its process ends, however that ends.

    Raises WorkerFilesBusy when another process keeps it for `patience` seconds.
    """
    try:
        return locks.acquire(data / f"worker_{worker}.lock", patience=patience)
    except locks.HeldError as error:
        raise errors.WorkerFilesBusy(worker=worker, path=paths(data, worker)[0]) from error


@contextlib.contextmanager
def locked(data: Path, worker: int, *, patience: float) -> Iterator[None]:
    """Hold the lock of the pair's writer; raises WorkerFilesBusy as `lock` does."""
    held = lock(data, worker, patience=patience)
    try:
        yield
    finally:
        held.release()
