"""
One library: its directory, its lock, and the two moves that make embeddings part of it.

Owns `adopt` (the sole commit point: an embedding belongs to the library when its transaction is durable) and `merge`.
Must not know how pictures are decoded, which model made an embedding, or who asks.
The order is always: bytes, then row, then delete. What a crash leaves between two steps: docs/reference/format.md.
"""

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any, Self

import filelock
import numpy as np
import platformdirs
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library import control, generations
from pixfind.library.catalogue import Catalogue
from pixfind.storage import disk, worker_files
from pixfind.types import Outcome, Progress, no_progress

_ADOPT_ROWS = 4096
_MERGE_ROWS = 32_768
_PATIENCE_SECONDS = 2.0
"""not at once: `pixfind status` holds the lock for an instant to see whether somebody does"""

_Piece = tuple[NDArray[Any], NDArray[np.float16]]
"""entries [n] and their embeddings [n, d]"""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model made the embeddings of a library; two identities never mix."""

    name: str
    hash: str
    dimension: int
    precision: str


@dataclass(slots=True)
class Adopted:
    """What one look at worker files brought."""

    embedded: list[int] = field(default_factory=list)
    """image ids"""
    duplicates: list[int] = field(default_factory=list)
    surplus: list[int] = field(default_factory=list)
    """image ids of rows that no image waited for: adopted before, or of bytes that have changed since"""
    damaged: tuple[Path, int] | None = None
    """the first row whose checksum does not hold; it and what follows stays unadopted"""

    def __iadd__(self, other: Self) -> Self:
        self.embedded += other.embedded
        self.duplicates += other.duplicates
        self.surplus += other.surplus
        self.damaged = self.damaged or other.damaged
        return self


@dataclass(frozen=True, slots=True)
class Merged:
    """What one merge did."""

    rows: int
    """appended by this merge"""
    total: int
    """rows of embeddings.npy"""


def locate(option: Path | None = None) -> Path:
    """Return the library to use: the option, else PIXFIND_LIBRARY, else here when here is one, else the user's own."""
    if option is not None:
        return option.expanduser().absolute()
    if named := os.environ.get("PIXFIND_LIBRARY"):
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    return here if generations.is_library(here) else Path(platformdirs.user_data_dir("pixfind", appauthor=False))


