"""Damage is found, reported with file and row, and repaired where possible."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import repair, scan, verify
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.library.merge import merge as merge_adopted
from pixfind.search.snapshot import SnapshotCache
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed
from pixfind.workflows.embed_part import embed_part
from pixfind.workflows.merge import merge


def flip(path: Path, offset: int) -> None:
    with path.open("rb+") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x40]))


def repaired(library: Library) -> None:
    """What a user does: repair, look for the files, embed what became pending."""
    found = verify.verify(library)
    assert found
    with library.lock("verify"):
        assert [] == repair.repair(library, found)
        for root in library.catalogue.roots():
            if root.path != "?":
                scan.add(library, Path(root.path))
        embed(library, QUIET, runner=Serial())
        merge(library)
    assert [] == verify.verify(library)
    assert 40 == library.catalogue.ledger()["embedded"]


def one_bit_of_an_embedding(library: Library) -> None:
    flip(library.embeddings_path, 128 + 7 * library.dimension * 2 + 3)


def one_bit_of_a_fingerprint(library: Library) -> None:
    flip(library.indices_path, 512 + 7 * np.load(library.indices_path).dtype.itemsize + 28)


def half_of_the_embeddings(library: Library) -> None:
    os.truncate(library.embeddings_path, 128 + 20 * library.dimension * 2)


def all_embeddings(library: Library) -> None:
    library.embeddings_path.unlink()


def a_folder_for_the_embeddings(library: Library) -> None:
    library.embeddings_path.unlink()
    library.embeddings_path.mkdir()
    with pytest.raises(errors.LibraryDamaged, match="folder"):
        SnapshotCache.state(library)
    with pytest.raises(errors.LibraryDamaged, match="folder"):
        library.merged(write=True)


def indices_lost(library: Library) -> None:
    library.indices_path.unlink()


def database_without_some_images(library: Library) -> None:
    library.catalogue._connection.execute("DELETE FROM images WHERE id > 30")


def embeddings_of_another_dimension(library: Library) -> None:
    np.save(library.embeddings_path, np.zeros((40, 64), "f2"))


def indices_of_another_kind(library: Library) -> None:
    np.save(library.indices_path, np.arange(40))


def index_of_garbage(library: Library) -> None:
    library.index_path.write_bytes(os.urandom(3000))


def database_that_points_beyond_the_end(library: Library) -> None:
    # The project that the guide comes from: 624,017 embedded, 1,108 in the file.
    library.catalogue._connection.execute("UPDATE images SET embedding_index = embedding_index + 1000 WHERE id > 10")


def two_images_in_one_row(library: Library) -> None:
    library.catalogue._connection.execute("UPDATE images SET embedding_index = 3 WHERE embedding_index = 4")


@pytest.mark.parametrize(
    "damage",
    [
        one_bit_of_an_embedding,
        one_bit_of_a_fingerprint,
        half_of_the_embeddings,
        all_embeddings,
        a_folder_for_the_embeddings,
        indices_lost,
        database_that_points_beyond_the_end,
        two_images_in_one_row,
        database_without_some_images,
        embeddings_of_another_dimension,
        indices_of_another_kind,
        index_of_garbage,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damage_is_found_and_mended(embedded: Library, damage: Callable[[Library], None]) -> None:
    damage(embedded)
    repaired(embedded)


def test_a_flipped_bit_is_told_with_file_and_row(embedded: Library) -> None:
    one_bit_of_an_embedding(embedded)
    (finding,) = verify.verify(embedded)
    assert f"{embedded.embeddings_path} row 7" == finding.where
    repaired(embedded)


def test_a_lost_database_is_rebuilt_from_the_two_files_and_a_scan(embedded: Library, pictures: Path) -> None:
    before = embedded.embeddings().copy()
    embedded.close()
    for path in embedded.path.glob("metadata.db*"):
        path.unlink()
    assert repair.rebuild_if_needed(embedded.path) is None
    with Library.open(embedded.path, write=True) as library:
        found = verify.verify(library)
        assert ["rows-without-image"] == [finding.code for finding in found]
        with library.lock("verify"):
            assert [] == repair.repair(library, found)
            report = scan.add(library, pictures)
            assert (40, 0) == (report.moved, report.new)
            assert 0 == embed(library, QUIET, runner=Serial()).images
        assert 40 == library.catalogue.ledger()["embedded"]
        assert (before == library.embeddings()).all()
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue


@pytest.mark.parametrize("has_tables", [False, True])
def test_an_emptied_database_is_a_lost_one(embedded: Library, pictures: Path, has_tables: bool) -> None:
    embedded.close()
    for path in embedded.path.glob("metadata.db-*"):
        path.unlink()
    (embedded.path / "metadata.db").write_bytes(b"")
    if has_tables:
        Catalogue(embedded.path / "metadata.db", write=True).close()
    for how in (Library.open, Library.create, lambda path: Library.open(path, write=True)):
        with pytest.raises(errors.LibraryDamaged, match=r"metadata\.db is damaged: it .* data/ holds embeddings"):
            how(embedded.path)

    assert has_tables == (repair.rebuild_if_needed(embedded.path) is not None)
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue
    assert [] == repair.repair(embedded, verify.verify(embedded))
    assert 40 == scan.add(embedded, pictures).moved
    assert 40 == embedded.catalogue.ledger()["embedded"]


@pytest.mark.parametrize("change", ["key = 'modem'", "value = '{' || value"])
def test_a_database_that_has_images_and_no_model_gets_the_model_back(embedded: Library, change: str) -> None:
    model, paths = embedded.model(), embedded.catalogue.all_rows("embedded_paths")
    embedded.catalogue._connection.execute(f"UPDATE library SET {change} WHERE key = 'model'")  # noqa: S608
    embedded.close()
    with pytest.raises(errors.LibraryDamaged, match="model"), Library.open(embedded.path) as library:
        library.model()

    assert repair.rebuild_if_needed(embedded.path) is None
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue
    assert (model, paths) == (embedded.model(), embedded.catalogue.all_rows("embedded_paths"))


def test_embeddings_of_an_unknown_model_are_told(embedded: Library) -> None:
    embedded.close()
    (embedded.data / "model.json").rename(embedded.data / "elsewhere")
    shutil.copy(embedded.path / "metadata.db", embedded.data / "metadata.db")
    (embedded.path / "metadata.db").write_bytes(b"")
    with pytest.raises(errors.LibraryDamaged, match="from a backup"):
        repair.rebuild_if_needed(embedded.path)

    assert b"" == (embedded.path / "metadata.db").read_bytes()
    shutil.move(embedded.data / "metadata.db", embedded.path / "metadata.db")
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue


def test_a_database_of_garbage_is_put_aside_and_rebuilt(embedded: Library) -> None:
    embedded.close()
    for path in embedded.path.glob("metadata.db-*"):
        path.unlink()
    (embedded.path / "metadata.db").write_bytes(os.urandom(20_000))
    with pytest.raises(errors.LibraryDamaged):
        Library.open(embedded.path)
    done = repair.rebuild_if_needed(embedded.path)
    assert done is not None
    assert (True, 20_000) == (done.rebuilt, done.kept.stat().st_size)
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue
    found = verify.verify(embedded)
    assert [] == repair.repair(embedded, found)


def test_an_old_copy_of_the_database_loses_nothing(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    shutil.copy(embedded.path / "metadata.db", tmp_path / "old.db")
    embedded.catalogue._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(embedded.path / "metadata.db", tmp_path / "old.db")
    make_pictures(pictures, 10, first=100)
    scan.add(embedded, pictures)
    embed(embedded, QUIET, runner=Serial())
    merge(embedded)
    embedded.close()
    for path in embedded.path.glob("metadata.db*"):
        path.unlink()
    shutil.copy(tmp_path / "old.db", embedded.path / "metadata.db")
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue
    found = verify.verify(embedded)
    assert ["rows-without-image"] == [finding.code for finding in found]
    assert [] == repair.repair(embedded, found)
    scan.add(embedded, pictures)
    assert 0 == embed(embedded, QUIET, runner=Serial()).images
    assert 50 == embedded.catalogue.ledger()["embedded"]


def test_merge_names_the_file_and_the_row_that_does_not_fit(library: Library) -> None:
    embed(library, QUIET, runner=Serial())
    path = library.data / "embeddings_worker_0.npy"
    flip(path, 128 + 11 * library.dimension * 2)
    with pytest.raises(errors.MergeRefused) as refused:
        merge_adopted(library)

    assert (path, 11) == (refused.value.fields["path"], refused.value.fields["row"])
    assert 11 == library.merged_rows
    repaired(library)


def test_a_worker_file_damaged_before_it_was_adopted_costs_only_the_rows_behind(library: Library) -> None:
    embed_part(library, 0, 1, QUIET)
    flip(library.data / "embeddings_worker_0.npy", 128 + 11 * library.dimension * 2)
    with pytest.raises(errors.MergeRefused, match="Row 11"):
        merge(library)
    embed(library, QUIET, runner=Serial())
    merge(library)

    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_row_is_never_given_to_an_image_that_has_changed_since(library: Library, pictures: Path) -> None:
    """Two parts embed two copies; one copy is another picture by the time that both are adopted."""
    for copy in range(5):
        shutil.copy(pictures / "picture_00000.jpg", pictures / f"copy_{copy}.jpg")
    scan.add(library, pictures)
    embed_part(library, 0, 2, QUIET)
    embed_part(library, 1, 2, QUIET)
    make_pictures(pictures, 1, first=900)
    for copy in range(5):
        shutil.copy(pictures / "picture_00900.jpg", pictures / f"copy_{copy}.jpg")
    scan.add(library, pictures)
    embed(library, QUIET, runner=Serial())
    merge(library)
    rows = dict(library.catalogue._connection.execute("SELECT path, embedding_index FROM images"))

    assert {rows[str(pictures / "picture_00900.jpg")]} == {rows[str(pictures / f"copy_{n}.jpg")] for n in range(5)}
    assert rows[str(pictures / "picture_00000.jpg")] != rows[str(pictures / "copy_0.jpg")]


def test_a_part_that_is_started_again_goes_on_where_it_stood(library: Library) -> None:
    assert 20 == embed_part(library, 0, 2, QUIET)
    assert 0 == embed_part(library, 0, 2, QUIET)
    assert 20 == merge(library).rows


def test_a_locked_database_is_not_taken_for_a_damaged_one(embedded: Library) -> None:
    with embedded.catalogue.transaction():
        assert repair.rebuild_if_needed(embedded.path) is None
    assert not list(embedded.path.glob("metadata.damaged*"))


def test_a_new_database_is_not_begun_over_the_embeddings_of_a_lost_one(embedded: Library) -> None:
    embedded.close()
    for path in embedded.path.glob("metadata.db*"):
        path.unlink()
    with pytest.raises(errors.LibraryDamaged, match="missing"):
        Library.create(embedded.path)
    repair.rebuild_if_needed(embedded.path)
    embedded.catalogue = Library.open(embedded.path, write=True).catalogue
    repair.repair(embedded, verify.verify(embedded))


def test_merge_refuses_to_cut_rows_that_were_promised(embedded: Library) -> None:
    before = embedded.embeddings().copy()
    embedded.indices_path.rename(embedded.path / "away.npy")
    with pytest.raises(errors.LibraryDamaged, match=r"indices\.npy"):
        merge_adopted(embedded)
    (embedded.path / "away.npy").rename(embedded.indices_path)

    assert (before == embedded.embeddings()).all()


def test_a_dead_row_may_rot(embedded: Library, pictures: Path) -> None:
    (pictures / "picture_00007.jpg").unlink()
    row = embedded.catalogue._connection.execute(
        "SELECT embedding_index FROM images WHERE path LIKE '%00007%'"
    ).fetchone()[0]
    make_pictures(pictures, 1, first=7, size=(70, 50))
    scan.add(embedded, pictures)
    embed(embedded, QUIET, runner=Serial())
    merge(embedded)
    flip(embedded.embeddings_path, 128 + row * embedded.dimension * 2)

    assert [] == verify.verify(embedded)


def test_a_library_without_pictures_is_whole(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with make_library(tmp_path / "library", tmp_path / "empty") as library:
        assert [] == verify.verify(library)
