"""
The catalogue: what the library knows about files, in SQLite.

Owns the connection, the migrations and every statement about images and roots; the SQL itself is in `sql/`.
Must not know what an embedding is or how a picture is decoded. Whoever holds the lock of the library writes; `commit.adopt` makes embeddings part of it.
"""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from pixfind import errors
from pixfind.errors import former
from pixfind.library import path_text, sql
from pixfind.library.contents import Contents
from pixfind.library.database import Connection, make_writable
from pixfind.types import EmbeddedImage, ImageRef, Outcome, Settled

_PRAGMAS = {  # value, and why
    "journal_mode": "WAL",  # readers never wait for the writer
    "synchronous": "FULL",  # a commit that was reported survives a power cut
    "busy_timeout": 30_000,  # ms; a checkpoint may hold the file for a moment
    "foreign_keys": "ON",
    "cache_size": -32_000,  # KiB
    "trusted_schema": "OFF",  # a library may come from a stranger: its tables call no function that does anything
    "cell_size_check": "ON",  # ... and its pages are not believed
    "temp_store": "FILE",  # a scan of millions of paths must not live in memory
}

#: The steps of `sync_from`, in sync.sql. Paths are UNIQUE: changed rows get temporary paths first, so that swaps do not collide.
_SYNC_STEPS = (
    "free_root_paths",
    "sync_roots",
    "begin_changed",
    "clear_changed",
    "find_changed",
    "free_image_paths",
    "sync_bytes",
    "sync_paths",
    "sync_excluded",
    "sync_included",
    "sync_new",
    "sync_old_fields",
    "sync_new_fields",
    "sync_texts",
    "sync_old_labels",
    "sync_old_marked",
    "sync_old_marks",
    "sync_new_labels",
    "sync_settings",
)

_FOR_WRITERS = frozenset({"journal_mode", "synchronous"})


