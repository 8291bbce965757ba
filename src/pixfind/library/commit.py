"""
The commit: how rows of worker files become part of the library.

Owns the sole commit point. An embedding belongs to the library when the transaction of `adopt` is durable, and at no other moment.
Must not know how images are decoded, which model made an embedding, or who asks. `merge` moves the adopted rows afterwards.
The order is always: bytes, then row, then delete. What a crash leaves between two steps: docs/reference/format.md.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from pixfind.library import trim
from pixfind.library.catalogue import AdoptedRun
from pixfind.library.library import Library
from pixfind.storage import embedding_files, worker_files
from pixfind.types import EmbeddedImage, Outcome

_BATCH_ROWS = 4096


@dataclass(slots=True)
class Adopted:
    """What one scan of worker files brought."""

    embedded: list[int] = field(default_factory=list)
    """image ids"""
    duplicates: list[int] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)
    """image ids of rows that no image waited for: adopted before, or of bytes that have changed since"""
    damaged: tuple[Path, int] | None = None
    """file and number of the first row whose checksum does not hold; this row and all after it are not adopted"""

    def __iadd__(self, other: Self) -> Self:
        self.embedded += other.embedded
        self.duplicates += other.duplicates
        self.stale += other.stale
        self.damaged = self.damaged or other.damaged
        return self


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one worker file that were not scanned yet."""

    worker: int
    start: int
    """number of the first row in the worker file"""
    images: list[EmbeddedImage]
    """of the rows whose checksums hold"""
    damaged: tuple[Path, int] | None


def adopt(library: Library, *workers: int) -> dict[int, Adopted]:
    """
    Make those rows of these workers' files that were not scanned yet part of the library; return worker -> what came of them.

    Rows of all workers are committed together, some thousand in one transaction: what a transaction writes, it writes in whole pages.
    Idempotent: a row whose image is not waiting for exactly these bytes changes nothing.
    Raises LibraryDamaged when a file ends before the rows that its header promises, DiskFull and DiskFailed.
    """
    adopted = {worker: Adopted() for worker in workers}
    waiting: list[_Batch] = []
    for batch in _not_scanned(library, workers):
        if sum(len(one.images) for one in (*waiting, batch)) > _BATCH_ROWS:
            _adopt_together(library, waiting, adopted)
            waiting = []
        waiting.append(batch)
    if waiting:
        _adopt_together(library, waiting, adopted)
    return adopted


def adopt_left_behind(library: Library) -> Adopted:
    """Adopt what earlier workers wrote: work that reached the disk is never done twice. Raises what `adopt` raises."""
    adopted = Adopted()
    for one in adopt(library, *worker_files.workers(library.data)).values():
        adopted += one
    return adopted


def adopt_and_trim(library: Library) -> Adopted:
    """
    Adopt what earlier workers wrote, and cut off rows that never reached the disk completely: their images are still pending.

    Raises what `adopt` raises, and WorkerFilesBusy while another process writes a file that must be cut.
    """
    if library.model() is None:
        return Adopted()
    adopted = adopt_left_behind(library)
    while adopted.damaged is not None:
        path, row = adopted.damaged
        trim.cut(library, worker_files.number(path), row)
        adopted.damaged = None
        adopted += adopt_left_behind(library)
    return adopted


def take_back(library: Library) -> int:
    """
    Give images that wait the merged rows that were theirs, and return how many: those that were left out for a while, with the bytes that they had.

    Raises LibraryDamaged.
    """
    catalogue = library.catalogue
    hashes = dict(catalogue.rows("known_pending")) if library.merged_rows else {}
    if not hashes:
        return 0
    ids = np.fromiter(hashes, np.int64)
    taken = 0
    with library.merged() as merged, catalogue.transaction():
        for start in range(0, merged.count, _BATCH_ROWS):
            table = merged.indices.read(start, min(start + _BATCH_ROWS, merged.count))
            for row in (start + np.flatnonzero(np.isin(table["image_id"], ids))).tolist():
                entry, embedding = merged.read(row, row + 1)
                image = embedding_files.row_of(entry[0])
                # A damaged row stays without an image, and so does one of other bytes.
                if (
                    image.fingerprint.hash != hashes[image.image_id]
                    or not embedding_files.crc_holds(entry, embedding)[0]
                ):
                    continue
                outcome = catalogue.adopt_row(image, row)
                taken += outcome is not None
                if outcome is Outcome.EMBEDDED:
                    catalogue.contents.index_row(image.fingerprint.hash, row)
    return taken


def _not_scanned(library: Library, workers: Iterable[int]) -> Iterator[_Batch]:
    """Yield what each worker file holds beyond the rows that were scanned, durable, up to its first damaged row."""
    for worker in workers:
        paths = worker_files.paths(library.data, worker)
        if not all(path.exists() for path in paths):
            continue
        with library.worker_pair(worker) as pair:
            start = library.catalogue.rows_scanned(worker)
            # A file shorter than we remember is a different file: scan all of it.
            start = start if start <= pair.count else 0
            if start < pair.count:
                # The count that we have read may be one that its writer was killed before it could sync.
                pair.sync()
            while start < pair.count:
                stop = min(start + _BATCH_ROWS, pair.count)
                table, embeddings = pair.read(start, stop)
                good = embedding_files.first_bad_row(table, embeddings)
                damaged = None if good == len(table) else (paths[0], start + good)
                yield _Batch(worker, start, embedding_files.images_of(table[:good]), damaged)
                if damaged is not None:
                    break
                start = stop


def _adopt_together(library: Library, batches: Iterable[_Batch], adopted: dict[int, Adopted]) -> None:
    """Adopt the rows of several workers in one transaction; note in `adopted` what came of them."""
    catalogue = library.catalogue
    with catalogue.transaction():
        # The embeddings' own count too, so that an old copy of the database never names a row twice.
        next_index = library.promised_rows
        for batch in batches:
            runs = _Runs(batch.worker, next_index)
            made = Adopted(damaged=batch.damaged)
            for row, image in enumerate(batch.images, batch.start):
                outcome = catalogue.adopt_row(image, runs.next_index)
                if outcome is Outcome.EMBEDDED:
                    runs.add(row)
                    made.embedded.append(image.image_id)
                elif outcome is Outcome.DUPLICATE:
                    made.duplicates.append(image.image_id)
                else:
                    made.stale.append(image.image_id)
            catalogue.record_adopted(runs.runs)
            catalogue.set_rows_scanned(batch.worker, batch.start + len(batch.images))
            adopted[batch.worker] += made
            next_index = runs.next_index
        catalogue.set_setting("next_embedding_index", str(next_index))
        catalogue.contents.index_when_many()


class _Runs:
    """Consecutive rows of a worker file that get consecutive embedding_index values, kept as runs."""

    def __init__(self, worker: int, next_index: int) -> None:
        self.next_index = next_index
        self.runs: list[AdoptedRun] = []
        self._worker = worker

    def add(self, row: int) -> None:
        """Give the next embedding_index to a row of the worker file."""
        last = self.runs[-1] if self.runs else None
        if last is not None and last.first_row + last.rows == row:
            self.runs[-1] = last._replace(rows=last.rows + 1)
        else:
            self.runs.append(AdoptedRun(self.next_index, self._worker, row, 1))
        self.next_index += 1
