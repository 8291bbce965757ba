"""
Proof that a library is whole: the ledger, every checksum, every row both ways, the index.

`verify` only looks, and is the oracle of every test that touches state. `repair` mends what can be derived, and sets to pending what
cannot: an embedding that is lost is made again, a picture is never touched.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.index import header
from pixfind.library import catalogue, generations
from pixfind.library.library import Library
from pixfind.storage import disk, worker_files
from pixfind.types import Outcome, Progress, no_progress

_ROWS = 16_384

#: Mending one thing may bring another to light: an image that becomes pending may find its row again.
_PASSES = 3


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
    return findings


def repair(library: Library, findings: list[Finding]) -> list[Finding]:
    """Mend what `verify` found, inside `library.lock("verify")`; return what is still found afterwards."""
    for _ in range(_PASSES):
        _mend(library, findings)
        findings = verify(library)
        if not findings:
            break
    return findings


# --- looking --------------------------------------------------------------------------------------


def _database(library: Library) -> Iterator[Finding]:
    answer = next(_database_answers(library.catalogue))
    if answer != "ok":
        yield Finding(
            "database", str(library.catalogue.path), answer, "rebuilt from indices.npy: pixfind verify --repair"
        )


def _database_answers(found: catalogue.Catalogue) -> Iterator[str]:
    yield found.connection.execute("PRAGMA quick_check(1)").fetchone()[0]


def _ledger(library: Library) -> Iterator[Finding]:
    counts = library.catalogue.ledger()
    parts = sum(counts[name] for name in ("embedded", "duplicate", "failed", "skipped", "pending"))
    seen = library.catalogue.value("count_images") - counts["gone"]
    if not seen == counts["seen"] == parts:
        what = f"{seen} images, {counts['seen']} seen, {parts} in outcomes"
        yield Finding("ledger", str(library.catalogue.path), what, "none: this is a bug in pixfind; please report it")
    for (image_id,) in library.catalogue.connection.execute(
        "SELECT id FROM images WHERE outcome = 'failed' AND coalesce(reason, '') = '' LIMIT 10"
    ):
        yield Finding("no-reason", f"image {image_id}", "failed without a reason", "none: this is a bug in pixfind")


def _arrays(library: Library) -> Iterator[Finding]:
    """Every array has our layout and this library's dimension."""
    pairs = [(library.embeddings_path, library.indices_path)]
    pairs += [worker_files.paths(library.data, worker) for worker in worker_files.workers(library.data)]
    for embeddings, indices in pairs:
        layouts = ((embeddings, worker_files.EMBEDDING, (library.dimension,)), (indices, worker_files.INDEX_ROW, ()))
        for path, dtype, row_shape in layouts:
            try:
                if path.exists():
                    disk.GrowingArray(path, dtype, row_shape).close()
            except errors.LibraryDamaged as error:
                yield Finding("no-array", str(path), error.fields["detail"], "put aside; its images become pending")


def _lengths(library: Library) -> Iterator[Finding]:
    rows = {path: disk.npy_shape(path)[0] for path in (library.embeddings_path, library.indices_path)}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{path.name} {count}" for path, count in rows.items())
        yield Finding("unequal-lengths", str(library.data), f"rows promised: {told}", "the shorter count is kept")
    for path in rows:
        if path.exists():
            dtype, shape = (
                (worker_files.EMBEDDING, (library.dimension,))
                if path == library.embeddings_path
                else (worker_files.INDEX_ROW, ())
            )
            with disk.GrowingArray(path, dtype, shape) as array:
                if array.rows_present() < array.count:
                    what = f"the header promises {array.count} rows, {array.rows_present()} are there"
                    yield Finding("too-few-rows", str(path), what, "images of the missing rows become pending")


