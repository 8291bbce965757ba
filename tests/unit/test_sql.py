"""The SQL files: migrations that add up to the schema, queries that SQLite understands."""

import contextlib
import re
import sqlite3
from importlib import resources
from pathlib import Path

import pytest

from pixfind.errors import former
from pixfind.library import path_text, sql


def _described(script: str) -> list[tuple[str, str]]:
    """Return name and SQL of what the script makes; comments belong to the file they stand in, and ALTER TABLE writes its own spaces."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.create_function("path_text", 1, path_text.to_text)
        database.executescript(script)
        made = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return [(name, re.sub(r"\s+", "", re.sub(r"--.*", "", code))) for name, code in made]


def test_the_migrations_add_up_to_the_schema() -> None:
    schema = resources.files(sql).joinpath("schema.sql").read_text(encoding="utf-8")

    assert _described(schema) == _described("".join(sql.migrations()))


#: These are parts of other statements; the tables that the scan and the sync make for themselves are made first.
_FRAGMENTS = {"filters", "first_copy", "below", "facet_values"}
_FIRST = (
    ("scan.sql", "begin_batch"),
    ("sync.sql", "begin_changed"),
    ("relocate.sql", "begin"),
)
_STATEMENTS = [
    (file, name)
    for file in (
        "adopted.sql",
        "fields.sql",
        "images.sql",
        "library.sql",
        "relocate.sql",
        "scan.sql",
        "search.sql",
        "sync.sql",
        "verify.sql",
    )
    for name in sorted(sql.queries(file).keys() - _FRAGMENTS)
]


@pytest.mark.parametrize(("file", "name"), _STATEMENTS)
def test_every_statement_fits_the_schema(file: str, name: str, tmp_path: Path) -> None:
    statement = sql.queries(file)[name]
    with contextlib.closing(_made(":memory:")) as database:
        for first in _FIRST:
            database.execute(sql.queries(first[0])[first[1]])
        if file == "sync.sql" and name != "attach":
            _made(tmp_path / "source.db").close()
            database.execute("ATTACH ? AS source", (str(tmp_path / "source.db"),))
        database.execute(f"EXPLAIN {statement}", dict.fromkeys(database_parameters(statement), 1))


def _made(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.create_function("path_text", 1, path_text.to_text)
    database.create_function("relocated", 1, str)
    database.create_function("root_of", 2, lambda *_: 0)
    database.create_function("km", 4, lambda *_: 0)
    database.create_function("from_hex", 1, bytes.fromhex)
    database.create_function("album_pictures", 1, lambda _: "[]")
    database.create_function("reason_kind", 1, former.reason_kind)
    database.executescript("".join(sql.migrations()))
    return database


def database_parameters(query: str) -> set[str]:
    """Return the names of a query's parameters, comments left out."""
    code = "\n".join(line.partition("--")[0] for line in query.splitlines())
    return set(re.findall(r":(\w+)", code))
