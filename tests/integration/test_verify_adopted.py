"""Damage to rows that are adopted and not merged yet: found with file and row, refused by the merge, repaired."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import repair, scan, verify
from pixfind.library.library import Library
from pixfind.library.merge import Merged
from pixfind.library.merge import merge as merge_adopted
from pixfind.storage import worker_files
from pixfind.testing import make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge

EMBEDDINGS_HEADER_BYTES = 128
FIRST = 40


@pytest.fixture
def adopted(pictures: Path, embedded: Library) -> Library:
    """A library with 40 merged rows and 20 that are adopted, in a file of worker 0."""
    make_pictures(pictures, 20, first=100)
    scan.add(embedded, pictures)
    embed(embedded, QUIET, runner=Serial())
    assert (FIRST, 20) == (embedded.merged_rows, sum(run.rows for run in embedded.catalogue.adopted_runs()))
    return embedded


def embeddings_of(library: Library) -> Path:
    return worker_files.paths(library.data, 0)[0]


def repaired(library: Library) -> None:
    """Repair, look for the files, embed what became pending: what a user does."""
    with library.lock("verify"):
        assert [] == repair.repair(library, verify.verify(library))
        for root in library.catalogue.roots():
            scan.add(library, Path(root.path))
        embed(library, QUIET, runner=Serial())
        merge(library)
    assert [] == verify.verify(library)
    assert 60 == library.catalogue.ledger()["embedded"]


def one_bit(library: Library) -> None:
    row_bytes = library.dimension * 2
    with embeddings_of(library).open("r+b") as file:
        file.seek(EMBEDDINGS_HEADER_BYTES + 5 * row_bytes)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def the_last_rows(library: Library) -> None:
    os.truncate(embeddings_of(library), EMBEDDINGS_HEADER_BYTES + 15 * library.dimension * 2)


def the_whole_file(library: Library) -> None:
    for path in worker_files.paths(library.data, 0):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "code", "row"),
    [
        (one_bit, "adopted-crc", 5),
        (the_last_rows, "adopted-missing", None),
        (the_whole_file, "adopted-missing", None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_damage_is_reported_with_file_and_row_and_repaired(
    adopted: Library, damage: Callable[[Library], None], code: str, row: int | None
) -> None:
    damage(adopted)
    found = {finding.code: finding for finding in verify.verify(adopted)}

    if row is None:
        # The last of the runs that were adopted together; how many rows are saved at a time depends on the clock.
        row = max(run.first_row for run in adopted.catalogue.adopted_runs())
    assert f"{embeddings_of(adopted)} row {row}" == found[code].where
    repaired(adopted)


@pytest.mark.parametrize(("damage", "merged"), [(one_bit, 45), (the_last_rows, FIRST)])
def test_a_merge_moves_what_fits_and_names_the_first_row_that_does_not(
    adopted: Library, damage: Callable[[Library], None], merged: int
) -> None:
    before = np.array(adopted.embeddings())
    damage(adopted)
    with pytest.raises((errors.MergeRefused, errors.LibraryDamaged)):
        merge_adopted(adopted)

    assert merged == adopted.merged_rows
    assert (before == adopted.embeddings()[:FIRST]).all()
    repaired(adopted)


def test_a_gap_before_the_adopted_rows_is_found_refused_and_closed(adopted: Library) -> None:
    adopted.catalogue._connection.execute(
        "UPDATE adopted SET embedding_index = embedding_index + 2, first_row = first_row + 2, rows = rows - 2"
    )
    found = {finding.code: finding for finding in verify.verify(adopted)}

    assert f"rows {FIRST} to {FIRST + 2} were adopted and are missing" == found["gap"].what
    with pytest.raises(errors.LibraryDamaged, match=f"holds {FIRST} rows, the database knows of {FIRST + 2}"):
        merge_adopted(adopted)
    repaired(adopted)


def test_a_merge_that_ended_before_it_forgot_what_it_moved_is_consistent_and_is_finished(
    adopted: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(adopted.catalogue, "run", power_cut)
        with pytest.raises(KeyboardInterrupt):
            merge_adopted(adopted)
    assert FIRST + 20 == adopted.merged_rows
    assert 20 == sum(run.rows for run in adopted.catalogue.adopted_runs())

    assert [] == verify.verify(adopted)
    assert Merged(0, FIRST + 20) == merge_adopted(adopted)
    assert [] == adopted.catalogue.adopted_runs()


def test_a_merge_before_the_first_model_does_nothing(tmp_path: Path) -> None:
    with Library.create(tmp_path / "library") as library:
        assert Merged(0, 0) == merge_adopted(library)


# --- the database itself --------------------------------------------------------------------------


def test_a_ledger_that_does_not_add_up_is_a_bug_of_ours_and_is_reported_as_one(embedded: Library) -> None:
    with embedded.catalogue.transaction():
        embedded.catalogue._connection.execute("PRAGMA ignore_check_constraints = ON")
        embedded.catalogue._connection.execute("UPDATE images SET outcome = 'lost' WHERE id = 3")
        found = verify.verify(embedded)
        embedded.catalogue._connection.execute("UPDATE images SET outcome = 'embedded' WHERE id = 3")
        embedded.catalogue._connection.execute("PRAGMA ignore_check_constraints = OFF")

    assert "ledger" in [finding.code for finding in found]
    assert "40 seen, 39 in outcomes" in found[0].what


def test_a_failure_without_a_reason_is_found(embedded: Library) -> None:
    execute = embedded.catalogue._connection.execute
    row = execute("SELECT embedding_index FROM images WHERE id = 3").fetchone()
    execute("PRAGMA ignore_check_constraints = ON")
    execute("UPDATE images SET outcome = 'failed', reason = NULL, embedding_index = NULL WHERE id = 3")
    found = verify.verify(embedded)
    execute("UPDATE images SET outcome = 'embedded', embedding_index = ? WHERE id = 3", row)
    execute("PRAGMA ignore_check_constraints = OFF")

    assert ["image 3"] == [finding.where for finding in found if finding.code == "no-reason"]


def overwritten(library: Library, kind: str) -> None:
    """Let the first page of a table, or of its index, be of noise."""
    library.catalogue._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = library.catalogue._connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE type = ? AND tbl_name = 'images' LIMIT 1", (kind,)
    ).fetchone()
    library.close()
    with (library.path / "metadata.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))


@pytest.mark.parametrize("kind", ["table", "index"])
def test_pages_that_sqlite_cannot_read_are_found_and_the_database_is_rebuilt(
    embedded: Library, pictures: Path, kind: str
) -> None:
    overwritten(embedded, kind)
    with Library.open(embedded.path, write=True) as library:
        found = verify.verify(library)
    assert ["database"] == [finding.code for finding in found]

    done = repair.rebuild_if_needed(embedded.path)
    assert done is not None
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue
    assert [] == repair.repair(embedded, verify.verify(embedded))
    assert (40 if done.rebuilt else 0) == scan.add(embedded, pictures).moved
    assert 40 == embedded.catalogue.ledger()["embedded"]