def _merged_rows(library: Library, progress: Progress) -> Iterator[Finding]:
    total = _sound_rows(library)
    named = np.zeros(total, np.bool_)
    if total:
        with library.merged() as merged:
            for start in range(0, total, _ROWS):
                stop = min(start + _ROWS, total)
                table, embeddings = merged.read(start, stop)
                yield from _rows_against_images(library, start, table, embeddings, named)
                progress(stop, total)
    first_adopted = library.catalogue.connection.execute("SELECT min(embedding_index) FROM adopted").fetchone()[0]
    end = library.catalogue.connection.execute("SELECT max(embedding_index + rows) FROM adopted").fetchone()[0]
    if first_adopted is not None and first_adopted > total:
        what = f"rows {total} to {first_adopted} were adopted and are nowhere"
        yield Finding("gap", str(library.embeddings_path), what, "their images become pending")
    beyond = library.catalogue.connection.execute(
        "SELECT count(*) FROM images WHERE embedding_index >= ?", (max(total, end or 0),)
    ).fetchone()[0]
    if beyond:
        what = f"{beyond} images have an embedding_index of {max(total, end or 0)} or more, and there is no such row"
        yield Finding("gap", str(library.embeddings_path), what, "these images become pending")


def _rows_against_images(
    library: Library, start: int, table: NDArray[Any], embeddings: NDArray[np.float16], named: NDArray[np.bool_]
) -> Iterator[Finding]:
    path = library.embeddings_path
    owners: dict[int, set[int]] = {}
    for image_id, row, outcome, *_, content in library.catalogue.rows(
        "embedded_rows", start=start, stop=start + len(table)
    ):
        named[row] = True
        told = table[row - start]["fingerprint"]["hash"].tobytes()
        if told != content:
            what = f"image {image_id} points to it, but the row was made from other bytes"
            yield Finding("row-image", f"{path} row {row}", what, "the image becomes pending")
        if outcome == Outcome.EMBEDDED:
            owners.setdefault(row, set()).add(image_id)
    # A dead row may rot: nobody points to it.
    holds = worker_files.crc_holds(table, embeddings)
    for place in np.flatnonzero(~holds & named[start : start + len(table)]):
        what = f"its checksum does not hold (image {table[place]['image_id']})"
        yield Finding("row-crc", f"{path} row {start + place}", what, "its image becomes pending")
    for row, images in owners.items():
        if len(images) > 1:
            what = f"images {sorted(images)} all claim to be its first"
            yield Finding("row-image", f"{path} row {row}", what, "the images become pending")
    yield from _waiting_for_rows(library, start, table, holds & ~named[start : start + len(table)])


