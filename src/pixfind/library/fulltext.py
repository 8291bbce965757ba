"""
The full-text index of a generation, data/fulltext.db: which images have a word in their name, and which contents in their picture.

Owns the tables of FTS5, when they are brought up to date, and every statement on them. All of it is derived from the catalogue: a file that is
damaged, of another version or not there is made again. Must not know how matches are ranked.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from pixfind import errors
from pixfind.images.source import archives
from pixfind.library import generations, sql, texts, tokens
from pixfind.library.catalogue import Catalogue
from pixfind.library.database import Connection
from pixfind.library.library import Library
from pixfind.library.tokens import Word
from pixfind.storage import disk
from pixfind.types import Progress, no_progress

_FORMAT: Final = "3"
"""Another number is made again: of these tables, and of what `tokens` makes of a text."""

_BATCH: Final = 5_000
"""names or texts of one transaction: searches wait only while it is written at its end"""

_SEARCH_PATIENCE_MS: Final = 2_000
"""for which a search waits for a transaction to be written, before it answers without words"""

_MIN_CONFIDENCE: Final = 0.6
"""of a line that is searched: below it letters are mostly leaves and fur"""

_FILE: Final = "fulltext.sql"
_TABLES: Final = ("create_settings", "create_named", "create_names", "create_texted", "create_said")
_PRAGMAS: Final = {
    "busy_timeout": 30_000,
    "trusted_schema": "OFF",  # as for the catalogue: the file may come from a stranger
    "cell_size_check": "ON",
    "cache_size": -32_000,
    "cache_spill": "OFF",  # what does not fit stays in memory: written early, it would lock searches out until the end of the transaction
}

#: What reading a damaged file raises beside sqlite3's own errors: names that are no text, and columns that are NULL although they never are.
_DAMAGE: Final = (sqlite3.OperationalError, UnicodeDecodeError, AttributeError, TypeError)

#: What keeps a search from reading it: what is left of a killed update, which only a writer can take back, permissions, a busy disk.
_UNUSABLE: Final = (errors.LibraryDamaged, errors.NotWritable, errors.DiskFailed, errors.DatabaseBusy)


class Column(StrEnum):
    """Where a word may stand. What is found has the ids of images for a name, and rows of the embeddings for a text."""

    NAMES = "names"
    TEXTS = "texts"


class Changes(NamedTuple):
    """What an update did."""

    indexed: int
    """names and texts that were new or had changed"""
    left_out: int
    """those of images that are gone"""


class FullText:
    """An open full-text index; raises LibraryDamaged where the file is not what was written."""

    def __init__(self, path: Path, *, write: bool = False, create: bool = False) -> None:
        self.path = path
        # As for the catalogue: where this user cannot write, nobody is assumed to.
        mode = "mode=ro" if os.access(path.parent, os.W_OK) else "immutable=1"
        self._connection = Connection.open(path, str(path) if write else f"{path.as_uri()}?{mode}", uri=not write)
        try:
            for pragma, value in _PRAGMAS.items():
                self._connection.execute(f"PRAGMA {pragma} = {value}")
            if not write:
                self._connection.execute(f"PRAGMA busy_timeout = {_SEARCH_PATIENCE_MS}")
            if create:
                for table in _TABLES:
                    self._run(table)
                self._run("set_setting", key="format", value=_FORMAT)
            self._check_format()
        except UnicodeDecodeError as error:
            self._connection.close()
            raise errors.LibraryDamaged(path=self.path, detail=str(error)) from error
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

    # --- what stands where ------------------------------------------------------------------------

    def count(self, column: Column) -> int:
        """Count the names or the texts that are indexed."""
        return int(next(self._rows(f"count_{column}"))[0])

    def having(self, column: Column, word: Word, limit: int = -1) -> list[int]:
        """Return where a word stands, at most `limit`, in no order."""
        return [place for (place,) in self._rows(f"find_{column}", words=word.expression, limit=limit)]

    def having_all(self, column: Column, words: Iterable[Word]) -> dict[int, float]:
        """Return where all words stand -> relevance (BM25, a higher one is better)."""
        return dict(self._rows(f"rank_{column}", words=" AND ".join(word.expression for word in words)))

    def check(self) -> None:
        """Raise LibraryDamaged when the index does not hold together."""
        self._run("check_names")
        self._run("check_texts")

    # --- bringing it up to date -------------------------------------------------------------------

    def update(self, catalogue: Catalogue, progress: Progress = no_progress) -> Changes:
        """Index what is new or has changed, and leave out what is gone."""
        self._run("attach", path=os.fsencode(catalogue.path))
        try:
            names = self._update(Column.NAMES, self._drop_name, self._add_name, progress)
            said = self._update(Column.TEXTS, self._drop_text, self._add_text, progress)
        except _DAMAGE as error:
            # Not to be used again: a statement that was interrupted keeps the catalogue from being detached.
            raise errors.LibraryDamaged(path=self.path, detail=str(error)) from error
        self._run("detach")
        return Changes(names.indexed + said.indexed, names.left_out + said.left_out)

    def _update(
        self, column: Column, drop: Callable[..., None], add: Callable[..., None], progress: Progress
    ) -> Changes:
        gone = list(self._rows(f"{column}_to_leave_out"))
        for start in range(0, len(gone), _BATCH):
            with self._transaction():
                for row in gone[start : start + _BATCH]:
                    drop(*row)
        indexed, last = 0, -1
        # Copies have one text, so it may come more than once.
        while found := {row[0]: row for row in self._rows(f"{column}_to_index", after=last, limit=_BATCH)}:
            with self._transaction():
                for row in found.values():
                    add(*row)
            last = max(found)
            progress(indexed := indexed + len(found), None)
        return Changes(indexed, len(gone))

    def _add_name(self, image_id: int, path: str, camera: str, fields: str, old_path: str | None, *old: str) -> None:
        if old_path is not None:
            self._drop_name(image_id, old_path, *old)
        self._run("index_name", id=image_id, **_words(path, camera, fields))
        self._run("remember_named", id=image_id, path=path, camera=camera, fields=fields)

    def _drop_name(self, image_id: int, path: str, camera: str, fields: str) -> None:
        self._run("leave_out_name", id=image_id, **_words(path, camera, fields))
        self._run("forget_named", id=image_id)

    def _add_text(self, row: int, content: bytes, lines: str) -> None:
        self._drop_text(row)
        said = (line.text for line in texts.from_json(lines) if line.confidence >= _MIN_CONFIDENCE)
        self._run("index_text", id=row, words=" ".join(token for line in said for token in tokens.indexed(line)))
        self._run("remember_texted", id=row, hash=content)

    def _drop_text(self, row: int) -> None:
        self._run("leave_out_text", id=row)
        self._run("forget_texted", id=row)

    # --- statements -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _check_format(self) -> None:
        if next(iter(self._connection.execute(sql.queries("library.sql")["programs"])), None) is not None:
            raise errors.LibraryDamaged(path=self.path, detail="it holds a program that is not ours")
        found = next(self._rows("get_setting", key="format"), (None,))[0]
        if found != _FORMAT:
            raise errors.LibraryDamaged(path=self.path, detail=f"its format is {found!r}, not {_FORMAT}")
        for column in Column:
            # Opens all that FTS5 has of the table.
            self.having(column, Word(("x",), prefix=False), 1)

    def _rows(self, name: str, **parameters: Any) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(sql.queries(_FILE)[name], parameters)
        except (sqlite3.OperationalError, UnicodeDecodeError) as error:
            # FTS5 reports a part of a table that is missing as an error of the statement.
            raise errors.LibraryDamaged(path=self.path, detail=str(error)) from error

    def _run(self, name: str, **parameters: Any) -> None:
        for _ in self._rows(name, **parameters):
            pass


def path(data: Path) -> Path:
    """Return the path of the full-text index in a data folder."""
    return data / "fulltext.db"


def update(library: Library, progress: Progress = no_progress, *, thorough: bool = False) -> Changes:
    """
    Bring the full-text index of a library up to date, in the lock of the caller; one that cannot be used is made again.

    `thorough` reads all of it to see that. Raises DiskFull, NotWritable and DiskFailed.
    """
    file = path(library.data)
    if file.exists():
        try:
            with FullText(file, write=True) as index:
                if thorough:
                    index.check()
                return index.update(library.catalogue, progress)
        except errors.LibraryDamaged:
            pass
    # With what an update that was killed has left of it: SQLite would apply that to the new file.
    generations.delete_database(file)
    # Not seen before it is whole: a search never waits for it.
    with disk.publishing(file) as temporary, FullText(temporary, write=True, create=True) as index:
        try:
            return index.update(library.catalogue, progress)
        except errors.LibraryDamaged as error:
            # Of the two it is the one that was there before.
            raise errors.LibraryDamaged(path=library.catalogue.path, detail=error.fields["detail"]) from error


def check(file: Path) -> None:
    """Raise LibraryDamaged when the index in a file does not hold together; where this user cannot write, only when it cannot be opened."""
    # SQLite has the check as something to insert, although it writes nothing.
    write = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    with FullText(file, write=write) as index:
        if write:
            index.check()


@contextlib.contextmanager
def searching(library: Library) -> Iterator[FullText]:
    """Open the full-text index for a search; raises WordsNotIndexed, also out of the block, where there is none that can be used."""
    file = path(library.data)
    if not file.exists():
        raise errors.WordsNotIndexed(path=file, detail="it is missing")
    try:
        with FullText(file) as index:
            yield index
    except _UNUSABLE as error:
        raise errors.WordsNotIndexed(path=file, detail=str(error.fields.get("detail", error))) from error


def _words(location: str, camera: str, fields: str) -> dict[str, str]:
    """Return the columns of a name: of a file, of the folders and archives around it, of the camera, and of what lists say."""
    folders, _, file = location.replace(archives.MARK, "/").rpartition("/")
    stem, dot, ending = file.rpartition(".")
    columns: Sequence[tuple[str, str]] = (
        ("file", stem if dot else ending),
        ("folders", folders),
        ("camera", camera),
        ("fields", fields),
    )
    return {name: " ".join(tokens.indexed(text)) for name, text in columns}
