"""
A copy of one generation of a library, taken while other processes write it.

Owns the order: the database as it is at one moment, then the rows that it names, wherever they are by then (a merge may move them from a
worker file to embeddings.npy meanwhile), then the copied database in the place of the one before. So a copy that is killed leaves what was
there before, complete. In the copy all rows are merged, and there are no worker files. Only rows that are new are copied.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index import header
from pixfind.library import generations, thumbnail_progress, verify
from pixfind.library.catalogue import AdoptedRun, Catalogue
from pixfind.library.library import Library
from pixfind.storage import disk, embedding_files, npy_header
from pixfind.types import Progress, no_progress, numbered

_BATCH_ROWS = 16_384

_SNAPSHOT = "metadata.snapshot.db"

_DERIVED = ("faiss.index", "background.npz", "similarity_map.npz")
"""Derived, but with them a backup answers at once."""


def copy(source: Library, path: Path, progress: Progress = no_progress) -> int:
    """
    Bring the copy of `source`'s generation in the library folder `path` up to date; return how many rows were copied.

    Raises BackupRefused where a copy of something else is there, LibraryDamaged where `source` does not fit together, DiskFull, NotWritable
    and DiskFailed.
    """
    folder = generations.folder(path, source.generation)
    for made in (folder, folder / "data"):
        disk.make_folder(made, durable=True)
    snapshot, database = folder / _SNAPSHOT, folder / "metadata.db"
    generations.delete_database(snapshot)
    try:
        with contextlib.ExitStack() as derived:
            # Before the database: an index that was built after it would cover rows that it does not know.
            for name in _DERIVED:
                _copy_derived(derived, source.data / name, folder / "data" / name)
            merged = source.merged_rows
            source.catalogue.copy_to(snapshot)
            with Library(path, Catalogue(snapshot, write=True), source.generation) as copied:
                if (answer := verify.check_database(copied.catalogue)) != "ok":
                    raise errors.LibraryDamaged(path=source.catalogue.path, detail=answer)
                rows = _copy_rows(source, copied, merged, progress)
                copied.catalogue.run("forget_adopted", "adopted.sql")
                copied.catalogue.run("forget_rows_scanned", "adopted.sql")
                # They are not copied.
                thumbnail_progress.forget(copied.catalogue)
                if database.exists():
                    copied.catalogue.copy_to(database)
                else:
                    # All of it into one file: closing the database would not report a failure.
                    copied.catalogue.value("checkpoint", "verify.sql")
            if not database.exists():
                _publish_first(snapshot, database)
        with Library.open(path, generation=source.generation) as copied:
            if copied.index_path.exists() and header.check(copied.index_path, copied.embeddings()) is not None:
                disk.delete(copied.index_path)
    finally:
        generations.delete_database(snapshot)
    return rows


def _publish_first(snapshot: Path, database: Path) -> None:
    """Give a database its name where none is yet. Filled under that name, a kill would leave an empty file, which looks like a lost database."""
    # What may be left of the log of a lost database would be applied to it.
    generations.delete_database(database)
    with disk.writing(database):
        snapshot.replace(database)
    disk.sync_directory(database.parent)


def _copy_derived(derived: contextlib.ExitStack, path: Path, copy_to: Path) -> None:
    """Copy a file that is replaced as a whole; it appears when `derived` ends well."""
    if path.exists():
        temporary = derived.enter_context(disk.publishing(copy_to))
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, temporary)


def _copy_rows(source: Library, copied: Library, merged: int, progress: Progress) -> int:
    """Copy the rows that `copied` names and does not have; `merged` rows were merged in `source` before. Return how many."""
    model = copied.catalogue.setting("model")
    if model is None:
        return 0
    if not copied.merged_rows:
        # Nothing is lost with arrays that hold nothing, and they may be of a model that was exchanged since.
        for path in (copied.embeddings_path, copied.indices_path):
            disk.delete(path)
    stop = max(int(copied.catalogue.setting("next_embedding_index") or 0), merged)
    disk.publish(copied.data / "model.json", model.encode())
    with copied.merged(write=True) as target:
        start, runs = target.count, copied.catalogue.adopted_runs()
        _refuse_other_rows(source, runs, target, stop, copied.path)
        named = np.zeros(stop, np.bool_)
        for at, table, embeddings in _rows(source, runs, start, stop):
            fault = next(verify.check_rows(copied, at, table, embeddings, named), None)
            if fault is not None:
                raise errors.LibraryDamaged(path=source.embeddings_path, detail=f"row {at} and after: {fault.what}")
            target.write_behind(table, embeddings, at)
            progress(at + len(table) - start, stop - start)
        # At once and at the end: until then the copy is what it was before.
        target.promise(stop)
    return stop - start


def _refuse_other_rows(
    source: Library, runs: list[AdoptedRun], target: embedding_files.Pair, stop: int, path: Path
) -> None:
    """Raise BackupRefused unless the rows that are there are the first ones of `source`: entries hold the checksums of their embeddings."""
    if target.count > stop:
        detail = f"it holds {numbered(target.count, 'embedding')}, and this library {stop:,}"
    elif not _same_entries(source, runs, target):
        detail = "its embeddings are not those of this library, or `verify --repair` has changed the library since"
    else:
        return
    raise errors.BackupRefused(path=path, library=source.path, detail=detail)


def _same_entries(source: Library, runs: list[AdoptedRun], target: embedding_files.Pair) -> bool:
    merged = min(npy_header.shape(source.indices_path)[0], target.count)
    if merged:
        with source.merged() as there:
            for at in range(0, merged, _BATCH_ROWS):
                stop = min(at + _BATCH_ROWS, merged)
                if there.indices.read(at, stop).tobytes() != target.indices.read(at, stop).tobytes():
                    return False
    return all(
        table.tobytes() == target.indices.read(at, at + len(table)).tobytes()
        for at, table, _ in _rows(source, runs, merged, target.count)
    )


def _rows(
    source: Library, runs: list[AdoptedRun], at: int, stop: int
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.float16]]]:
    """Yield (first row, INDEX_ROW table [n], embeddings [n, d]) from row `at` to `stop`, from where they are by now."""
    while at < stop:
        piece = _merged(source, at, stop) or _adopted(source, runs, at, stop)
        if piece is None:
            detail = f"row {at} is neither there nor in a worker file"
            raise errors.LibraryDamaged(path=source.embeddings_path, detail=detail)
        yield at, *piece
        at += len(piece[0])


def _merged(source: Library, at: int, stop: int) -> tuple[NDArray[Any], NDArray[np.float16]] | None:
    """Return merged rows from `at` on, None when none is merged."""
    end = min(npy_header.shape(source.indices_path)[0], at + _BATCH_ROWS, stop)
    if at >= end:
        return None
    with source.merged() as merged:
        return merged.read(at, end)


def _adopted(
    source: Library, runs: list[AdoptedRun], at: int, stop: int
) -> tuple[NDArray[Any], NDArray[np.float16]] | None:
    """Return rows of a worker file from embedding_index `at` on; those of a merge that came between come from embeddings.npy."""
    run = next((run for run in runs if run.embedding_index <= at < run.end), None)
    if run is None:
        return None
    first = run.first_row + at - run.embedding_index
    last = min(first + min(run.end, stop) - at, first + _BATCH_ROWS)
    piece, problem = None, None
    try:
        with source.worker_pair(run.worker) as pair:
            piece = pair.read(first, last)
    except errors.LibraryDamaged as error:
        problem = error
    # A worker file is emptied, and filled again, only after all its rows are merged: until then these are the rows.
    if (there := _merged(source, at, stop)) is not None:
        return there
    if problem is not None:
        raise problem
    return piece
