"""
The rows of a list: CSV, TSV, JSON lines, text with one address a line, Parquet.

Owns the formats and what may be wrong with them. A list is read row by row, in constant memory. Must not know what an address is.
The formats: RFC 4180 (CSV), https://jsonlines.org, https://parquet.apache.org (through pyarrow, the extra `parquet`).
"""

import codecs
import csv
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TextIO

from pixfind import errors, machine

SUFFIXES: Final = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".txt"})
"""of files that are lists where they are named as a root; lower case, with the dot"""

MAX_LINE: Final = 16 << 20
"""characters: a longer line, or a longer value of a CSV file, is no row of a list"""

MAX_VALUE: Final = 10_000
"""characters that are kept of the value of a field"""

_PARQUET: Final = frozenset({".parquet", ".pq"})
_TEXT: Final = ".txt"
_JSON: Final = frozenset({".jsonl", ".ndjson"})
_TAB: Final = ".tsv"
_DELIMITERS: Final = ",;\t"

_BATCH_ROWS: Final = 10_000
_HEAD_BYTES: Final = 1 << 16
_SAMPLE_ROWS: Final = 1_000
"""objects of a JSON lines file that tell which keys there are"""

Value = str | int | float
"""of a field"""


class Row(NamedTuple):
    """One entry of a list."""

    number: int
    """of the row, or the line, from 1; in CSV the header is row 1"""
    address: str | None
    """None: the row has none"""
    fields: dict[str, Value]
    """the columns to keep that have a value in this row"""


def rows(path: str, column: str | None, keep: Sequence[str]) -> Iterator[Row]:
    """
    Yield the rows of a list, in its order. `column` has the addresses; None: the only one. `keep` names further columns.

    Raises ListUnreadable, at once or behind the last row that could be read, and also where the list changed meanwhile; ColumnMissing,
    ColumnRepeated, ExtraNotInstalled.
    """
    read = _reader(path)
    try:
        before = os.stat(path)
        yield from read(path, column, keep)
        after = os.stat(path)
    except OSError as error:
        raise errors.ListUnreadable(path=path, detail=error.strerror or str(error)) from error
    except (UnicodeError, csv.Error) as error:
        raise errors.ListUnreadable(path=path, detail=str(error)) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise errors.ListUnreadable(path=path, detail="it changed while it was read")


def _reader(path: str) -> Any:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _PARQUET:
        return _parquet_rows
    if suffix in _JSON:
        return _json_rows
    return _text_rows if suffix == _TEXT else _csv_rows


def _place(path: str, columns: Sequence[str], column: str) -> int:
    """Return where a column is; raises ColumnMissing, and ColumnRepeated where nobody can say which one is meant."""
    if columns.count(column) > 1:
        raise errors.ColumnRepeated(path=path, column=column)
    try:
        return columns.index(column)
    except ValueError:
        raise errors.ColumnMissing(path=path, column=column, columns=", ".join(columns[:20]) or "none") from None


def _chosen(path: str, columns: Sequence[str], column: str | None) -> str:
    """Return the column that has the addresses; raises ColumnMissing."""
    if column is None and len(columns) == 1:
        return columns[0]
    if column is None:
        raise errors.ColumnNotNamed(path=path, columns=", ".join(columns[:20]) or "none")
    return column


# --- text -----------------------------------------------------------------------------------------


def _open_text(path: str) -> TextIO:
    """Open a text in UTF-8 or UTF-16, with or without a byte order mark; bytes that are not UTF-8 come as os.fsdecode gives them."""
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and b"\0" in head:
        raise errors.ListUnreadable(path=path, detail="it is not text, whatever its name says")
    encoding, problems = ("utf-16", "strict") if wide else ("utf-8-sig", "surrogateescape")
    return open(path, encoding=encoding, errors=problems, newline="")


