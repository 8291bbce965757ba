"""
The SQL of the catalogue, as files.

`queries(file)` reads named queries: a line `-- name: pending_images` starts one, and `{name}` in one stands for another of its file. `migrations()` are applied in the order of their
numbers; `schema.sql` is what they add up to, for reading (a test holds that).
"""

import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def queries(file: str) -> dict[str, str]:
    """Return name -> SQL of `file` ("images.sql")."""
    text = (_FOLDER / file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: *(\w+) *$", text, flags=re.MULTILINE)
    named = {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}

    def whole(body: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: whole(named[found[1]]), body)

    return {name: whole(body) for name, body in named.items()}


@cache
def migrations() -> tuple[str, ...]:
    """Return the SQL of all migrations, oldest first."""
    return tuple(path.read_text(encoding="utf-8") for path in sorted((_FOLDER / "migrations").glob("*.sql")))


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a migration, each ended by its line: `executescript` would end the transaction around it."""
    waiting = ""
    for line in script.splitlines(keepends=True):
        waiting += line
        if sqlite3.complete_statement(waiting):
            yield waiting
            waiting = ""
    if waiting.strip():
        yield waiting


def columns(found: sqlite3.Cursor) -> tuple[str, ...]:
    """Return the names of the columns that a query gives."""
    return tuple(column[0] for column in found.description or ())