class Library:
    """A directory with all our state. Open it for writing inside `with library.lock(verb)`."""

    def __init__(self, path: Path, catalogue: Catalogue, generation: str = generations.FIRST) -> None:
        self.path = path
        self.generation = generation
        """where this model's catalogue and embeddings lie; it stays the same while the library is open"""
        self.data = generations.folder(path, generation) / "data"
        self.logs = path / "logs"
        self.catalogue = catalogue

    @classmethod
    def open(cls, path: Path, *, write: bool = False, generation: str | None = None) -> Self:
        """
        Open an existing library: its active generation, or the one that is named.

        Raises NoLibrary, NewerLibrary, LibraryDamaged, LinkInLibrary.
        """
        generations.refuse_links(path)
        chosen = generations.read(path).active if generation is None else generation
        try:
            return cls._opened(path, chosen, write=write)
        except (errors.NoLibrary, errors.NotWritable):
            if generation is None and generations.read(path).active != chosen:
                # Another one is active since we looked, and this one was deleted meanwhile.
                return cls.open(path, write=write)
            raise

    @classmethod
    def _opened(cls, path: Path, generation: str, *, write: bool) -> Self:
        folder = generations.folder(path, generation)
        if not (folder / "metadata.db").exists():
            raise errors.NoLibrary(path=path)
        if write:
            _make_folders(folder / "data", path / "logs")
        return cls(path, Catalogue(folder / "metadata.db", write=write), generation)

    @classmethod
    def create(cls, path: Path, *, generation: str | None = None) -> Self:
        """
        Open a library for writing, making what is missing of it; `generation` as in `open`.

        Raises LibraryDamaged when there are embeddings and the database that names their images is lost: a new one would give their
        ids to other images.
        """
        generations.refuse_links(path)
        chosen = generations.read(path).active if generation is None else generation
        folder = generations.folder(path, chosen)
        if not (folder / "metadata.db").exists() and any((folder / "data").glob("indices*.npy")):
            raise errors.LibraryDamaged(path=folder / "metadata.db", detail="it is missing, and data/ holds embeddings")
        _make_folders(folder, folder / "data", path / "logs")
        return cls(path, Catalogue(folder / "metadata.db", write=True), chosen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.catalogue.close()

    def superseded(self) -> bool:
        """Whether another generation is active by now; a library that is open stays with its own."""
        return generations.read(self.path).active != self.generation

    def renewed(self) -> Self:
        """Return this library while its generation is active; else close it and open the one that is."""
        if not self.superseded():
            return self
        after = type(self).open(self.path)
        self.close()
        return after

    # --- who uses it ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, verb: str, *, patience: float = _PATIENCE_SECONDS) -> Iterator["Run"]:
        """
        Hold the library for one verb that writes; a crash releases it.

        Raises LibraryLocked with its holder when another process keeps it for `patience` seconds.
        """
        path = self.path / "library.lock"
        held = filelock.FileLock(path, mode=disk.FILE_MODE, thread_local=False)
        try:
            held.acquire(timeout=patience)
        except filelock.Timeout as error:
            raise self._locked() from error
        except OSError as error:
            raise disk.told(error, "written", path) from error
        try:
            # What an earlier run was asked for is not meant for this one; what comes from now on is, in whatever step it is.
            control.clear(self.path)
            run = Run(self.catalogue.start_run(verb, socket.gethostname()))
            yield run
            self.catalogue.end_run(run.id, json.dumps(run.report) if run.report else None)
        finally:
            # The next run does it too.
            with contextlib.suppress(*disk.FAILURES):
                control.clear(self.path)
            held.release()

    def holder(self) -> dict[str, Any] | None:
        """Return {verb, pid, host, started_at} of the process that writes, None when nobody does."""
        lock = filelock.FileLock(self.path / "library.lock", mode=disk.FILE_MODE, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            row = next(self.catalogue.rows("last_run", "library.sql"), ("?", 0, "?", 0.0, None, None))
            return dict(zip(("verb", "pid", "host", "started_at"), row, strict=False))
        except OSError:
            return None  # A library on a read-only disk is written by nobody.
        lock.release()
        return None

    def refuse_second_writer(self) -> None:
        """Raise LibraryLocked while somebody writes: for a command that will write only when it is out of sight."""
        if self.holder() is not None:
            raise self._locked()

    def _locked(self) -> errors.LibraryLocked:
        holder = self.holder() or {"verb": "?", "pid": "?", "host": "?", "started_at": 0.0}
        since = datetime.datetime.fromtimestamp(holder.pop("started_at")).astimezone()
        return errors.LibraryLocked(path=self.path, since=f"{since:%Y-%m-%d %H:%M:%S}", **holder)

    # --- which model ------------------------------------------------------------------------------

    def model(self) -> ModelIdentity | None:
        """Return the model that this library was first used with, None before that; raises LibraryDamaged where it is not ours."""
        stored = self.catalogue.setting("model")
        try:
            found = ModelIdentity(**json.loads(stored)) if stored else None
        except (ValueError, TypeError) as error:
            raise errors.LibraryDamaged(
                path=self.catalogue.path, detail=f"its model cannot be read ({error})"
            ) from error
        if found is not None and [str, str, int, str] != [type(value) for value in astuple(found)]:
            raise errors.LibraryDamaged(path=self.catalogue.path, detail=f"its model cannot be read ({stored!r:.200})")
        return found

    def remember_model(self, model: ModelIdentity) -> None:
        """Tie the library to a model; raises OtherModel when it is tied to another."""
        known = self.model()
        if known is None:
            stored = json.dumps(asdict(model))
            # A copy beside the embeddings, so that they can be understood when the database is lost.
            disk.publish(self.data / "model.json", stored.encode())
            self.catalogue.set_setting("model", stored)
        elif (known.hash, known.dimension) != (model.hash, model.dimension):
            ours, theirs = (f"{m.name} (files {m.hash[:12]})" for m in (known, model))
            raise errors.OtherModel(library_model=ours, asked_model=theirs, asked_name=model.name)

    def has_embeddings(self) -> bool:
        """Whether anything was embedded; until then the model can still be another one."""
        rows = self.merged_rows or int(self.catalogue.setting("next_embedding_index") or 0)
        files = (worker_files.paths(self.data, worker)[0] for worker in worker_files.workers(self.data))
        return bool(rows) or any(disk.npy_shape(path)[0] for path in files)

    def exchange_model(self, model: ModelIdentity) -> None:
        """Tie a library in which nothing is embedded to another model. Raises WorkerFilesBusy while a worker is about to."""
        assert not self.has_embeddings()
        empty = [self.embeddings_path, self.indices_path]
        for worker in worker_files.workers(self.data):
            worker_files.lock(self.data, worker, patience=0).release()
            empty += worker_files.paths(self.data, worker)
        for path in empty:
            # Their header says how long the rows of the other model were to be.
            path.unlink(missing_ok=True)
        self.catalogue.set_setting("model", stored := json.dumps(asdict(model)))
        disk.publish(self.data / "model.json", stored.encode())

    @property
    def dimension(self) -> int:
        """Length of this library's embeddings; raises NotEmbedded before the model is known."""
        model = self.model()
        if model is None:
            raise errors.NotEmbedded(path=self.path)
        return model.dimension

    # --- embeddings -------------------------------------------------------------------------------

    @property
    def embeddings_path(self) -> Path:
        return self.data / "embeddings.npy"

    @property
    def indices_path(self) -> Path:
        return self.data / "indices.npy"

    @property
    def index_path(self) -> Path:
        return self.data / "faiss.index"

    @property
    def merged_rows(self) -> int:
        return disk.npy_shape(self.embeddings_path)[0]

    def embeddings(self) -> NDArray[np.float16]:
        """Return the merged embeddings as a read-only memory map [N, d] float16; row = embedding_index."""
        if not self.merged_rows:
            return np.empty((0, self.dimension), worker_files.EMBEDDING)
        try:
            with disk.reading(self.embeddings_path):
                array: NDArray[np.float16] = np.load(self.embeddings_path, mmap_mode="r")
        except ValueError as error:
            detail = "the file ends before the rows that its header promises"
            raise errors.LibraryDamaged(path=self.embeddings_path, detail=detail) from error
        if (array.dtype, array.shape[1:]) != (worker_files.EMBEDDING, (self.dimension,)):
            detail = f"it holds {array.dtype} rows of {array.shape[1:]}, not float16 of {self.dimension}"
            raise errors.LibraryDamaged(path=self.embeddings_path, detail=detail)
        return array

    def live_rows(self) -> NDArray[np.bool_]:
        """Return [N] bool: which merged rows belong to an image that is still there."""
        live = np.zeros(self.merged_rows, np.bool_)
        rows = np.fromiter((row for (row,) in self.catalogue.rows("live_rows")), np.int64)
        live[rows[rows < len(live)]] = True
        return live

    def merged(self, *, write: bool = False) -> worker_files.Pair:
        """Open embeddings.npy and indices.npy."""
        return worker_files.Pair(self.embeddings_path, self.indices_path, self.dimension, write=write)

    def worker_pair(self, worker: int, *, write: bool = False) -> worker_files.Pair:
        """Open the files of one worker."""
        return worker_files.Pair(*worker_files.paths(self.data, worker), self.dimension, write=write)

    # --- adopt: the commit ------------------------------------------------------------------------

    def adopt(self, worker: int) -> Adopted:
        """
        Make the rows that a worker file holds and nobody has looked at yet part of the library.

        Idempotent: a row whose image is not waiting for exactly these bytes changes nothing.
        """
        adopted = Adopted()
        if not all(path.exists() for path in worker_files.paths(self.data, worker)):
            return adopted
        with self.worker_pair(worker) as pair:
            start = self.catalogue.rows_looked_at(worker)
            # A shorter file than we remember is another file: look at all of it.
            start = start if start <= pair.count else 0
            while start < pair.count and adopted.damaged is None:
                stop = min(start + _ADOPT_ROWS, pair.count)
                adopted += self._adopt_rows(worker, start, *pair.read(start, stop))
                start = stop
        return adopted

    def adopt_left_behind(self) -> Adopted:
        """Adopt what earlier workers wrote: work that reached the disk is never done twice."""
        adopted = Adopted()
        for worker in worker_files.workers(self.data):
            adopted += self.adopt(worker)
        return adopted

    def cut_worker_file(self, path: Path, row: int) -> None:
        """Forget the rows of a worker file from `row` on: their bytes never reached the disk whole."""
        worker = worker_files.number(path)
        lock = worker_files.lock(self.data, worker, patience=10)
        try:
            with self.worker_pair(worker, write=True) as pair:
                pair.shorten(row)
        finally:
            lock.release()

    def _adopt_rows(self, worker: int, start: int, table: NDArray[Any], embeddings: NDArray[np.float16]) -> Adopted:
        holds = worker_files.crc_holds(table, embeddings)
        good = len(holds) if holds.all() else int(holds.argmin())
        damaged = None if good == len(holds) else (worker_files.paths(self.data, worker)[0], start + good)
        adopted = Adopted(damaged=damaged)
        with self.catalogue.transaction():
            # The embeddings' own count too, so that an old copy of the database never names a row twice.
            index = max(int(self.catalogue.setting("next_embedding_index") or 0), self.merged_rows)
            runs = _Runs(index)
            for place in range(good):
                row = worker_files.row_of(table[place])
                outcome = self.catalogue.adopt_row(row, runs.next_index)
                if outcome is Outcome.EMBEDDED:
                    runs.take(start + place)
                    adopted.embedded.append(row.image_id)
                elif outcome is Outcome.DUPLICATE:
                    adopted.duplicates.append(row.image_id)
                else:
                    adopted.surplus.append(row.image_id)
            self.catalogue.connection.executemany(
                "INSERT INTO adopted (embedding_index, worker, first_row, rows) VALUES (?, ?, ?, ?)",
                [(first_index, worker, first_row, rows) for first_index, first_row, rows in runs.runs],
            )
            self.catalogue.set_setting("next_embedding_index", str(runs.next_index))
            self.catalogue.set_rows_looked_at(worker, start + good)
        return adopted

    # --- merge ------------------------------------------------------------------------------------

    def merge(self, progress: Progress = no_progress) -> Merged:
        """
        Move adopted rows into embeddings.npy and indices.npy, then shorten the worker files.

        Goes on from the count where an earlier merge was cut off. Raises MergeRefused with the file and the row that does not
        fit; what fitted before it is merged.
        """
        if self.model() is None:
            return Merged(0, 0)
        runs = list(
            self.catalogue.connection.execute(
                "SELECT embedding_index, worker, first_row, rows FROM adopted ORDER BY embedding_index"
            )
        )
        self._refuse_lost_rows(min((index for index, *_ in runs), default=None))
        with self.merged(write=True) as merged:
            before = merged.count
            end = max((index + rows for index, _, _, rows in runs), default=before)
            for table, embeddings in _joined(self._pieces(runs, before)):
                merged.append(table, embeddings)
                progress(merged.count - before, end - before)
            total = merged.count
        self._forget_merged(total)
        return Merged(total - before, total)

    def _refuse_lost_rows(self, first_adopted: int | None) -> None:
        """Opening a pair for writing cuts what was never promised; rows that were must not be among it."""
        promised = int(self.catalogue.setting("next_embedding_index") or 0) if first_adopted is None else first_adopted
        for path in (self.embeddings_path, self.indices_path):
            there = disk.npy_shape(path)[0]
            if there < promised:
                detail = f"it holds {there} rows, the database knows of {promised}"
                raise errors.LibraryDamaged(path=path, detail=detail)
        if self.merged_rows:
            with self.merged() as merged:
                for array in (merged.embeddings, merged.indices):
                    if array.rows_present() < min(merged.count, promised):
                        detail = f"its header promises {array.count} rows, {array.rows_present()} are there"
                        raise errors.LibraryDamaged(path=array.path, detail=detail)

    def _pieces(self, runs: list[tuple[int, int, int, int]], next_index: int) -> Iterator[_Piece]:
        """Yield the adopted rows from `next_index` on in their order; raises MergeRefused at what does not fit."""
        for index, worker, first_row, rows in runs:
            skip = max(0, next_index - index)
            if skip >= rows:
                continue
            if index > next_index:
                detail = f"row {index} comes next, but the file ends at {next_index}"
                raise errors.MergeRefused(path=self.embeddings_path, row=next_index, detail=detail)
            yield from self._run(worker, first_row + skip, first_row + rows)
            next_index = index + rows

    def _run(self, worker: int, first_row: int, stop_row: int) -> Iterator[_Piece]:
        path = worker_files.paths(self.data, worker)[0]
        with self.worker_pair(worker) as pair:
            for start in range(first_row, stop_row, _MERGE_ROWS):
                stop = min(start + _MERGE_ROWS, stop_row)
                if stop > pair.count:
                    raise errors.MergeRefused(
                        path=path, row=pair.count, detail=f"the file ends there, before row {stop}"
                    )
                table, embeddings = pair.read(start, stop)
                holds = worker_files.crc_holds(table, embeddings)
                good = len(holds) if holds.all() else int(holds.argmin())
                yield table[:good], embeddings[:good]
                if good < len(holds):
                    raise errors.MergeRefused(path=path, row=start + good, detail="its checksum does not hold")

    def _forget_merged(self, total: int) -> None:
        with self.catalogue.transaction():
            self.catalogue.connection.execute("DELETE FROM adopted WHERE embedding_index + rows <= ?", (total,))
        for worker in worker_files.workers(self.data):
            with contextlib.suppress(errors.WorkerFilesBusy):  # a living worker's files are shortened another time
                self._shorten(worker)

    def _shorten(self, worker: int) -> None:
        lock = worker_files.lock(self.data, worker, patience=0)
        try:
            with self.worker_pair(worker, write=True) as pair:
                waiting = self.catalogue.connection.execute(
                    "SELECT 1 FROM adopted WHERE worker = ? LIMIT 1", (worker,)
                ).fetchone()
                if waiting or self.catalogue.rows_looked_at(worker) != pair.count or not pair.count:
                    return
                # The row before the bytes: rows looked at twice are harmless, rows never looked at would be lost.
                with self.catalogue.transaction():
                    self.catalogue.set_rows_looked_at(worker, 0)
                pair.shorten(0)
        finally:
            lock.release()


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        disk.make_folder(folder)


def _joined(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """
    Join small pieces, so that a merge syncs once in many thousand rows and not once a run.

    What came before a piece that does not fit is yielded before the refusal goes on.
    """
    waiting: list[_Piece] = []

    def join() -> Iterator[_Piece]:
        if waiting:
            yield np.concatenate([table for table, _ in waiting]), np.concatenate([rows for _, rows in waiting])
            waiting.clear()

    try:
        for piece in pieces:
            waiting.append(piece)
            if sum(len(table) for table, _ in waiting) >= _MERGE_ROWS:
                yield from join()
    except errors.MergeRefused:
        yield from join()
        raise
    yield from join()


@dataclass(slots=True)
class Run:
    """One verb that holds the library."""

    id: int
    report: dict[str, Any] = field(default_factory=dict)
    """kept with the run in the catalogue, as JSON"""


class _Runs:
    """Consecutive rows of a worker file that get consecutive embedding_index values, kept as runs."""

    def __init__(self, next_index: int) -> None:
        self.next_index = next_index
        self.runs: list[tuple[int, int, int]] = []
        """(first embedding_index, first row in the worker file, rows)"""

    def take(self, row: int) -> None:
        if self.runs:
            index, first_row, rows = self.runs[-1]
            if first_row + rows == row:
                self.runs[-1] = (index, first_row, rows + 1)
                self.next_index += 1
                return
        self.runs.append((self.next_index, row, 1))
        self.next_index += 1
