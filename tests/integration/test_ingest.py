"""From pending to merged: outcomes, duplicates, the guide's parts, what is remembered."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.progress import RunReport
from pixfind.embedding.runners.serial import Serial
from pixfind.library import scan, verify
from pixfind.library.library import Library, ModelIdentity
from pixfind.testing import make_broken, make_image, make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed as embed_pending
from pixfind.workflows.embed_part import embed_part
from pixfind.workflows.merge import merge


def embed(library: Library, **changes: Any) -> RunReport:
    import dataclasses

    report = embed_pending(library, dataclasses.replace(QUIET, **changes), runner=Serial())
    merge(library)
    return report


def outcomes(library: Library) -> dict[str, tuple[str | None, str | None]]:
    rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images")
    return {Path(path).name: (outcome, reason) for path, outcome, reason in rows}


def test_every_image_has_its_own_row_of_unit_length(embedded: Library) -> None:
    rows = embedded.embeddings()
    lengths = np.linalg.norm(rows.astype(np.float32), axis=1)

    assert 40 == len(rows)
    assert np.allclose(1, lengths, atol=1e-3)
    found = embedded.catalogue._connection.execute(
        "SELECT embedding_index FROM images ORDER BY embedding_index"
    ).fetchall()
    assert [(row,) for row in range(40)] == found


def test_each_row_names_its_image(embedded: Library) -> None:
    table = np.load(embedded.indices_path)
    named = dict(embedded.catalogue._connection.execute("SELECT embedding_index, id FROM images"))

    assert [named[row] for row in range(40)] == table["image_id"].tolist()


def test_a_broken_picture_never_shifts_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    make_pictures(folder, 20)
    make_broken(folder / "picture_00003_broken.jpg", "truncated")
    (folder / "picture_00007_text.jpg").write_text("hello")
    (folder / "picture_00009_empty.png").touch()
    with make_library(tmp_path / "a", folder) as mixed:
        for path in folder.glob("*_*_*"):
            path.unlink()
        with make_library(tmp_path / "b", folder) as clean:
            for name in (path.name for path in folder.iterdir()):
                rows = [
                    library.embeddings()[
                        library.catalogue._connection.execute(
                            "SELECT embedding_index FROM images WHERE path LIKE ?", (f"%{name}",)
                        ).fetchone()[0]
                    ]
                    for library in (mixed, clean)
                ]
                assert np.allclose(rows[0], rows[1], atol=2e-3), name
        found = outcomes(mixed)
        assert [] == verify.verify(mixed)

    assert found["picture_00003_broken.jpg"][0] == "failed"
    assert str(found["picture_00003_broken.jpg"][1]).startswith("truncated")
    assert ("failed", "not an image: no decoder knows these bytes") == found["picture_00007_text.jpg"]
    assert ("failed", "empty file") == found["picture_00009_empty.png"]


def test_duplicates_share_a_row_and_cost_no_second_embedding(library: Library, pictures: Path) -> None:
    for copy in range(5):
        shutil.copy(pictures / "picture_00000.jpg", pictures / f"copy_{copy}.jpg")
    scan.add(library, pictures)
    embed(library)
    counts = library.catalogue.ledger()

    assert (40, 5, 0) == (counts["embedded"], counts["duplicate"], counts["pending"])
    assert 40 == library.merged_rows
    shared = library.catalogue._connection.execute(
        "SELECT count(DISTINCT embedding_index) FROM images WHERE path LIKE '%copy%' OR path LIKE '%picture_00000%'"
    ).fetchone()
    assert (1,) == shared


def test_a_copy_that_comes_later_is_a_duplicate_too(embedded: Library, pictures: Path) -> None:
    shutil.copy(pictures / "picture_00000.jpg", pictures / "copy.jpg")
    scan.add(embedded, pictures)
    embed(embedded)

    assert ("duplicate", None) == outcomes(embedded)["copy.jpg"]
    assert 40 == embedded.merged_rows


def test_copies_of_a_broken_picture_all_fail(library: Library, pictures: Path) -> None:
    for copy in range(3):
        make_broken(pictures / f"broken_{copy}.jpg", "truncated")
    scan.add(library, pictures)
    embed(library)

    assert 3 == library.catalogue.ledger()["failed"]
    assert 0 == library.catalogue.ledger()["pending"]


def test_a_failed_picture_is_not_tried_again_unless_asked_or_changed(library: Library, pictures: Path) -> None:
    make_broken(pictures / "broken.jpg", "truncated")
    scan.add(library, pictures)
    assert 41 == embed(library).images
    assert 0 == embed(library).images
    assert 1 == embed(library, retry=True).images

    make_image(pictures / "broken.jpg", seed=1000)
    scan.add(library, pictures)
    assert 1 == embed(library).images
    assert ("embedded", None) == outcomes(library)["broken.jpg"]


def test_a_picture_that_vanished_is_tried_again_by_the_next_run(
    library: Library, pictures: Path, tmp_path: Path
) -> None:
    path = pictures / "picture_00001.jpg"
    path.rename(tmp_path / "away.jpg")
    embed(library)
    assert str(outcomes(library)[path.name][1]).startswith("file missing")

    (tmp_path / "away.jpg").rename(path)
    embed(library)
    assert ("embedded", None) == outcomes(library)[path.name]


def test_a_picture_that_changed_since_the_scan_is_embedded_as_it_is_now(library: Library, pictures: Path) -> None:
    path = make_image(pictures / "picture_00001.jpg", seed=4242, size=(80, 80))
    embed(library)

    assert ("embedded", None) == outcomes(library)[path.name]
    size = library.catalogue._connection.execute(
        "SELECT size, width FROM images WHERE path = ?", (str(path),)
    ).fetchone()
    assert (path.stat().st_size, 80) == size


def test_a_picture_over_the_limit_is_skipped_by_rule(library: Library, pictures: Path) -> None:
    make_image(pictures / "large.png", seed=5, size=(1200, 1000))
    scan.add(library, pictures)
    embed(library, megapixels=1.0)

    outcome, reason = outcomes(library)["large.png"]
    assert "skipped" == outcome
    assert "1 MP" in str(reason)
    embed(library, retry=True)
    assert ("embedded", None) == outcomes(library)["large.png"]


def test_two_parts_embedded_alone_meet_in_one_merge(library: Library) -> None:
    for part in (0, 1, 2):
        assert embed_part(library, part, 3, QUIET) in (13, 14)
    assert 40 == library.catalogue.ledger()["pending"]
    merged = merge(library)

    assert (40, 40) == (merged.rows, merged.total)
    assert 0 == library.catalogue.ledger()["pending"]


def test_the_split_is_the_guides(library: Library) -> None:
    embed_part(library, 1, 4, QUIET)
    ids = np.load(library.data / "indices_worker_1.npy")["image_id"]

    assert 10 == len(ids)
    assert {1} == set((ids % 4).tolist())


def test_a_library_refuses_another_model(library: Library) -> None:
    with pytest.raises(errors.OtherModel, match="starter"):
        library.remember_model(ModelIdentity("other", "f" * 64, 128, "auto"))


def test_a_second_writer_is_told_who_is_the_first(library: Library) -> None:
    with library.lock("embed"), pytest.raises(errors.LibraryLocked, match="pixfind embed"):
        library.lock("add", patience=0).__enter__()


def test_the_database_can_be_read_with_sqlite_while_pixfind_writes(embedded: Library) -> None:
    with embedded.lock("embed"), embedded.catalogue.transaction():
        embedded.catalogue.set_setting("x", "y")
        reader = sqlite3.connect(embedded.path / "metadata.db")
        row = reader.execute("SELECT id, path, embedding_index, outcome, reason FROM images LIMIT 1").fetchone()
        reader.close()
    assert "embedded" == row[3]
    assert Path(row[1]).is_absolute()


def test_a_run_leaves_its_report(embedded: Library) -> None:
    report = embed(embedded)
    with embedded.lock("embed") as run:
        run.report["images"] = report.images
    stored = embedded.catalogue.value("last_report", "library.sql", verb="embed")
    assert {"images": 0} == json.loads(stored)
