"""
One library: its directory, its lock, and the model that it is tied to.

Owns where each file is, who may write, and how the merged embeddings are opened. How embeddings become part of the library: `commit`;
how they are moved together: `merge`. Must not know how images are decoded, or who asks.
Loads no NumPy until embeddings are opened: commands that only read the catalogue do without it.
"""

import contextlib
import datetime
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pixfind import errors
from pixfind.library import albums, control, generations
from pixfind.library.catalogue import Catalogue
from pixfind.storage import disk, locks, npy_header, worker_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pixfind.storage import embedding_files

_PATIENCE_SECONDS = 2.0
"""seconds, not 0: `pixfind status` holds the lock for an instant to see whether another process does"""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model made the embeddings of a library; two identities never mix."""

    name: str
    hash: str
    dimension: int
    precision: str


def locate(option: Path | None = None) -> Path:
    """Return the library to use: the option, else PIXFIND_LIBRARY, else here when here is one, else the user's own."""
    if option is not None:
        return option.expanduser().absolute()
    if named := os.environ.get("PIXFIND_LIBRARY"):
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    if generations.is_library(here):
        return here
    return default_path()


def default_path() -> Path:
    """Return the user's own library, for which no command needs an option."""
    import platformdirs

    return Path(platformdirs.user_data_dir("pixfind", appauthor=False))


