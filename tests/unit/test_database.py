"""Every way in which SQLite fails on our file is told as an OperationError that names the file, and a mistake of ours is not."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.library import database
from pixfind.library.database import Connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metadata.db"


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    opened = Connection.open(path, str(path), uri=False)
    opened.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, name TEXT)")
    opened.executemany("INSERT INTO pictures (name) VALUES (?)", [("x" * 3000,)] * 50)
    yield opened
    opened.close()


def test_what_another_program_holds_is_told_as_busy(connection: Connection, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    connection.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(errors.DatabaseBusy, match=r"metadata\.db is locked by another program"):
        connection.execute("BEGIN IMMEDIATE")
    other.close()


def test_no_room_is_told_as_a_full_disk(connection: Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(errors.DiskFull, match=r"metadata\.db"):
        connection.executemany("INSERT INTO pictures (name) VALUES (?)", [("x" * 3000,)] * 50)


def test_bytes_that_are_no_database_are_told_as_damage(path: Path) -> None:
    path.write_bytes(b"this was a database" * 500)
    opened = Connection.open(path, str(path), uri=False)
    with pytest.raises(errors.LibraryDamaged, match="not a database"):
        opened.execute("SELECT * FROM pictures")
    opened.close()


def test_a_page_that_rotted_is_told_while_rows_are_read(connection: Connection, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    path.write_bytes(content)
    connection.execute("PRAGMA cache_size = 0")
    opened = Connection.open(path, str(path), uri=False)
    with pytest.raises(errors.LibraryDamaged, match="malformed"):
        list(opened.execute("SELECT name FROM pictures"))
    with pytest.raises(errors.LibraryDamaged, match="malformed"):
        opened.execute("SELECT name FROM pictures").fetchall()
    opened.close()


def test_a_table_that_is_not_there_is_told_as_damage(connection: Connection) -> None:
    with pytest.raises(errors.LibraryDamaged, match="no such table: images"):
        connection.execute("SELECT * FROM images")


def test_a_database_that_may_only_be_read_is_told_so(connection: Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(errors.NotWritable, match="readonly"):
        connection.execute("DELETE FROM pictures")


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "metadata.db"
    with pytest.raises(errors.NotWritable, match="unable to open"):
        Connection.open(missing, str(missing), uri=False)


@pytest.mark.parametrize(
    ("name", "operation"),
    [("SQLITE_IOERR_FSYNC", "written"), ("SQLITE_IOERR_READ", "read"), ("SQLITE_CANTOPEN", "opened")],
)
def test_a_failing_disk_is_told_with_what_failed(path: Path, name: str, operation: str) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name

    found = database.translated(error, path)

    assert isinstance(found, errors.DiskFailed)
    assert f"could not be {operation}: disk I/O error, {name}" in str(found)
    assert [] == list(path.parent.iterdir()), "what was tried there has gone again"


def test_a_wrong_statement_of_ours_stays_what_it_is(connection: Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        connection.execute("SELEC 1")
