"""The SQL files: migrations that add up to the schema, queries that SQLite understands."""

import contextlib
import re
import sqlite3
from importlib import resources

import pytest

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


@pytest.mark.parametrize("name", sorted(sql.queries("images.sql")))
def test_every_query_about_images_fits_the_schema(name: str) -> None:
    database = sqlite3.connect(":memory:")
    database.create_function("path_text", 1, path_text.to_text)
    database.executescript("".join(sql.migrations()))
    parameters = dict.fromkeys(database_parameters(sql.queries("images.sql")[name]), 1)

    database.execute(f"EXPLAIN {sql.queries('images.sql')[name]}", parameters)
    database.close()


def database_parameters(query: str) -> set[str]:
    """Return the names of a query's parameters, comments left out."""
    code = "\n".join(line.partition("--")[0] for line in query.splitlines())
    return set(re.findall(r":(\w+)", code))
