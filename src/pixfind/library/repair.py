"""
Repairs what `verify` found: what can be derived is rebuilt, and images whose embeddings are lost become pending.

Owns the order of the repairs, and how a lost database is rebuilt from indices.npy. A picture of the user is never touched.
"""

import contextlib
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixfind import errors
from pixfind.library import (
    commit,
    damaged_text,
    fulltext,
    generations,
    labels,
    merge,
    sql,
    thumbnail_progress,
    trim,
    verify,
)
from pixfind.library.catalogue import Catalogue
from pixfind.library.database import Connection
from pixfind.library.library import Library, holds_embeddings
from pixfind.storage import disk, embedding_files, worker_files
from pixfind.types import EmbeddedImage

_BATCH_ROWS = 16_384

#: One repair may bring another fault to light: an image that becomes pending may find its row again.
_MAX_PASSES = 3


def repair(library: Library, findings: list[verify.Finding]) -> list[verify.Finding]:
    """
    Repair what `verify` found, inside `library.lock("verify")`; return what is still found afterwards.

    Raises WorkerFilesBusy while a worker writes a file that must be cut, DiskFull and DiskFailed.
    """
    for _ in range(_MAX_PASSES):
        _repair_once(library, findings)
        findings = verify.verify(library)
        if not findings:
            break
    return findings


def _repair_once(library: Library, findings: list[verify.Finding]) -> None:
    codes = {finding.code for finding in findings}
    if codes & {"row-crc", "row-image"}:
        _make_pending(
            library, [int(f.where.rpartition(" row ")[2]) for f in findings if f.code in ("row-crc", "row-image")]
        )
    if "no-array" in codes:
        _rename_damaged([Path(finding.where) for finding in findings if finding.code == "no-array"])
    if codes & {"no-array", "too-few-rows", "unequal-lengths", "adopted-crc", "adopted-missing", "gap"}:
        _restart_from(library, verify.intact_rows(library))
    if "rows-without-image" in codes:
        _adopt_merged(library)
    if "contents" in codes:
        with library.catalogue.transaction():
            library.catalogue.contents.rebuild()
    if "index" in codes:
        disk.delete(library.index_path)
    if "fulltext" in codes:
        generations.delete_database(fulltext.path(library.data))
    trim.cut_damaged(library)
    commit.adopt_left_behind(library)
    with contextlib.suppress(errors.MergeRefused):
        merge.merge(library)
    for leftover in library.data.glob(".*.tmp"):
        disk.delete(leftover)


def _rename_damaged(paths: list[Path]) -> None:
    for path in paths:
        with disk.translate_errors("moved", path):
            path.rename(path.with_name(f"{path.name}.damaged-{int(time.time())}"))


def _make_pending(library: Library, rows: list[int]) -> None:
    with library.catalogue.transaction():
        for row in rows:
            library.catalogue.run("make_pending", embedding_index=row)


def _restart_from(library: Library, rows: int) -> None:
    """Keep the first `rows` merged rows; images of later rows are adopted again from the worker files or become pending."""
    with library.catalogue.transaction():
        library.catalogue.run("make_pending_from", embedding_index=rows)
        library.catalogue.run("forget_adopted", "adopted.sql")
        library.catalogue.run("forget_rows_scanned", "adopted.sql")
        library.catalogue.set_setting("next_embedding_index", str(rows))
        # Other contents get these rows now.
        library.catalogue.contents.rebuild()
        labels.forget(library.catalogue)
        thumbnail_progress.forget(library.catalogue)
    if library.merged_rows or rows:
        with library.merged(write=True) as merged:
            merged.shorten(rows)


def _adopt_merged(library: Library) -> None:
    """Give the merged rows to the images that wait for them, adding images that the database has lost."""
    _recover_images(library)
    with library.merged() as merged, library.catalogue.transaction():
        merged.sync()
        for start in range(0, merged.count, _BATCH_ROWS):
            table, embeddings = merged.read(start, min(start + _BATCH_ROWS, merged.count))
            for place in np.flatnonzero(embedding_files.crc_holds(table, embeddings)):
                library.catalogue.adopt_row(embedding_files.row_of(table[place]), start + int(place))
        library.catalogue.set_setting("next_embedding_index", str(merged.count))
        library.catalogue.contents.rebuild()


def _recover_images(library: Library) -> None:
    """
    Add the images that rows name and the database does not know.

    Without a path they count as gone; the next `add` finds their files by size, time and content. Their ids are in use from then on, so that
    no other image gets one of them, and with it a row that is not its own.
    """
    root = _unknown_root(library)
    pairs = [(library.embeddings_path, library.indices_path)]
    pairs += [worker_files.paths(library.data, worker) for worker in worker_files.workers(library.data)]
    for embeddings, indices in pairs:
        if embeddings.exists() and indices.exists():
            with embedding_files.Pair(embeddings, indices, library.dimension) as pair, library.catalogue.transaction():
                for start in range(0, pair.count, _BATCH_ROWS):
                    table, rows = pair.read(start, min(start + _BATCH_ROWS, pair.count))
                    for place in np.flatnonzero(embedding_files.crc_holds(table, rows)):
                        _recover_image(library, root, embedding_files.row_of(table[place]))


