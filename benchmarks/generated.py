"""
Libraries of any size without pictures: rows in SQLite, embeddings with the geometry of real ones, entries that name them, an index.

For what does not depend on what the pictures show: starts, searches, scans, writing. With `files` there is a file for each row, of its
size and time and with nothing in it, so that a walk finds what the catalogue says.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmarks.geometry import geometry

from pixfind.library.library import Library
from pixfind.models import hub
from pixfind.search import build
from pixfind.storage.embedding_files import INDEX_ROW
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.options import EmbedOptions

_FOLDER_FILES = 1_000
_BLOCK = 20_000

Row = tuple[int, str, int, int, bytes]
"""number, path, size, mtime_ns, hash"""


def make_library(
    path: Path,
    model: str,
    count: int,
    *,
    pictures: Path = Path("/pictures"),
    files: bool = False,
    index: bool = True,
    part: int = 0,
) -> None:
    """Make a library at `path` of `count` embedded images that lie in `pictures`, with a `model` that is on this machine; each `part` has other images."""
    found = hub.resolve(model)
    made = geometry(found.dimension)
    with Library.create(path) as library, library.lock("benchmark"):
        choose_model(library, EmbedOptions(model=model, precision="fp32"), found)
        with contextlib.closing(sqlite3.connect(library.catalogue.path)) as database, database:
            device = pictures.stat().st_dev if files else 0
            database.execute(
                "INSERT INTO roots (id, path, device, added_at) VALUES (1, ?, ?, 0)", (str(pictures), device)
            )
            with library.merged(write=True) as merged:
                for block, rows in zip(
                    made.blocks(count, part), _blocks(pictures, count, part, files=files), strict=True
                ):
                    _insert(database, rows)
                    merged.append(_entries(rows), block)
        with library.catalogue.transaction():
            library.catalogue.set_setting("next_embedding_index", str(count))
            library.catalogue.contents.index()
        if index:
            build.build_index(library)


def _blocks(pictures: Path, count: int, part: int, *, files: bool) -> Iterator[list[Row]]:
    random = np.random.default_rng(part)
    for first in range(0, count, _BLOCK):
        numbers = range(first, min(first + _BLOCK, count))
        hashes, sizes = random.bytes(16 * len(numbers)), random.integers(50_000, 8_000_000, len(numbers)).tolist()
        rows = []
        for place, number in enumerate(numbers):
            folder = pictures / f"{number // _FOLDER_FILES:05}"
            path = f"{folder}/image_{number:08}.jpg"
            if files:
                if number % _FOLDER_FILES == 0:
                    folder.mkdir(parents=True)
                mtime_ns = _make_file(path, sizes[place])
            else:
                mtime_ns = 1_600_000_000_000_000_000 + 1_000_000_000 * number
            rows.append((number, path, sizes[place], mtime_ns, hashes[16 * place : 16 * place + 16]))
        yield rows


def _make_file(path: str, size: int) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        # Of its size, and without a block on the disk.
        os.ftruncate(descriptor, size)
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def _insert(database: sqlite3.Connection, rows: list[Row]) -> None:
    database.executemany(
        "INSERT INTO images (id, root_id, path, size, mtime_ns, hash, outcome, embedding_index, width, height, taken_at)"
        " VALUES (?, 1, ?, ?, ?, ?, 'embedded', ?, 4000, 3000, ?)",
        (
            (number + 1, path, size, mtime_ns, content, number, mtime_ns // 1_000_000_000)
            for number, path, size, mtime_ns, content in rows
        ),
    )


def _entries(rows: list[Row]) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    table = np.zeros(len(rows), INDEX_ROW)
    table["image_id"] = [row[0] + 1 for row in rows]
    table["fingerprint"]["size"] = [row[2] for row in rows]
    table["fingerprint"]["mtime_ns"] = [row[3] for row in rows]
    table["fingerprint"]["hash"] = np.frombuffer(b"".join(row[4] for row in rows), "V16")
    return table
