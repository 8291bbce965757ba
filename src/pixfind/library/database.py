"""
SQLite connections that raise our errors: every `sqlite3` error about the file becomes an `OperationError` that says what to do.

Owns the translation, in one place: no statement can be run without it. Must not know tables or statements. `catalogue` uses it.
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from pixfind import errors
from pixfind.storage import disk

_KINDS: dict[int, type[errors.OperationError]] = {
    sqlite3.SQLITE_FULL: errors.DiskFull,
    sqlite3.SQLITE_CORRUPT: errors.LibraryDamaged,
    sqlite3.SQLITE_NOTADB: errors.LibraryDamaged,
    sqlite3.SQLITE_FORMAT: errors.LibraryDamaged,
    sqlite3.SQLITE_BUSY: errors.DatabaseBusy,
    sqlite3.SQLITE_LOCKED: errors.DatabaseBusy,
    sqlite3.SQLITE_PROTOCOL: errors.DatabaseBusy,
    sqlite3.SQLITE_READONLY: errors.NotWritable,
    sqlite3.SQLITE_PERM: errors.NotWritable,
    sqlite3.SQLITE_AUTH: errors.NotWritable,
}
_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""what reading a file raises: the second where SQLite would name a part of the schema that is no text"""
_NO_TEXT = "Could not decode to UTF-8"
_NOT_OURS = ("no such table", "no such column", "unknown function")
"""of a schema that is not what we wrote; one of its expressions, such as that of an index, may call a function that is none"""
_FAILED = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_READS = ("SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_FSTAT", "SQLITE_IOERR_CORRUPTFS")
_PROBE_BYTES = 65_536
_PATIENCE_SECONDS = 30.0
"""for which a statement waits; a checkpoint may hold the file for a moment"""
_MAX_ROWS = 256
"""fetched at once while rows are iterated over: a call for each would take longer than reading it"""


