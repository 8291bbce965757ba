"""
The images of a library as a file for other programs: Parquet, CSV or JSON lines.

Owns the formats; the columns are those of `export`, fields of lists included. Written row by row, in constant memory. Paths that are not UTF-8 are written as in the
catalogue (docs/reference/format.md). A Parquet file names the model of its embeddings, which `import_embeddings` reads.
"""

import csv
import dataclasses
import datetime as dt
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pixfind import errors, machine
from pixfind.library import path_text, protected_files
from pixfind.library.library import Library
from pixfind.storage.output import Output
from pixfind.workflows.export import COLUMNS, ImageRecord, field_columns, images

MODEL_KEY = "pixfind.model"
"""Key in the metadata of a Parquet file; the value is JSON: the fields of a ModelIdentity."""

_BATCH_ROWS = 10_000
"""rows that are held in memory at a time"""


class Format(StrEnum):
    """What kind of file."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    """one JSON object a line"""

    @classmethod
    def of(cls, path: Path) -> "Format":
        """Return the format that a file's name asks for; raises UnknownFormat."""
        suffix = path.suffix.lower().removeprefix(".")
        try:
            return cls({"pq": "parquet", "ndjson": "jsonl"}.get(suffix, suffix))
        except ValueError:
            raise errors.UnknownFormat(path=path) from None


def export_file(library: Library, output: Output, kind: Format, *, embeddings: bool = False) -> int:
    """
    Write the images that have an embedding, and return how many; a regular file appears when it is complete.

    Raises NotEmbedded, EmbeddingsNotWritable for CSV, ExtraNotInstalled without pyarrow, OutputNotWritable, DiskFull.
    """
    _refuse(library, output, kind, embeddings=embeddings)
    write = {Format.PARQUET: _parquet, Format.CSV: _csv, Format.JSONL: _json_lines}[kind]
    records = images(library)
    # Before the file is begun: a library without embeddings is refused here.
    first = list(itertools.islice(records, 1))
    with output.open() as file:
        return write(library, itertools.chain(first, records), file, embeddings)


def count(library: Library, output: Output, kind: Format, *, embeddings: bool = False) -> int:
    """Return how many images `export_file` would write; raises as it does, before it writes."""
    _refuse(library, output, kind, embeddings=embeddings)
    return sum(1 for _ in images(library))


def _refuse(library: Library, output: Output, kind: Format, *, embeddings: bool) -> None:
    protected_files.refuse_roots(library, output)
    if kind is Format.CSV and embeddings:
        raise errors.EmbeddingsNotWritable(path=output.path)
    if kind is Format.PARQUET:
        machine.optional_package("pyarrow", "parquet", "a Parquet file")


def _parquet(library: Library, records: Iterable[ImageRecord], file: BinaryIO, embeddings: bool) -> int:
    pa = machine.optional_package("pyarrow", "parquet", "a Parquet file")
    parquet = machine.optional_package("pyarrow.parquet", "parquet", "a Parquet file")
    said = field_columns(library)
    schema = _schema(pa, library, said, library.dimension if embeddings else 0)
    written = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(records):
            columns = {name: [_portable(getattr(record, name)) for record in batch] for name in COLUMNS}
            columns |= {column: [record.fields.get(name) for record in batch] for column, name in said.items()}
            if embeddings:
                flat = np.concatenate([record.embedding for record in batch])
                columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), library.dimension)
            writer.write_table(pa.table(columns, schema=schema))
            written += len(batch)
    return written


def _csv(library: Library, records: Iterable[ImageRecord], file: BinaryIO, _embeddings: bool) -> int:
    written = 0
    said = field_columns(library)
    _write_csv(file, [[*COLUMNS, *said]])
    for batch in _batches(records):
        _write_csv(
            file,
            (
                [*(_text(getattr(record, name)) for name in COLUMNS), *map(record.fields.get, said.values())]
                for record in batch
            ),
        )
        written += len(batch)
    return written


def _write_csv(file: BinaryIO, rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    file.write(text.getvalue().encode())


def _json_lines(library: Library, records: Iterable[ImageRecord], file: BinaryIO, embeddings: bool) -> int:
    written = 0
    said = field_columns(library)
    for batch in _batches(records):
        lines = []
        for record in batch:
            values = {name: _json_value(getattr(record, name)) for name in COLUMNS}
            values |= {column: record.fields.get(name) for column, name in said.items()}
            if embeddings:
                # Exact: each is a float16.
                values["embedding"] = record.embedding.tolist()
            lines.append(json.dumps(values, ensure_ascii=False) + "\n")
        file.write("".join(lines).encode())
        written += len(batch)
    return written


def _batches(records: Iterable[ImageRecord]) -> Iterator[list[ImageRecord]]:
    left = iter(records)
    while batch := list(itertools.islice(left, _BATCH_ROWS)):
        yield batch


def _schema(pa: Any, library: Library, said: Iterable[str], dimension: int) -> Any:
    kinds = {
        "image_id": pa.int64(),
        "path": pa.string(),
        "duplicate": pa.bool_(),
        "size": pa.int64(),
        "modified": pa.timestamp("us", tz="UTC"),
        "width": pa.int32(),
        "height": pa.int32(),
        "taken": pa.timestamp("s"),
        "camera": pa.string(),
        "latitude": pa.float64(),
        "longitude": pa.float64(),
        "added": pa.timestamp("us", tz="UTC"),
        "labels": pa.list_(pa.string()),
        **dict.fromkeys(said, pa.string()),
    }
    if dimension:
        kinds["embedding"] = pa.list_(pa.float16(), dimension)
    model = library.model()
    assert model is not None, "images that have an embedding have a model"
    return pa.schema(list(kinds.items()), metadata={MODEL_KEY: json.dumps(dataclasses.asdict(model))})


def _portable(value: Any) -> Any:
    return path_text.to_text(value) if isinstance(value, str) else value


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else _portable(value)


def _text(value: Any) -> Any:
    if isinstance(value, tuple):
        return "; ".join(value)
    return str(value).lower() if isinstance(value, bool) else _json_value(value)
