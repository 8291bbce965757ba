"""
Checks that a library is consistent: the counts, every checksum, the references between images and rows in both directions, the index.

Owns what counts as a fault. `verify` only reads, and is the oracle of every test that touches state; `repair` acts on what it finds.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index import header
from pixfind.library import albums, backup_marker, damaged_text, fulltext, generations
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.storage import embedding_files, npy, npy_header, worker_files
from pixfind.types import Outcome, Progress, no_progress, numbered

_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    """what kind, for programs"""
    where: str
    what: str
    repair: str
    """what `--repair` does about it"""


def verify(library: Library, progress: Progress = no_progress) -> list[Finding]:
    """Return everything that does not fit; an empty list is the proof."""
    findings = list(_database(library))
    if findings:
        return findings
    findings += _ledger(library)
    if library.model() is not None:
        findings += _arrays(library)
        if findings:
            return findings
        findings += _lengths(library)
        findings += _merged_rows(library, progress)
        findings += _worker_rows(library)
        findings += _index(library)
        findings += _full_text(library)
    findings += _albums(library)
    return findings


def check_database(catalogue: Catalogue) -> str:
    """Return "ok", or the first fault of the file: what SQLite finds, or text that is none; raises LibraryDamaged when it cannot be read at all."""
    answer = str(catalogue.value("integrity_check", "verify.sql"))
    return (damaged_text.find(catalogue.path) or answer) if answer == "ok" else answer


def intact_rows(library: Library) -> int:
    """Return how many merged rows are there in both files."""
    if not (library.embeddings_path.exists() and library.indices_path.exists()):
        return 0
    with library.merged() as merged:
        return min(merged.count, merged.embeddings.rows_present(), merged.indices.rows_present())


def _database(library: Library) -> Iterator[Finding]:
    answer = check_database(library.catalogue)
    if answer != "ok":
        how = "repaired, or rebuilt from indices.npy: pixfind verify --repair"
        yield Finding("database", str(library.catalogue.path), answer, how)


def _ledger(library: Library) -> Iterator[Finding]:
    counts = library.catalogue.ledger()
    parts = sum(counts[name] for name in ("embedded", "duplicate", "failed", "skipped", "pending"))
    seen = library.catalogue.value("count_images") - counts["gone"]
    if not seen == counts["seen"] == parts:
        what = f"{numbered(seen, 'image')}, {counts['seen']} seen, {parts} in outcomes"
        yield Finding("ledger", str(library.catalogue.path), what, "none: this is a bug in pixfind. Report it")
    if missing := library.catalogue.contents.missing():
        what = f"{missing} embedded images are not found by their content"
        yield Finding("contents", str(library.catalogue.path), what, "the table is filled again from the images")
    for (image_id,) in library.catalogue.rows("failed_without_reason", "verify.sql"):
        yield Finding("no-reason", f"image {image_id}", "failed without a reason", "none: this is a bug in pixfind")


def _arrays(library: Library) -> Iterator[Finding]:
    """Every array has our layout and this library's dimension."""
    pairs = [(library.embeddings_path, library.indices_path)]
    pairs += [worker_files.paths(library.data, worker) for worker in worker_files.workers(library.data)]
    for embeddings, indices in pairs:
        layouts = (
            (embeddings, embedding_files.EMBEDDING, (library.dimension,)),
            (indices, embedding_files.INDEX_ROW, ()),
        )
        for path, dtype, row_shape in layouts:
            try:
                if path.exists():
                    npy.GrowingArray(path, dtype, row_shape).close()
            except errors.LibraryDamaged as error:
                yield Finding("no-array", str(path), error.fields["detail"], "renamed; its images become pending")


def _lengths(library: Library) -> Iterator[Finding]:
    rows = {path: npy_header.shape(path)[0] for path in (library.embeddings_path, library.indices_path)}
    if len({min(count, _end(library)) for count in rows.values()}) > 1:
        described = ", ".join(f"{path.name} {count}" for path, count in rows.items())
        yield Finding("unequal-lengths", str(library.data), f"rows promised: {described}", "the shorter count is kept")
    for path in rows:
        if path.exists():
            dtype, shape = (
                (embedding_files.EMBEDDING, (library.dimension,))
                if path == library.embeddings_path
                else (embedding_files.INDEX_ROW, ())
            )
            with npy.GrowingArray(path, dtype, shape) as array:
                if array.rows_present() < array.count:
                    what = f"the header promises {numbered(array.count, 'row')}, and has {array.rows_present()}"
                    yield Finding("too-few-rows", str(path), what, "images of the missing rows become pending")


def _end(library: Library) -> int:
    """Return where the rows of a backup end that is being made, or whose making was killed: the next one names those behind. Those of any other library end nowhere."""
    if not backup_marker.is_unfinished(library.path):
        return sys.maxsize
    return int(library.catalogue.setting("next_embedding_index") or 0)