class Connection(sqlite3.Connection):
    """A connection to the database at `path`; `execute` and its like raise OperationError."""

    path: Path
    opened_on_full_disk: bool = False
    """as long as this one is open no connection of this process to the same file can write, as SQLite lets them share one shared memory file"""

    @classmethod
    def open(cls, path: Path, name: str, *, uri: bool) -> "Connection":
        """Open the file at `path`; `name` is what SQLite opens: a path or a URI."""
        try:
            # autocommit: transactions are begun by name and nowhere else
            opened = sqlite3.connect(
                name, _PATIENCE_SECONDS, isolation_level=None, check_same_thread=False, uri=uri, factory=cls
            )
        except sqlite3.Error as error:
            raise translated(error, path) from error
        opened.path = path
        return opened

    @classmethod
    def open_to_read(cls, path: Path) -> "Connection":
        """
        Open the file at `path`, which has a write-ahead log, where others may write it and where nobody can.

        Raises what reading it raises: DatabaseBusy, LibraryDamaged, DiskFailed.
        """
        # SQLite needs its shared memory file in the folder. Where this user cannot write, we assume that nobody writes the database.
        if not os.access(path.parent, os.W_OK):
            return cls.open(path, f"{path.as_uri()}?immutable=1", uri=True)
        opened = cls.open(path, str(path), uri=False)
        try:
            # The first that is read makes that file.
            opened.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except errors.DiskFull:
            opened.close()
            # There is no room for it. In the empty one that is left SQLite takes its locks, and keeps in memory what it would hold: what the log has
            # is read, and a writer that comes later changes nothing under a reader. Not `immutable`, which does neither.
            opened = cls.open(path, f"{path.as_uri()}?mode=ro&readonly_shm=1", uri=True)
            opened.opened_on_full_disk = True
        except BaseException:
            opened.close()
            raise
        return opened

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    # Python's own would go past `cursor`.
    def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
        made: sqlite3.Cursor = self.cursor().execute(statement, parameters)
        return made

    def executemany(self, statement: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        made: sqlite3.Cursor = self.cursor().executemany(statement, parameters)
        return made

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        made: sqlite3.Cursor = self.cursor().executescript(script)
        return made

    def backup(self, target: sqlite3.Connection, **options: Any) -> None:
        try:
            super().backup(target, **options)
        except _ERRORS as error:
            raise translated(error, self.path) from error


class _Cursor(sqlite3.Cursor):
    """Every statement of a connection runs in one of these."""

    connection: Connection

    def execute(self, statement: str, parameters: Any = (), /) -> Self:
        try:
            return super().execute(statement, parameters)
        except _ERRORS as error:
            raise translated(error, self.connection.path) from error

    def executemany(self, statement: str, parameters: Iterable[Any], /) -> Self:
        try:
            return super().executemany(statement, parameters)
        except sqlite3.Error as error:
            raise translated(error, self.connection.path) from error

    def executescript(self, script: str, /) -> Self:
        try:
            super().executescript(script)
        except _ERRORS as error:
            raise translated(error, self.connection.path) from error
        return self

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except _ERRORS as error:
            raise translated(error, self.connection.path) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except _ERRORS as error:
            raise translated(error, self.connection.path) from error

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        try:
            return super().fetchmany(size)
        except _ERRORS as error:
            raise translated(error, self.connection.path) from error

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        size = 1  # Who wants the first row only waits for no other.
        while rows := self.fetchmany(size):
            yield from rows
            size = min(2 * size, _MAX_ROWS)

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except _ERRORS as error:
            raise translated(error, self.connection.path) from error


def make_writable(path: Path) -> None:
    """
    Make the file of a database where it is missing: SQLite creates its log with the same mode.

    One that is there must not be opened for that: closing a file takes back all POSIX locks that this process has on it, and the next to close the
    database would delete the log that others still write to (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with disk.writing(path):
        if path.is_symlink() or not path.exists():
            os.close(disk.create(path))
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def translated(error: Exception, path: Path) -> Exception:
    """Return the OperationError for an error about the file; `error` itself when one of our statements is wrong."""
    # Errors of Python's own, such as a closed connection, have no code.
    code, name = getattr(error, "sqlite_errorcode", 0) & 0xFF, getattr(error, "sqlite_errorname", "")
    kind = _KINDS.get(code)
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(_NOT_OURS):
        kind = errors.LibraryDamaged
    if code == sqlite3.SQLITE_CANTOPEN and not _may_write(path):
        kind = errors.NotWritable
    elif (
        # Read-only is what a file is too that could not be made.
        (code in _FAILED and name not in _READS) or (code == sqlite3.SQLITE_READONLY and _may_write(path))
    ) and _is_full(path):
        kind = errors.DiskFull
    if isinstance(error, UnicodeDecodeError) or str(error).startswith(_NO_TEXT):
        return errors.LibraryDamaged(path=path, detail=f"it holds text that is not UTF-8 ({error})")
    if kind is not None:
        return kind(path=path, detail=str(error))
    if code not in _FAILED:
        return error
    operation = "opened" if code == sqlite3.SQLITE_CANTOPEN else "read" if name in _READS else "written"
    return errors.DiskFailed(path=path, operation=operation, detail=f"{error}, {name}")


def _may_write(path: Path) -> bool:
    return os.access(path.parent, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.R_OK | os.W_OK))


def _is_full(path: Path) -> bool:
    """
    Tell whether a write failed because the disk is full.

    SQLite says so of a full disk, but not of a quota or of a limit on the length of files. So try it: write another file in the same folder,
    longer than the database and its log.
    """
    longest = 0
    for name in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError):
            longest = max(longest, name.stat().st_size)
    try:
        import tempfile

        with tempfile.TemporaryFile(dir=path.parent) as file:
            os.pwrite(file.fileno(), bytes(_PROBE_BYTES), longest)
            os.fsync(file.fileno())
    except OSError as error:
        return disk.is_full(error)
    return False