def _waiting_for_rows(
    library: Library, start: int, table: NDArray[Any], unnamed: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Rows that nobody points to are dead, which is no fault, unless the database has never heard of their image."""
    waiting = 0
    for place in np.flatnonzero(unnamed):
        row = worker_files.row_of(table[place])
        found = library.catalogue.connection.execute(
            "SELECT outcome IS NULL AND gone AND size = ? AND mtime_ns = ? FROM images WHERE id = ?",
            (row.fingerprint.size, row.fingerprint.mtime_ns, row.image_id),
        ).fetchone()
        waiting += found is None or bool(found[0])
    if waiting:
        what = f"{waiting} of rows {start} to {start + len(table)} are good, and the database does not know it"
        yield Finding("rows-without-image", str(library.catalogue.path), what, "the images get their rows back")


def _worker_rows(library: Library) -> Iterator[Finding]:
    merged = library.merged_rows
    runs = library.catalogue.connection.execute(
        "SELECT embedding_index, worker, first_row, rows FROM adopted"
    ).fetchall()
    for first_index, worker, first_row, rows in runs:
        skip = max(0, merged - first_index)
        if skip >= rows:
            continue  # A merge was cut off after it had moved them; the next one forgets this run.
        path = worker_files.paths(library.data, worker)[0]
        try:
            with library.worker_pair(worker) as pair:
                table, embeddings = pair.read(first_row + skip, first_row + rows)
        except errors.LibraryDamaged as error:
            yield Finding("adopted-missing", f"{path} row {first_row + skip}", str(error), "the images become pending")
            continue
        for place in np.flatnonzero(~worker_files.crc_holds(table, embeddings)):
            what = f"its checksum does not hold (image {table[place]['image_id']})"
            yield Finding("adopted-crc", f"{path} row {first_row + skip + place}", what, "its image becomes pending")


def _index(library: Library) -> Iterator[Finding]:
    """The index against the embeddings; a library without one is whole."""
    if not library.index_path.exists():
        return
    try:
        problem = header.check(library.index_path, library.embeddings())
    except errors.LibraryDamaged:
        return  # Told with the embeddings.
    if problem is not None:
        yield Finding("index", str(library.index_path), problem, "removed; `pixfind build-index` makes it anew")


# --- mending --------------------------------------------------------------------------------------


def _mend(library: Library, findings: list[Finding]) -> None:
    codes = {finding.code for finding in findings}
    if codes & {"row-crc", "row-image"}:
        _forget_rows(
            library, [int(f.where.rpartition(" row ")[2]) for f in findings if f.code in ("row-crc", "row-image")]
        )
    if "no-array" in codes:
        _put_aside([Path(finding.where) for finding in findings if finding.code == "no-array"])
    if codes & {"no-array", "too-few-rows", "unequal-lengths", "adopted-crc", "adopted-missing", "gap"}:
        _begin_again_from(library, _sound_rows(library))
    if "rows-without-image" in codes:
        _adopt_merged(library)
    if "index" in codes:
        disk.delete(library.index_path)
    _cut_worker_files(library)
    library.adopt_left_behind()
    with contextlib.suppress(errors.MergeRefused):
        library.merge()
    for leftover in library.data.glob(".*.tmp"):
        disk.delete(leftover)


def _sound_rows(library: Library) -> int:
    """Return how many merged rows are there in both files."""
    if not (library.embeddings_path.exists() and library.indices_path.exists()):
        return 0
    with library.merged() as merged:
        return min(merged.count, merged.embeddings.rows_present(), merged.indices.rows_present())


def _put_aside(paths: list[Path]) -> None:
    for path in paths:
        with disk.doing("moved", path):
            path.rename(path.with_name(f"{path.name}.damaged-{int(time.time())}"))


def _forget_rows(library: Library, rows: list[int]) -> None:
    with library.catalogue.transaction():
        for row in rows:
            library.catalogue.run("make_pending", embedding_index=row)


def _begin_again_from(library: Library, rows: int) -> None:
    """Keep the first `rows` merged rows; what lies behind is adopted anew from the worker files or becomes pending."""
    with library.catalogue.transaction():
        library.catalogue.run("make_pending_from", embedding_index=rows)
        library.catalogue.connection.execute("DELETE FROM adopted")
        library.catalogue.connection.execute("DELETE FROM worker_files")
        library.catalogue.set_setting("next_embedding_index", str(rows))
    if library.merged_rows or rows:
        with library.merged(write=True) as merged:
            merged.shorten(rows)


def _cut_worker_files(library: Library) -> None:
    """Cut worker files before their first row that does not hold: its image is pending and will be embedded again."""
    for worker in worker_files.workers(library.data):
        if not all(path.exists() for path in worker_files.paths(library.data, worker)):
            continue
        with library.worker_pair(worker) as pair:
            sound = min(pair.count, pair.embeddings.rows_present(), pair.indices.rows_present())
            table, embeddings = pair.read(0, sound)
            holds = worker_files.crc_holds(table, embeddings)
            good = len(holds) if holds.all() else int(holds.argmin())
            if (
                good < pair.count
                and not library.catalogue.connection.execute(
                    "SELECT 1 FROM adopted WHERE worker = ? AND first_row + rows > ?", (worker, good)
                ).fetchone()
            ):
                library.cut_worker_file(worker_files.paths(library.data, worker)[0], good)


def _adopt_merged(library: Library) -> None:
    """Give the merged rows to images that wait for them, making those that the database has forgotten."""
    _make_images_of_rows(library)
    with library.merged() as merged, library.catalogue.transaction():
        for start in range(0, merged.count, _ROWS):
            table, embeddings = merged.read(start, min(start + _ROWS, merged.count))
            for place in np.flatnonzero(worker_files.crc_holds(table, embeddings)):
                library.catalogue.adopt_row(worker_files.row_of(table[place]), start + int(place))
        library.catalogue.set_setting("next_embedding_index", str(merged.count))


def _make_images_of_rows(library: Library) -> None:
    """
    Make the images that rows name and the database does not know.

    Without a path they are gone; the next `add` finds their files by size, time and content. Their ids are taken from then on, so that
    no other image is ever given one of them, and with it a row that is not its own.
    """
    root = _unknown_root(library)
    pairs = [(library.embeddings_path, library.indices_path)]
    pairs += [worker_files.paths(library.data, worker) for worker in worker_files.workers(library.data)]
    for embeddings, indices in pairs:
        if embeddings.exists() and indices.exists():
            with worker_files.Pair(embeddings, indices, library.dimension) as pair, library.catalogue.transaction():
                for start in range(0, pair.count, _ROWS):
                    table, rows = pair.read(start, min(start + _ROWS, pair.count))
                    for place in np.flatnonzero(worker_files.crc_holds(table, rows)):
                        _make_image(library, root, worker_files.row_of(table[place]))


def _make_image(library: Library, root: int, row: worker_files.Row) -> None:
    library.catalogue.connection.execute(
        "INSERT OR IGNORE INTO images (id, root_id, path, size, mtime_ns, gone) VALUES (?, ?, ?, ?, ?, 1)",
        (row.image_id, root, f"?{row.image_id}", row.fingerprint.size, row.fingerprint.mtime_ns),
    )


def _unknown_root(library: Library) -> int:
    connection = library.catalogue.connection
    connection.execute(
        "INSERT OR IGNORE INTO roots (path, device, added_at, offline) VALUES ('?', 0, ?, 'unknown')", (time.time(),)
    )
    (root,) = connection.execute("SELECT id FROM roots WHERE path = '?'").fetchone()
    return int(root)


def rebuild_if_needed(path: Path, generation: str | None = None) -> Path | None:
    """
    Put a metadata.db that cannot be read aside and begin a new one; return where the old one lies now.

    The new one gets its images back from indices.npy by `repair`, and their paths by the next `add`; `generation` as in `Library.open`.
    Returns None when the database can be read, or was lost altogether (a new one is begun then too).
    """
    generation = generations.read(path).active if generation is None else generation
    folder = generations.folder(path, generation)
    old = folder / "metadata.db"
    if old.exists() and _readable(old):
        return None
    kept = None
    if old.exists():
        kept = folder / f"metadata.damaged-{int(time.time())}.db"
        with disk.writing(kept):
            shutil.copy(old, kept)
    elif not (folder / "data" / "indices.npy").exists():
        return None
    _rebuild(path, generation, old)
    return kept


def _rebuild(path: Path, generation: str, database: Path) -> None:
    """Make the new database whole under another name first: one without its model or its images would pass for an empty library."""
    new = database.with_name("metadata.rebuilt.db")
    _delete_database(new)
    with Library(path, catalogue.Catalogue(new, write=True), generation) as library:
        model = library.data / "model.json"
        with disk.reading(model), contextlib.suppress(FileNotFoundError):
            library.catalogue.set_setting("model", model.read_text(encoding="utf-8"))
        if library.model() is not None:
            _make_images_of_rows(library)
        # All of it into the one file: what closing cannot write it does not tell.
        library.catalogue.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    # The log of the old one would be taken for that of the new one.
    _delete_database(database)
    with disk.writing(database):
        new.replace(database)
    disk.sync_directory(database.parent)


def _delete_database(database: Path) -> None:
    for name in (database.name, f"{database.name}-wal", f"{database.name}-shm"):
        disk.delete(database.with_name(name))


def _readable(path: Path) -> bool:
    try:
        with catalogue.Catalogue(path) as found:
            return next(_database_answers(found)) == "ok"
    except errors.LibraryDamaged:
        # Only bytes that are wrong; a database that is locked or cannot be opened is not damaged.
        return False