def _merged_rows(library: Library, progress: Progress) -> Iterator[Finding]:
    total = min(intact_rows(library), _end(library))
    named = np.zeros(total, np.bool_)
    if total:
        with library.merged() as merged:
            for start in range(0, total, _ROWS):
                stop = min(start + _ROWS, total)
                table, embeddings = merged.read(start, stop)
                yield from check_rows(library, start, table, embeddings, named)
                progress(stop, total)
    runs = library.catalogue.adopted_runs()
    first_adopted = min((run.embedding_index for run in runs), default=None)
    end = max([total, *(run.end for run in runs)])
    if first_adopted is not None and first_adopted > total:
        what = f"rows {total} to {first_adopted} were adopted and are missing"
        yield Finding("gap", str(library.embeddings_path), what, "their images become pending")
    beyond = library.catalogue.value("images_beyond", "verify.sql", rows=end)
    if beyond:
        what = f"{numbered(beyond, 'image')} with an embedding_index of {end} or more: there is no such row"
        yield Finding("gap", str(library.embeddings_path), what, "these images become pending")


def check_rows(
    library: Library, start: int, table: NDArray[Any], embeddings: NDArray[np.float16], named: NDArray[np.bool_]
) -> Iterator[Finding]:
    """
    Yield what does not fit between images and the merged rows from `start` on: INDEX_ROW `table` [n], `embeddings` [n, d].

    Notes in `named` [N] the rows that an image points to.
    """
    path = library.embeddings_path
    owners: dict[int, set[int]] = {}
    for image_id, row, outcome, *_, content in library.catalogue.rows(
        "embedded_rows", start=start, stop=start + len(table)
    ):
        named[row] = True
        embedded = table[row - start]["fingerprint"]["hash"].tobytes()
        if embedded != content:
            what = f"image {image_id} points to it, but the row was made from other bytes"
            yield Finding("row-image", f"{path} row {row}", what, "the image becomes pending")
        if outcome == Outcome.EMBEDDED:
            owners.setdefault(row, set()).add(image_id)
    # Damage in an orphaned row does no harm: no image points to it.
    holds = embedding_files.crc_holds(table, embeddings)
    for place in np.flatnonzero(~holds & named[start : start + len(table)]):
        what = f"its checksum does not match (image {table[place]['image_id']})"
        yield Finding("row-crc", f"{path} row {start + place}", what, "its image becomes pending")
    for row, images in owners.items():
        if len(images) > 1:
            what = f"images {sorted(images)} are all recorded as embedded in it"
            yield Finding("row-image", f"{path} row {row}", what, "the images become pending")
    yield from _unclaimed_rows(library, start, table, holds & ~named[start : start + len(table)])


def _unclaimed_rows(library: Library, start: int, table: NDArray[Any], unnamed: NDArray[np.bool_]) -> Iterator[Finding]:
    """Orphaned rows, to which no image points, are no fault unless the database does not know their image."""
    waiting = 0
    for place in np.flatnonzero(unnamed):
        image = embedding_files.row_of(table[place])
        size, mtime_ns = image.fingerprint.size, image.fingerprint.mtime_ns
        wanted = library.catalogue.value(
            "is_wanted", "verify.sql", image_id=image.image_id, size=size, mtime_ns=mtime_ns
        )
        waiting += wanted is None or bool(wanted)
    if waiting:
        what = f"{waiting} of rows {start} to {start + len(table)} are intact, but no image points to them"
        yield Finding("rows-without-image", str(library.catalogue.path), what, "the images get these rows back")


def _worker_rows(library: Library) -> Iterator[Finding]:
    merged = library.merged_rows
    for first_index, worker, first_row, rows in library.catalogue.adopted_runs():
        skip = max(0, merged - first_index)
        if skip >= rows:
            continue  # A merge was interrupted after it had moved them; the next one forgets this run.
        path = worker_files.paths(library.data, worker)[0]
        try:
            with library.worker_pair(worker) as pair:
                table, embeddings = pair.read(first_row + skip, first_row + rows)
        except errors.LibraryDamaged as error:
            yield Finding("adopted-missing", f"{path} row {first_row + skip}", str(error), "the images become pending")
            continue
        for place in np.flatnonzero(~embedding_files.crc_holds(table, embeddings)):
            what = f"its checksum does not match (image {table[place]['image_id']})"
            yield Finding("adopted-crc", f"{path} row {first_row + skip + place}", what, "its image becomes pending")


def _index(library: Library) -> Iterator[Finding]:
    """The index against the embeddings; a library without one is consistent."""
    if not library.index_path.exists():
        return
    try:
        problem = header.check(library.index_path, library.embeddings())
    except errors.LibraryDamaged:
        return  # Already reported with the embeddings.
    if problem is not None:
        yield Finding("index", str(library.index_path), problem, "deleted; `pixfind build-index` builds it again")


def _full_text(library: Library) -> Iterator[Finding]:
    """The full-text index; a library without one is consistent."""
    path = fulltext.path(library.data)
    if path.exists():
        try:
            fulltext.check(path)
        except errors.LibraryDamaged as error:
            yield Finding("fulltext", str(path), str(error), "deleted; `pixfind build-index` makes it again")


def _albums(library: Library) -> Iterator[Finding]:
    """The albums, which belong to all generations: those of the active one stand for them."""
    if library.generation == generations.read(library.path).active:
        try:
            albums.read(library.path)
        except errors.InvalidAlbums as error:
            path, detail = error.fields["path"], error.fields["detail"]
            yield Finding("albums", str(path), f"it cannot be read: {detail}", "none: take the file from a backup")