LEDGER = ("seen", "embedded", "pending", "failed", "duplicate", "skipped", "gone", "offline")


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that the user registered."""

    id: int
    path: str
    device: int
    exclude: str
    offline: str | None
    left_out: str
    """JSON: files of known kinds that are not read, by suffix"""
    in_archives: int
    """1 where the archives below it are looked into"""
    settings: str
    """JSON: what its source needs beside its path"""


class AdoptedRun(NamedTuple):
    """Consecutive rows of a worker file that were given consecutive values of embedding_index."""

    embedding_index: int
    """of the first row"""
    worker: int
    first_row: int
    """in the worker file"""
    rows: int

    @property
    def end(self) -> int:
        """The embedding_index after the last row."""
        return self.embedding_index + self.rows


class Catalogue:
    """`metadata.db` of one library."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.write = write
        self.contents = Contents(self)
        """which contents have an embedding"""
        self._connection = self._connect()
        found = path.stat()
        self._file = (found.st_dev, found.st_ino)
        try:
            self._migrate()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # --- statements -------------------------------------------------------------------------------

    def rows(self, name: str, file: str = "images.sql", **parameters: Any) -> Iterator[tuple[Any, ...]]:
        """Run the named query and yield its rows; what a column named `path` holds comes as the os module writes it."""
        found = self._connection.execute(sql.queries(file)[name], parameters)
        yield from path_text.rows_from_text(found, sql.columns(found), "path")

    def all_rows(self, name: str, file: str = "images.sql", **parameters: Any) -> list[tuple[Any, ...]]:
        """As `rows`, all at once and paths as text: cheaper for many rows."""
        return self._connection.execute(sql.queries(file)[name], parameters).fetchall()

    def value(self, name: str, file: str = "images.sql", **parameters: Any) -> Any:
        """Return the first column of the first row of the named query, None without a row."""
        row = next(self.rows(name, file, **parameters), None)
        return None if row is None else row[0]

    def run(self, name: str, file: str = "images.sql", **parameters: Any) -> int:
        """Run the named statement and return how many rows it changed."""
        return self._connection.execute(sql.queries(file)[name], parameters).rowcount

    def run_many(self, name: str, parameters: Iterable[Mapping[str, Any]], file: str = "images.sql") -> None:
        """Run the named statement once for each of `parameters`."""
        self._connection.executemany(sql.queries(file)[name], parameters)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes becomes durable together, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # After a failed write SQLite has rolled back already.
            if self._connection.in_transaction:
                with contextlib.suppress(errors.OperationError):
                    self._connection.execute("ROLLBACK")
            raise

    def add_function(self, name: str, parameters: int, function: Callable[..., Any]) -> None:
        """Let the statements of this catalogue call a function, such as `km` of the filters, whose result stays the same during one."""
        self._connection.create_function(name, parameters, function, deterministic=True)

    def data_version(self) -> int:
        """Return a number that differs after every change that another connection has made."""
        return int(self.value("data_version", "library.sql"))

    def is_in_place(self) -> bool:
        """Tell whether the file that is open still has its name; raises LibraryNotFound when no file has it."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise errors.LibraryNotFound(path=self.path.parent) from error
        return (found.st_dev, found.st_ino) == self._file

    @property
    def opened_on_full_disk(self) -> bool:
        """Whether it has to be closed before another of this process can write."""
        return self._connection.opened_on_full_disk

    # --- settings and runs ------------------------------------------------------------------------

    def setting(self, key: str) -> str | None:
        """Return a setting of the library, None when it was never set."""
        value: str | None = self.value("get_setting", "library.sql", key=key)
        return value

    def set_setting(self, key: str, value: str) -> None:
        """Set a setting of the library."""
        self.run("set_setting", "library.sql", key=key, value=value)

    def start_run(self, verb: str, host: str) -> int:
        """Record that a command starts to write; return the id of the run."""
        parameters = {"verb": verb, "pid": os.getpid(), "host": host, "started_at": time.time()}
        run_id = self._connection.execute(sql.queries("library.sql")["start_run"], parameters).lastrowid
        assert run_id is not None
        return run_id

    def end_run(self, run_id: int, report: str | None) -> None:
        """Record the end of a run, and its report as JSON."""
        self.run("end_run", "library.sql", id=run_id, ended_at=time.time(), report=report)

    # --- what there is ----------------------------------------------------------------------------

    def roots(self) -> list[Root]:
        """Return the registered folders, in the order of their ids."""
        return [Root(*row) for row in self.rows("roots", "scan.sql")]

    def ledger(self) -> dict[str, int]:
        """
        Count the images: seen = embedded + duplicate + failed + skipped + pending.

        `gone` is counted apart; `offline` is the part of seen whose root is offline.
        """
        return self.ledger_and_roots()[0]

    def ledger_and_roots(self) -> tuple[dict[str, int], dict[int, int]]:
        """Return what `ledger` does, and how many images of each root are there, by its id: one look for both."""
        of_roots: Counter[int] = Counter()
        counts = dict.fromkeys(LEDGER, 0)
        offline = {root.id for root in self.roots() if root.offline}
        for outcome, gone, root_id, count in self.rows("ledger"):
            if gone:
                counts["gone"] += count
                continue
            counts["seen"] += count
            of_roots[root_id] += count
            # Another outcome can only come from another program; `verify` finds that the parts no longer add up.
            if (name := outcome or "pending") in counts:
                counts[name] += count
            if root_id in offline:
                counts["offline"] += count
        return counts, of_roots

    def pending(self, *, part: int = 0, parts: int = 1, after: int = 0, limit: int = 1000) -> list[ImageRef]:
        """Return up to `limit` images with `id % parts == part` that wait, in the order of their ids, from `after` on."""
        rows = self.rows("pending", part=part, parts=parts, after=after, limit=limit)
        return [ImageRef(image_id, path, size, mtime, bool(same)) for image_id, path, size, mtime, same in rows]

    def count_pending(self, *, part: int = 0, parts: int = 1) -> int:
        """Count the images of online roots that wait."""
        return int(self.value("count_pending", part=part, parts=parts))

    def failures(self, limit: int = 100) -> list[tuple[str, str, str]]:
        """Return (path, reason, outcome) of images that ended without an embedding."""
        return [(path, reason, outcome) for path, reason, outcome in self.rows("failures", limit=limit)]

    # --- outcomes (inside a transaction of the caller) --------------------------------------------

    def adopt_row(self, image: EmbeddedImage, embedding_index: int) -> Outcome | None:
        """
        Give `embedding_index` to `image`.

        Returns EMBEDDED when it took it, DUPLICATE when an image with the same bytes has a row already, and None when the image is not
        waiting for these bytes (adopted before, changed since, unknown).
        """
        print_, facts = image.fingerprint, image.metadata
        if self.contents.row(print_.hash) is not None:
            duplicate = self.adopt_duplicate(image.image_id, print_.hash, print_.size, print_.mtime_ns)
            return Outcome.DUPLICATE if duplicate else None
        taken = self.run(
            "adopt",
            image_id=image.image_id,
            outcome=Outcome.EMBEDDED,
            embedding_index=embedding_index,
            size=print_.size,
            mtime_ns=print_.mtime_ns,
            hash=print_.hash,
            width=facts.width,
            height=facts.height,
            taken_at=facts.taken_at,
            camera=facts.camera,
            latitude=facts.latitude,
            longitude=facts.longitude,
        )
        if not taken:
            return None
        self.contents.add(print_.hash, embedding_index)
        return Outcome.EMBEDDED

    def adopt_duplicate(self, image_id: int, content: bytes, size: int, mtime_ns: int) -> bool:
        """Give a pending image of this size (bytes) and time (ns) the row of the image with the same content hash; return whether it took it."""
        row = self.contents.row(content)
        if row is None:
            return False
        taken = self.run(
            "adopt_duplicate", image_id=image_id, embedding_index=row, hash=content, size=size, mtime_ns=mtime_ns
        )
        return bool(taken)

    def settle(self, settled: Iterable[Settled]) -> None:
        """Record images that ended without an embedding; images that are not pending any more stay as they are."""
        self.run_many(
            "settle",
            (
                {
                    "image_id": s.image_id,
                    "outcome": s.outcome,
                    "reason": path_text.readable(s.reason),
                    "transient": s.transient,
                }
                for s in settled
            ),
        )

    # --- rows of worker files ---------------------------------------------------------------------

    def rows_scanned(self, worker: int) -> int:
        """Return how many rows of a worker file `commit.adopt` has scanned; 0 for an unknown one."""
        return int(self.value("rows_scanned", "adopted.sql", worker=worker) or 0)

    def set_rows_scanned(self, worker: int, rows: int) -> None:
        """Record how many rows of a worker file are scanned; in a transaction of the caller."""
        self.run("set_rows_scanned", "adopted.sql", worker=worker, rows=rows)

    def adopted_runs(self) -> list[AdoptedRun]:
        """Return what is adopted and not merged yet, in the order of embedding_index."""
        return [AdoptedRun(*row) for row in self.rows("adopted_runs", "adopted.sql")]

    def record_adopted(self, runs: Iterable[AdoptedRun]) -> None:
        """Record which rows were adopted; in a transaction of the caller."""
        self.run_many("record_adopted", (run._asdict() for run in runs), "adopted.sql")

    def has_adopted(self, worker: int, row: int = 0) -> bool:
        """Whether rows of a worker file from `row` on are adopted and not merged yet."""
        return bool(self.value("has_adopted", "adopted.sql", worker=worker, row=row))

    # --- together with another catalogue ----------------------------------------------------------

    def sync_from(self, source: "Catalogue") -> None:
        """
        Take over what `source` knows of roots and files, in one transaction; embeddings and outcomes stay, where the bytes did.

        Afterwards every image of `source` is here under its id. Both must be catalogues of one library: one gives the ids, the other
        never does.
        """
        with self._attached(source), self.transaction():
            for step in _SYNC_STEPS:
                self.run(step, "sync.sql")

    def lost(self, source: "Catalogue") -> dict[str, int]:
        """Count, by reason, the images that are found with `source` and would not be found with this catalogue."""
        with self._attached(source):
            return dict(self.rows("lost", "sync.sql"))

    @contextlib.contextmanager
    def _attached(self, source: "Catalogue") -> Iterator[None]:
        self.run("attach", "sync.sql", path=os.fsencode(source.path))
        try:
            yield
        finally:
            self.run("detach", "sync.sql")

    # --- the file ---------------------------------------------------------------------------------

    def copy_to(self, path: Path) -> None:
        """
        Replace the database at `path`, in one transaction, by this one as it is at this moment, whoever is writing it.

        Raises DiskFull, NotWritable and DiskFailed.
        """
        make_writable(path)
        target = Connection.open(path, str(path), uri=False)
        try:
            target.execute("PRAGMA busy_timeout = 30000")
            self._connection.backup(target)
            # All of it in one file: closing a database would not report a failure.
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            target.close()

    def _connect(self) -> Connection:
        if not self.write and not self.path.exists():
            raise errors.LibraryNotFound(path=self.path.parent)
        if self.write:
            make_writable(self.path)
            connection = Connection.open(self.path, str(self.path), uri=False)
        else:
            connection = Connection.open_to_read(self.path)
        connection.create_function("reason_kind", 1, former.reason_kind, deterministic=True)
        for pragma, value in _PRAGMAS.items():
            if self.write or pragma not in _FOR_WRITERS:
                connection.execute(f"PRAGMA {pragma} = {value}")
        if not self.write:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _refuse_programs(self) -> None:
        """We have no trigger and no view: one that is there would run with our statements."""
        found = next(self.rows("programs", "library.sql"), None)
        if found is not None:
            raise errors.LibraryDamaged(path=self.path, detail=f"it holds a {found[0]} that is not ours, {found[1]!r}")

    def _migrate(self) -> None:
        self._refuse_programs()
        known = len(sql.migrations())
        version = self._version()
        if version > known:
            raise errors.NewerLibrary(path=self.path, found=version, known=known)
        if version == known:
            return
        self._connection.execute("PRAGMA query_only = OFF")
        try:
            self._apply_migrations()
        except errors.NotWritable:
            if self.write or not version:
                raise
            # An older library that this user cannot write: migrate a temporary copy, which SQLite deletes when it is closed.
            copy = Connection.open(self.path, "", uri=False)
            copy.create_function("reason_kind", 1, former.reason_kind, deterministic=True)
            self._connection.backup(copy)
            self._connection.close()
            self._connection = copy
            self._apply_migrations()
        if not self.write:
            self._connection.execute("PRAGMA query_only = ON")

    def _apply_migrations(self) -> None:
        """Bring the tables to the newest form, all in one transaction."""
        self._connection.create_function("path_text", 1, path_text.to_text, deterministic=True)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            # Read again now that no other process writes: one may have migrated meanwhile.
            for migration in sql.migrations()[self._version() :]:
                for statement in sql.statements(migration):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {len(sql.migrations())}")
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with contextlib.suppress(errors.OperationError):
                    self._connection.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])