class Library:
    """A directory with all our state. Open it for writing inside `with library.lock(verb)`."""

    def __init__(self, path: Path, catalogue: Catalogue, generation: str = generations.FIRST) -> None:
        self.path = path
        self.generation = generation
        """the folder of this model's catalogue and embeddings; it stays the same while the library is open"""
        self.data = generations.folder(path, generation) / "data"
        self.logs = path / "logs"
        self.catalogue = catalogue
        catalogue.add_function("from_hex", 1, bytes.fromhex)
        catalogue.add_function("album_pictures", 1, functools.partial(albums.pictures_as_json, path))
        self.use_sources()

    @classmethod
    def open(cls, path: Path, *, write: bool = False, generation: str | None = None) -> Self:
        """
        Open an existing library: its active generation, or the one that is named.

        Raises LibraryNotFound, LibraryNotADirectory, InvalidLibraryName, NewerLibrary, LibraryDamaged, LinkInLibrary.
        """
        generations.refuse_no_folder(path)
        generations.refuse_links(path)
        chosen = generations.read(path).active if generation is None else generation
        try:
            return cls._opened(path, chosen, write=write)
        except (errors.LibraryNotFound, errors.NotWritable):
            if generation is None and generations.read(path).active != chosen:
                # The model was switched meanwhile, and this generation deleted.
                return cls.open(path, write=write)
            raise

    @classmethod
    def _opened(cls, path: Path, generation: str, *, write: bool) -> Self:
        folder = generations.folder(path, generation)
        if not (folder / "metadata.db").exists():
            raise errors.LibraryNotFound(path=path)
        _refuse_lost_database(folder)
        if write:
            _make_folders(folder / "data", path / "logs")
        return cls._of(path, Catalogue(folder / "metadata.db", write=write), generation)

    @classmethod
    def create(cls, path: Path, *, generation: str | None = None) -> Self:
        """
        Open a library for writing, making what is missing of it; `generation` as in `open`.

        Raises LibraryDamaged when there are embeddings and the database that names their images is lost: a new one would give their
        ids to other images.
        """
        generations.refuse_no_folder(path)
        generations.refuse_links(path)
        chosen = generations.read(path).active if generation is None else generation
        folder = generations.folder(path, chosen)
        _refuse_lost_database(folder)
        _make_folders(folder, folder / "data", path / "logs")
        return cls._of(path, Catalogue(folder / "metadata.db", write=True), chosen)

    @classmethod
    def _of(cls, path: Path, catalogue: Catalogue, generation: str) -> Self:
        made = cls(path, catalogue, generation)
        # The model is known before the first embedding: this database has tables, and was emptied all the same.
        if catalogue.setting("model") is None and holds_embeddings(made.data):
            made.close()
            raise errors.LibraryDamaged(path=catalogue.path, detail="it names no model, and data/ holds embeddings")
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalogue."""
        self.catalogue.close()

    def use_sources(self) -> None:
        """Let this process read the images of all roots that are registered by now, wherever they lie."""
        known = [(root.path, json.loads(root.settings)) for root in self.catalogue.roots() if "://" in root.path]
        if known:
            # Nearly no command reads pictures of such roots: it is imported for those that have them.
            from pixfind.images import source

            source.use(known)

    def superseded(self) -> bool:
        """
        Whether another generation is active by now, or another file has taken the place of its database; a library that is open stays with its own.

        Raises LibraryNotFound when the library was deleted: what is open would answer from nothing.
        """
        return generations.read(self.path).active != self.generation or not self.catalogue.is_in_place()

    def renewed(self, *, to_write: bool = False) -> Self:
        """
        Return this library while its generation is active; else close it and open the one that is.

        `to_write`: another of this process is about to write, which one that was opened on a full disk would keep it from. Where opening it raises, it is
        closed, and this may be called again.
        """
        if to_write and self.catalogue.opened_on_full_disk:
            self.close()
        elif not self.superseded():
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
        import socket

        try:
            held = locks.acquire(self._lock_path, patience=patience)
        except locks.HeldError as error:
            raise self._locked() from error
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
        """Return {verb, pid, host, started_at} of the process that is writing, None when there is none; started_at in seconds since 1970."""
        if not locks.is_held(self._lock_path):
            return None
        row = next(self.catalogue.rows("last_run", "library.sql"), ("?", 0, "?", 0.0, None, None))
        return dict(zip(("verb", "pid", "host", "started_at"), row, strict=False))

    @property
    def _lock_path(self) -> Path:
        return self.path / "library.lock"

    def refuse_second_writer(self) -> None:
        """Raise LibraryLocked while another process is writing: for a command that starts a process in the background."""
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
            # A copy next to the embeddings, so that they can be used when the database is lost.
            disk.publish(self.data / "model.json", stored.encode())
            self.catalogue.set_setting("model", stored)
        elif (known.hash, known.dimension) != (model.hash, model.dimension):
            ours, theirs = (f"{m.name} (files {m.hash[:12]})" for m in (known, model))
            raise errors.OtherModel(library_model=ours, asked_model=theirs, asked_name=model.name)

    def has_embeddings(self) -> bool:
        """Whether anything was embedded; until then the library can still be tied to a different model."""
        files = (worker_files.paths(self.data, worker)[0] for worker in worker_files.workers(self.data))
        return bool(self.promised_rows) or any(npy_header.shape(path)[0] for path in files)

    def exchange_model(self, model: ModelIdentity) -> None:
        """Tie a library in which nothing is embedded to another model; raises WorkerFilesBusy while a worker has its files open."""
        assert not self.has_embeddings()
        empty = [self.embeddings_path, self.indices_path]
        for worker in worker_files.workers(self.data):
            worker_files.lock(self.data, worker, patience=0).release()
            empty += worker_files.paths(self.data, worker)
        for path in empty:
            # Their headers give the dimension of the other model.
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
        """Path of the merged embeddings, float16 [N, d]."""
        return self.data / "embeddings.npy"

    @property
    def indices_path(self) -> Path:
        """Path of the merged index rows, INDEX_ROW [N]."""
        return self.data / "indices.npy"

    @property
    def index_path(self) -> Path:
        """Path of the FAISS index."""
        return self.data / "faiss.index"

    @property
    def merged_rows(self) -> int:
        """N, from the header of embeddings.npy; 0 before the first merge. Raises LibraryDamaged."""
        return npy_header.shape(self.embeddings_path)[0]

    @property
    def promised_rows(self) -> int:
        """How many embeddings the library has, merged or still in worker files; raises LibraryDamaged."""
        return max(int(self.catalogue.setting("next_embedding_index") or 0), self.merged_rows)

    def embeddings(self) -> "NDArray[np.float16]":
        """
        Return the merged embeddings as a read-only memory map [N, d] float16; row = embedding_index.

        Raises NotEmbedded before the model is known, LibraryDamaged when the file is not such an array.
        """
        import numpy as np

        from pixfind.storage.embedding_files import EMBEDDING

        if not self.merged_rows:
            return np.empty((0, self.dimension), EMBEDDING)
        try:
            with disk.reading(self.embeddings_path):
                array: NDArray[np.float16] = np.load(self.embeddings_path, mmap_mode="r")
        except ValueError as error:
            detail = "the file ends before the rows that its header promises"
            raise errors.LibraryDamaged(path=self.embeddings_path, detail=detail) from error
        if (array.dtype, array.shape[1:]) != (EMBEDDING, (self.dimension,)):
            detail = f"it holds {array.dtype} rows of {array.shape[1:]}, not float16 of {self.dimension}"
            raise errors.LibraryDamaged(path=self.embeddings_path, detail=detail)
        return array

    def live_rows(self) -> "NDArray[np.bool_]":
        """Return [N] bool: which merged rows belong to an image that is still there."""
        import numpy as np

        live = np.zeros(self.merged_rows, np.bool_)
        rows = np.fromiter((row for (row,) in self.catalogue.rows("live_rows")), np.int64)
        live[rows[rows < len(live)]] = True
        return live

    def merged(self, *, write: bool = False) -> "embedding_files.Pair":
        """Open embeddings.npy and indices.npy; raises LibraryDamaged, and for writing DiskFull and NotWritable."""
        from pixfind.storage import embedding_files

        return embedding_files.Pair(self.embeddings_path, self.indices_path, self.dimension, write=write)

    def worker_pair(self, worker: int, *, write: bool = False) -> "embedding_files.Pair":
        """Open the files of one worker; raises as `merged`."""
        from pixfind.storage import embedding_files

        return embedding_files.Pair(*worker_files.paths(self.data, worker), self.dimension, write=write)


def holds_embeddings(data: Path) -> bool:
    """Tell whether there are arrays in a data folder, which a database must name."""
    return any(data.glob("indices*.npy"))


def _refuse_lost_database(folder: Path) -> None:
    """Raise LibraryDamaged where a generation has embeddings and no database, or an empty file in its place: SQLite would begin a new one in it."""
    path = folder / "metadata.db"
    with disk.reading(path):
        lost = "missing" if not path.exists() else "empty" if path.stat().st_size == 0 else None
    if lost is not None and holds_embeddings(folder / "data"):
        raise errors.LibraryDamaged(path=path, detail=f"it is {lost}, and data/ holds embeddings")


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        disk.make_folder(folder, durable=True)


@dataclass(slots=True)
class Run:
    """One verb that holds the library."""

    id: int
    report: dict[str, Any] = field(default_factory=dict)
    """kept with the run in the catalogue, as JSON"""
