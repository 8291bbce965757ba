"""
The commit: how rows of worker files become part of the library.

Owns the sole commit point. An embedding belongs to the library when the transaction of `adopt` is durable, and at no other moment.
Must not know how images are decoded, which model made an embedding, or who asks. `merge` moves the adopted rows afterwards.
The order is always: bytes, then row, then delete. What a crash leaves between two steps: docs/reference/format.md.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from numpy import float16
from numpy.typing import NDArray

from pixfind.library import trim
from pixfind.library.catalogue import AdoptedRun
from pixfind.library.library import Library
from pixfind.storage import embedding_files, worker_files
from pixfind.types import Outcome

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


def adopt(library: Library, worker: int) -> Adopted:
    """
    Make those rows of a worker file that were not scanned yet part of the library.

    Idempotent: a row whose image is not waiting for exactly these bytes changes nothing.
    Raises LibraryDamaged when a file ends before the rows that its header promises, DiskFull and DiskFailed.
    """
    adopted = Adopted()
    if not all(path.exists() for path in worker_files.paths(library.data, worker)):
        return adopted
    with library.worker_pair(worker) as pair:
        start = library.catalogue.rows_scanned(worker)
        # A file shorter than we remember is a different file: scan all of it.
        start = start if start <= pair.count else 0
        if start < pair.count:
            # The count that we have read may be one that its writer was killed before it could sync.
            pair.sync()
        while start < pair.count and adopted.damaged is None:
            stop = min(start + _BATCH_ROWS, pair.count)
            adopted += _adopt_rows(library, worker, start, *pair.read(start, stop))
            start = stop
    return adopted


def adopt_left_behind(library: Library) -> Adopted:
    """Adopt what earlier workers wrote: work that reached the disk is never done twice. Raises what `adopt` raises."""
    adopted = Adopted()
    for worker in worker_files.workers(library.data):
        adopted += adopt(library, worker)
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


def _adopt_rows(
    library: Library, worker: int, start: int, table: NDArray[Any], embeddings: NDArray[float16]
) -> Adopted:
    """Adopt an INDEX_ROW table [n] and its embeddings [n, d], which begin at row `start` of the worker file, in one transaction."""
    catalogue = library.catalogue
    good = embedding_files.first_bad_row(table, embeddings)
    damaged = None if good == len(table) else (worker_files.paths(library.data, worker)[0], start + good)
    adopted = Adopted(damaged=damaged)
    with catalogue.transaction():
        # The embeddings' own count too, so that an old copy of the database never names a row twice.
        index = max(int(catalogue.setting("next_embedding_index") or 0), library.merged_rows)
        runs = _Runs(worker, index)
        for place in range(good):
            image = embedding_files.row_of(table[place])
            outcome = catalogue.adopt_row(image, runs.next_index)
            if outcome is Outcome.EMBEDDED:
                runs.add(start + place)
                adopted.embedded.append(image.image_id)
            elif outcome is Outcome.DUPLICATE:
                adopted.duplicates.append(image.image_id)
            else:
                adopted.stale.append(image.image_id)
        catalogue.record_adopted(runs.runs)
        catalogue.set_setting("next_embedding_index", str(runs.next_index))
        catalogue.set_rows_scanned(worker, start + good)
    return adopted


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