def _recover_image(library: Library, root: int, image: EmbeddedImage) -> None:
    size, mtime_ns = image.fingerprint.size, image.fingerprint.mtime_ns
    library.catalogue.run(
        "recover_image", "verify.sql", image_id=image.image_id, root_id=root, size=size, mtime_ns=mtime_ns
    )


def _unknown_root(library: Library) -> int:
    """Return the root of images whose path is lost."""
    library.catalogue.run("add_unknown_root", "verify.sql", added_at=time.time())
    return int(library.catalogue.value("unknown_root", "verify.sql"))


@dataclass(frozen=True, slots=True)
class DatabaseRepair:
    """What was done about a database that was damaged."""

    kept: Path
    """as it was before"""
    rebuilt: bool
    """from indices.npy: what only the database knew is lost"""


def rebuild_if_needed(path: Path, generation: str | None = None) -> DatabaseRepair | None:
    """
    Keep a copy of a metadata.db that is damaged, and repair it, or else rebuild it.

    A new one gets its images back from indices.npy by `repair`, and their paths by the next `add`; `generation` as in `Library.open`.
    Returns None when the database is intact, or was lost altogether: missing or empty (a new one is begun then too).
    Raises LibraryDamaged where nothing says any more which model has made the embeddings.
    """
    generation = generations.read(path).active if generation is None else generation
    folder = generations.folder(path, generation)
    old = folder / "metadata.db"
    has_content = old.exists() and old.stat().st_size > 0
    intact = has_content and _readable(old)
    if intact and _has_model(path, generation, old):
        return None
    kept = None
    if has_content:
        kept = folder / f"metadata.damaged-{int(time.time())}.db"
        with disk.writing(kept):
            shutil.copy(old, kept)
        if not intact and _repaired(old):
            return DatabaseRepair(kept, rebuilt=False)
    elif not (folder / "data" / "indices.npy").exists():
        return None
    _rebuild(path, generation, old)
    return None if kept is None else DatabaseRepair(kept, rebuilt=True)


def _has_model(path: Path, generation: str, database: Path) -> bool:
    """Tell whether a database names the model of its embeddings; one with images that does not gets its name back."""
    with Library(path, Catalogue(database), generation) as library:
        with contextlib.suppress(errors.LibraryDamaged):
            if library.model() is not None or not holds_embeddings(library.data):
                return True
        if not library.catalogue.value("count_images"):
            return False
    with Library(path, Catalogue(database, write=True), generation) as library:
        _restore_model(library)
    return True


def _repaired(database: Path) -> bool:
    """Make the indexes of a database again, and its text readable; return whether it is intact then."""
    with contextlib.suppress(errors.LibraryDamaged, sqlite3.IntegrityError):
        connection = Connection.open(database, str(database), uri=False)
        with contextlib.closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(sql.queries("verify.sql")["reindex"])
            damaged_text.replace(connection)
            connection.execute("COMMIT")
        return _readable(database)
    return False


def _rebuild(path: Path, generation: str, database: Path) -> None:
    """Complete the new database under another name first: without its model and images it would look like an empty library."""
    new = database.with_name("metadata.rebuilt.db")
    generations.delete_database(new)
    with Library(path, Catalogue(new, write=True), generation) as library:
        _restore_model(library)
        if library.model() is not None:
            _recover_images(library)
        # Write all of it into one file now: closing the database would not report a failure.
        library.catalogue.value("checkpoint", "verify.sql")
    # SQLite would apply the log of the old database to the new one.
    generations.delete_database(database)
    with disk.writing(database):
        new.replace(database)
    disk.sync_directory(database.parent)


def _restore_model(library: Library) -> None:
    """Take the model from the copy of its name that lies with the embeddings; without embeddings there may be none."""
    model = library.data / "model.json"
    with disk.reading(model), contextlib.suppress(FileNotFoundError):
        library.catalogue.set_setting("model", model.read_text(encoding="utf-8"))
    if library.model() is None and holds_embeddings(library.data):
        detail = "it is missing, and so is the database that named the model of the embeddings: take both from a backup"
        raise errors.LibraryDamaged(path=model, detail=detail)


def _readable(path: Path) -> bool:
    try:
        with Catalogue(path) as catalogue:
            return verify.check_database(catalogue) == "ok"
    except errors.LibraryDamaged:
        # Only bytes that are wrong; a database that is locked or cannot be opened is not damaged.
        return False
