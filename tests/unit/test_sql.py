"""The SQL files: migrations that add up to the schema, queries that SQLite understands."""

import contextlib
import re
import sqlite3
from importlib import resources

import pytest

from pixfind import sql


def _described(script: str) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script)
        return database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()


def test_the_migrations_add_up_to_the_schema() -> None:
    schema = resources.files(sql).joinpath("schema.sql").read_text(encoding="utf-8")

    assert _described(schema) == _described("".join(sql.migrations()))


@pytest.mark.parametrize("name", sorted(sql.queries("images.sql")))
def test_every_query_about_images_fits_the_schema(name: str) -> None:
    database = sqlite3.connect(":memory:")
    database.executescript("".join(sql.migrations()))
    parameters = dict.fromkeys(database_parameters(sql.queries("images.sql")[name]), 1)

    database.execute(f"EXPLAIN {sql.queries('images.sql')[name]}", parameters)
    database.close()


def database_parameters(query: str) -> set[str]:
    """Return the names of a query's parameters, comments left out."""
    code = "\n".join(line.partition("--")[0] for line in query.splitlines())
    return set(re.findall(r":(\w+)", code))
