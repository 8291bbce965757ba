"""
Trimming worker files: the only place where rows that a worker wrote are deleted.

Owns when that is safe: rows that are merged, and rows whose bytes are damaged while no adopted row lies behind them.
Must not know why a file is trimmed; `merge`, `commit` and `repair` do. Nothing is cut while another process writes the file.
"""

import contextlib

from pixfind import errors
from pixfind.library.library import Library
from pixfind.storage import embedding_files, worker_files

_BATCH_ROWS = 16_384
_PATIENCE_SECONDS = 10.0
"""how long a worker that was killed may still hold its files"""


def cut(library: Library, worker: int, row: int) -> None:
    """Delete the rows of a worker file from `row` on; raises WorkerFilesBusy while another process writes them."""
    with (
        worker_files.locked(library.data, worker, patience=_PATIENCE_SECONDS),
        library.worker_pair(worker, write=True) as pair,
    ):
        pair.shorten(row)


def cut_damaged(library: Library) -> None:
    """
    Cut each worker file before its first damaged or missing row: the image is pending and will be embedded again.

    A file with adopted rows behind the damage is left alone. Raises WorkerFilesBusy while another process writes a file.
    """
    for worker in worker_files.workers(library.data):
        if not all(path.exists() for path in worker_files.paths(library.data, worker)):
            continue
        with library.worker_pair(worker) as pair:
            good, promised = _intact_rows(pair), pair.count
        if good < promised and not library.catalogue.has_adopted(worker, good):
            cut(library, worker, good)


def empty_merged(library: Library) -> None:
    """Empty each worker file whose rows are all merged; the file of a worker that is running is emptied another time."""
    for worker in worker_files.workers(library.data):
        with contextlib.suppress(errors.WorkerFilesBusy), worker_files.locked(library.data, worker, patience=0):
            _empty(library, worker)


def _empty(library: Library, worker: int) -> None:
    catalogue = library.catalogue
    with library.worker_pair(worker, write=True) as pair:
        if not pair.count or catalogue.has_adopted(worker) or catalogue.rows_scanned(worker) != pair.count:
            return
        # The row before the bytes: rows that are scanned twice are harmless, rows that are never scanned would be lost.
        with catalogue.transaction():
            catalogue.set_rows_scanned(worker, 0)
        pair.shorten(0)


def _intact_rows(pair: embedding_files.Pair) -> int:
    """Return how many rows from the first on are there and match their checksums."""
    present = min(pair.count, pair.embeddings.rows_present(), pair.indices.rows_present())
    for start in range(0, present, _BATCH_ROWS):
        table, embeddings = pair.read(start, min(start + _BATCH_ROWS, present))
        good = embedding_files.first_bad_row(table, embeddings)
        if good < len(table):
            return start + good
    return present
