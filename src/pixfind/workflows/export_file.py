"""
The images of a library as a file for other programs: Parquet, CSV or JSON lines.

Owns the formats; the columns are those of `export`. Written row by row, in constant memory. Paths that are not UTF-8 are written as in the
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

from pixfind import errors
from pixfind.library import path_text
from pixfind.library.library import Library
from pixfind.storage.output import Output
from pixfind.workflows.export import COLUMNS, ImageRecord, images, optional_package

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
    if kind is Format.CSV and embeddings:
        raise errors.EmbeddingsNotWritable(path=output.path)
    if kind is Format.PARQUET:
        optional_package("pyarrow", "parquet", "a Parquet file")
    write = {Format.PARQUET: _parquet, Format.CSV: _csv, Format.JSONL: _json_lines}[kind]
    records = images(library)
    # Before the file is begun: a library without embeddings is refused here.
    first = list(itertools.islice(records, 1))
    with output.open() as file:
        return write(library, itertools.chain(first, records), file, embeddings)


def _parquet(library: Library, records: Iterable[ImageRecord], file: BinaryIO, embeddings: bool) -> int:
    pa = optional_package("pyarrow", "parquet", "a Parquet file")
    parquet = optional_package("pyarrow.parquet", "parquet", "a Parquet file")
    schema = _schema(pa, library, library.dimension if embeddings else 0)
    written = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(records):
            columns = {name: [_portable(getattr(record, name)) for record in batch] for name in COLUMNS}
            if embeddings:
                flat = np.concatenate([record.embedding for record in batch])
                columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), library.dimension)
            writer.write_table(pa.table(columns, schema=schema))
            written += len(batch)
    return written


def _csv(_library: Library, records: Iterable[ImageRecord], file: BinaryIO, _embeddings: bool) -> int:
    written = 0
    _write_csv(file, [COLUMNS])
    for batch in _batches(records):
        _write_csv(file, ([_text(getattr(record, name)) for name in COLUMNS] for record in batch))
        written += len(batch)
    return written


def _write_csv(file: BinaryIO, rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    file.write(text.getvalue().encode())


def _json_lines(_library: Library, records: Iterable[ImageRecord], file: BinaryIO, embeddings: bool) -> int:
    written = 0
    for batch in _batches(records):
        lines = []
        for record in batch:
            values = {name: _json_value(getattr(record, name)) for name in COLUMNS}
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


def _schema(pa: Any, library: Library, dimension: int) -> Any:
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
    return str(value).lower() if isinstance(value, bool) else _json_value(value)
