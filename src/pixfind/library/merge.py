"""
The merge: adopted rows move from worker files into embeddings.npy and indices.npy.

Owns the order of the moves: append to both arrays, forget the adopted runs, empty the worker files. A merge that was interrupted after any
of them continues from the count of embeddings.npy. Must not know what an embedding means. The commit is in `commit`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library import trim
from pixfind.library.catalogue import AdoptedRun
from pixfind.library.library import Library
from pixfind.storage import embedding_files, npy_header, worker_files
from pixfind.types import Progress, no_progress, numbered

_BATCH_ROWS = 32_768

_Piece = tuple[NDArray[Any], NDArray[np.float16]]
"""INDEX_ROW table [n] and its embeddings [n, d]"""


@dataclass(frozen=True, slots=True)
class Merged:
    """What one merge did."""

    rows: int
    """appended by this merge"""
    total: int
    """rows of embeddings.npy"""


def merge(library: Library, progress: Progress = no_progress) -> Merged:
    """
    Move adopted rows into embeddings.npy and indices.npy, then empty the worker files; call it inside `library.lock("merge")`.

    Raises MergeRefused with the file and the first row that does not fit; the rows before it are merged. Raises LibraryDamaged when rows
    that were merged before are missing, DiskFull and DiskFailed.
    """
    if library.model() is None:
        return Merged(0, 0)
    runs = library.catalogue.adopted_runs()
    _refuse_lost_rows(library, min((run.embedding_index for run in runs), default=None))
    with library.merged(write=True) as merged:
        before = merged.count
        end = max((run.end for run in runs), default=before)
        for table, embeddings in _joined(_pieces(library, runs, before)):
            merged.append(table, embeddings)
            progress(merged.count - before, end - before)
        total = merged.count
    with library.catalogue.transaction():
        library.catalogue.run("forget_merged", "adopted.sql", merged_rows=total)
        library.catalogue.contents.index_when_many(ended=True)
    trim.empty_merged(library)
    return Merged(total - before, total)


def _refuse_lost_rows(library: Library, first_adopted: int | None) -> None:
    """Opening a pair for writing cuts what was never promised; rows that were must not be among it."""
    promised = int(library.catalogue.setting("next_embedding_index") or 0) if first_adopted is None else first_adopted
    for path in (library.embeddings_path, library.indices_path):
        there = npy_header.shape(path)[0]
        if there < promised:
            detail = f"it holds {numbered(there, 'row')}, the database knows of {promised}"
            raise errors.LibraryDamaged(path=path, detail=detail)
    if library.merged_rows:
        with library.merged() as merged:
            for array in (merged.embeddings, merged.indices):
                if array.rows_present() < min(merged.count, promised):
                    detail = f"its header promises {numbered(array.count, 'row')}, and has {array.rows_present()}"
                    raise errors.LibraryDamaged(path=array.path, detail=detail)


def _pieces(library: Library, runs: list[AdoptedRun], next_index: int) -> Iterator[_Piece]:
    """Yield the adopted rows from `next_index` on in their order; raises MergeRefused at the first that does not fit."""
    for run in runs:
        skip = max(0, next_index - run.embedding_index)
        if skip >= run.rows:
            continue
        if run.embedding_index > next_index:
            detail = f"row {run.embedding_index} comes next, but the file ends at {next_index}"
            raise errors.MergeRefused(path=library.embeddings_path, row=next_index, detail=detail)
        yield from _run(library, run.worker, run.first_row + skip, run.first_row + run.rows)
        next_index = run.end


def _run(library: Library, worker: int, first_row: int, stop_row: int) -> Iterator[_Piece]:
    path = worker_files.paths(library.data, worker)[0]
    with library.worker_pair(worker) as pair:
        for start in range(first_row, stop_row, _BATCH_ROWS):
            stop = min(start + _BATCH_ROWS, stop_row)
            if stop > pair.count:
                raise errors.MergeRefused(path=path, row=pair.count, detail=f"the file ends there, before row {stop}")
            table, embeddings = pair.read(start, stop)
            good = embedding_files.first_bad_row(table, embeddings)
            yield table[:good], embeddings[:good]
            if good < len(table):
                raise errors.MergeRefused(path=path, row=start + good, detail="its checksum does not match")


def _joined(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """
    Join small pieces, so that a merge syncs once in many thousand rows and not once a run.

    What came before a piece that does not fit is yielded before MergeRefused is raised.
    """
    waiting: list[_Piece] = []

    def join() -> Iterator[_Piece]:
        if waiting:
            yield np.concatenate([table for table, _ in waiting]), np.concatenate([rows for _, rows in waiting])
            waiting.clear()

    try:
        for piece in pieces:
            waiting.append(piece)
            if sum(len(table) for table, _ in waiting) >= _BATCH_ROWS:
                yield from join()
    except errors.MergeRefused:
        yield from join()
        raise
    yield from join()