def _lines(path: str, file: TextIO) -> Iterator[str]:
    """Yield the lines with their ends; raises ListUnreadable at one that is too long to be held."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise errors.ListUnreadable(path=path, detail=f"line {number:,} has more than {MAX_LINE:,} characters")
        yield line


def _text_rows(path: str, column: str | None, keep: Sequence[str]) -> Iterator[Row]:
    for name in (column, *keep):
        if name is not None:
            _place(path, (), name)
    with _open_text(path) as file:
        for number, line in enumerate(_lines(path, file), 1):
            if address := line.strip():
                yield Row(number, address, {})


def _csv_rows(path: str, column: str | None, keep: Sequence[str]) -> Iterator[Row]:
    with _open_text(path) as file:
        lines = _lines(path, file)
        header = next(lines, "")
        delimiter = "\t" if path.lower().endswith(_TAB) else max(_DELIMITERS, key=header.count)
        csv.field_size_limit(MAX_LINE)
        table = csv.reader(itertools.chain([header], lines), delimiter=delimiter, strict=True)
        columns = [name.strip() for name in next(table, [])]
        place = _place(path, columns, _chosen(path, columns, column))
        kept = [(name, _place(path, columns, name)) for name in keep]
        for number, values in enumerate(table, 2):
            if values:
                address = values[place].strip() if place < len(values) else ""
                fields = {name: values[at] for name, at in kept if at < len(values)}
                yield Row(number, address or None, _present(fields))


def _json_rows(path: str, column: str | None, keep: Sequence[str]) -> Iterator[Row]:
    columns = _keys(path)
    column = _chosen(path, columns, column)
    for name in (column, *keep):
        _place(path, columns, name)
    with _open_text(path) as file:
        for number, line in enumerate(_lines(path, file), 1):
            if not line.strip():
                continue
            found = _object(path, number, line)
            address = found.get(column)
            fields = {name: found[name] for name in keep if name in found}
            yield Row(number, address.strip() or None if isinstance(address, str) else None, _present(fields))


def _keys(path: str) -> list[str]:
    """Return the keys of the first objects of a JSON lines file, up to what cannot be read; one that an object has twice comes twice."""
    keys: Counter[str] = Counter()
    with _open_text(path) as file:
        for number, line in enumerate(itertools.islice(_lines(path, file), _SAMPLE_ROWS), 1):
            try:
                keys |= Counter(_names(path, number, line) if line.strip() else ())
            except errors.ListUnreadable:
                if not keys:
                    raise
                break
    return list(keys.elements())


def _names(path: str, number: int, line: str) -> list[str]:
    """Return the keys of the object of a line as they are written; raises as `_object` does."""
    found: list[list[tuple[str, Any]]] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(pairs)
        return dict(pairs)

    # The outermost object ends last.
    return [name for name, _ in found[-1]] if _object(path, number, line, note) else []


def _object(
    path: str, number: int, line: str, note: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the object of a line, an empty one for another value; raises ListUnreadable for what is no JSON: the list may be cut there."""
    try:
        found = json.loads(line, object_pairs_hook=note)
    except (ValueError, RecursionError) as error:
        raise errors.ListUnreadable(path=path, detail=f"line {number:,} is no JSON") from error
    return found if isinstance(found, dict) else {}


# --- Parquet --------------------------------------------------------------------------------------


def _parquet_rows(path: str, column: str | None, keep: Sequence[str]) -> Iterator[Row]:
    pa = machine.optional_package("pyarrow", "parquet", "a list in a Parquet file")
    parquet = machine.optional_package("pyarrow.parquet", "parquet", "a list in a Parquet file")
    try:
        with parquet.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            column = _chosen(path, columns, column)
            for name in (column, *keep):
                _place(path, columns, name)
            number = 0
            wanted = list(dict.fromkeys((column, *keep)))
            for batch in file.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
                values = {name: batch.column(at).to_pylist() for at, name in enumerate(batch.schema.names)}
                for at, address in enumerate(values[column]):
                    number += 1
                    text = _portable(address)
                    fields = {name: values[name][at] for name in keep}
                    yield Row(number, text.strip() or None if isinstance(text, str) else None, _present(fields))
    except pa.ArrowException as error:
        raise errors.ListUnreadable(path=path, detail=str(error).partition("\n")[0]) from error


# --- values ---------------------------------------------------------------------------------------


def _present(fields: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values that are not empty, as a field keeps them."""
    portable = ((name, _portable(value)) for name, value in fields.items())
    return {name: value for name, value in portable if value is not None and value != ""}


def _portable(value: Any) -> Value | None:
    """Return a value as text or a number; None for none. JSON and Parquet have lists, times and bytes as well."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    elif isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return str(value)[:MAX_VALUE]
