"""
Text in a database that is not UTF-8, as a flipped byte leaves it: SQLite keeps it, its own check passes over it, and whoever reads it fails.

Owns how such text is found and what takes its place. Must not know what a table is for: it goes by the schema of the file. `verify` and `repair` use it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.library import path_text, sql
from pixfind.library.database import Connection

_FILE = "verify.sql"


def find(path: Path) -> str | None:
    """Return what is wrong with the first text that is not UTF-8, None where all is; reads every table that has text."""
    connection = Connection.open_to_read(path)
    try:
        for table, columns in _text_columns(connection):
            for _ in connection.execute(_select(table, columns)):
                pass
    except errors.LibraryDamaged as error:
        return str(error.fields["detail"])
    finally:
        connection.close()
    return None


def replace(connection: Connection) -> None:
    r"""
    Write, in a transaction of the caller, text in the place of what is none: a path with `\xNN` for a byte, which the next `add` finds to have moved.

    Raises LibraryDamaged, and IntegrityError of sqlite3 where a text is one that the table does not take.
    """
    tables = list(_text_columns(connection))
    keys = {table: _columns(found) for table, found in connection.execute(sql.queries(_FILE)["key_columns"])}
    # From here on each text comes as its bytes.
    connection.text_factory = bytes
    for table, columns in tables:
        key = keys.get(table, ["rowid"])
        # All of a table before the first change of it.
        rows = connection.execute(_select(table, [*key, *columns]))
        damaged = [row for row in rows if not all(map(_is_text, row[len(key) :]))]
        for row in damaged:
            changed = {
                column: path_text.to_text(value) if column == "path" else value.decode("utf-8", "replace")
                for column, value in zip(columns, row[len(key) :], strict=True)
                if not _is_text(value)
            }
            _update(connection, table, changed, dict(zip(key, row, strict=False)))


def _update(connection: Connection, table: str, changed: dict[str, str], key: dict[str, Any]) -> None:
    assignments = ", ".join(f'"{column}" = ?' for column in changed)
    # A key may be such a text itself, and then equals nothing but its bytes.
    condition = " AND ".join(f'CAST("{column}" AS BLOB) = CAST(? AS BLOB)' for column in key)
    statement = f'UPDATE "{table}" SET {assignments} WHERE {condition}'  # noqa: S608 - names of our own schema
    connection.execute(statement, (*changed.values(), *key.values()))


def _is_text(value: Any) -> bool:
    """Tell of a value that comes as bytes where it is text: NULL and numbers are fine."""
    try:
        return not isinstance(value, bytes) or value.decode() is not None
    except UnicodeDecodeError:
        return False


def _text_columns(connection: Connection) -> Iterator[tuple[str, list[str]]]:
    for table, found in connection.execute(sql.queries(_FILE)["text_columns"]).fetchall():
        yield table, _columns(found)


def _columns(found: str) -> list[str]:
    return found.split(",")


def _select(table: str, columns: list[str]) -> str:
    quoted = ", ".join(f'"{column}"' for column in columns)
    return f'SELECT {quoted} FROM "{table}"'  # noqa: S608 - names of our own schema
