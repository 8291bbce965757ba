"""A backup is a library of its own, complete at every moment, made while others write."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import backup as generation_backup
from pixfind.library import commit, generations, scan, verify
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.library.merge import merge
from pixfind.search import searcher
from pixfind.testing import make_library, make_pictures
from pixfind.testing.commands import Commands
from pixfind.testing.libraries import QUIET
from pixfind.workflows import index as workflow
from pixfind.workflows import switch_model
from pixfind.workflows.backup import backup
from pixfind.workflows.build_index import build_index
from pixfind.workflows.embed import embed

CLIP = str(Path(__file__).parents[1] / "golden" / "clip-tiny")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def more(library: Library, pictures: Path, count: int, *, first: int = 100, merged: bool = True) -> None:
    """Embed `count` further pictures with the library's model."""
    model = library.model()
    assert model is not None
    make_pictures(pictures, count, first=first)
    with library.lock("index"):
        scan.add(library, pictures)
        embed(library, dataclasses.replace(QUIET, model=model.name), runner=Serial())
        if merged:
            merge(library)


def is_copy(place: Path, library: Library) -> bool:
    """Whether the folder is a consistent library that knows what `library` knows."""
    with Library.open(place) as made:
        assert [] == verify.verify(made)
        return made.catalogue.ledger() == library.catalogue.ledger()


def test_a_backup_answers_as_the_library_does(embedded: Library, place: Path) -> None:
    with embedded.lock("build-index"):
        build_index(embedded)
    done = backup(embedded, place)

    assert (40, 40, 40, 1) == (done.images, done.rows, done.copied_rows, done.models)
    assert is_copy(place, embedded)
    with Library.open(place) as made:
        assert made.index_path.exists()
        assert 40 == len(searcher.search(made, "name:picture", 50).hits)
        assert searcher.search(embedded, "sky", 5).hits == searcher.search(made, "sky", 5).hits
    assert [] == [*(place / "data").glob("*worker*")]
    assert json.loads((place / "backup.json").read_text())["backup_of"] == str(embedded.path)


def test_the_next_backup_copies_what_is_new(embedded: Library, pictures: Path, place: Path) -> None:
    backup(embedded, place)
    assert 0 == backup(embedded, place).copied_rows
    more(embedded, pictures, 3)

    assert 3 == backup(embedded, place).copied_rows
    assert is_copy(place, embedded)


def test_rows_that_wait_for_a_merge_are_in_it(embedded: Library, pictures: Path, place: Path) -> None:
    more(embedded, pictures, 3, merged=False)
    assert 43 == backup(embedded, place).copied_rows
    assert is_copy(place, embedded)
    # The copy has merged what the library has not.
    assert 0 == backup(embedded, place).copied_rows
    with embedded.lock("merge"):
        merge(embedded)
    more(embedded, pictures, 2, first=200)

    assert 2 == backup(embedded, place).copied_rows
    assert is_copy(place, embedded)


@pytest.mark.parametrize("when", [1, 2, 11, 12, 13])
def test_a_merge_in_between_loses_nothing(
    embedded: Library, pictures: Path, place: Path, when: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows move from a worker file to embeddings.npy, and other rows take their place, at each step of the copy."""
    monkeypatch.setattr(generation_backup, "_BATCH_ROWS", 4)
    more(embedded, pictures, 9, merged=False)
    ledger = embedded.catalogue.ledger()
    calls = 0

    def other_process(_done: int, _total: int | None) -> None:
        nonlocal calls
        calls += 1
        if calls == when:
            with Library.open(embedded.path, write=True) as writer:
                more(writer, pictures, 9, first=300)
                more(writer, pictures, 5, first=400, merged=False)

    assert 49 == backup(embedded, place, other_process).copied_rows
    assert calls >= when
    with Library.open(place) as made:
        assert [] == verify.verify(made)
        assert ledger == made.catalogue.ledger()
    assert 14 == backup(embedded, place).copied_rows
    assert is_copy(place, embedded)


def test_an_index_that_knows_more_rows_than_the_copy_is_left_out(embedded: Library, place: Path) -> None:
    with embedded.lock("build-index"):
        build_index(embedded)
    backup(embedded, place)
    shutil.copy(embedded.index_path, place / "data" / "faiss.index")
    with (place / "data" / "faiss.index").open("ab") as file:
        file.write(b"cut")
    embedded.index_path.unlink()
    backup(embedded, place)

    assert not (place / "data" / "faiss.index").exists()
    assert is_copy(place, embedded)


def test_every_model_that_the_library_keeps_is_in_it(embedded: Library, pictures: Path, place: Path) -> None:
    backup(embedded, place)
    switched = workflow.index(embedded, options=dataclasses.replace(QUIET, model=CLIP), runner=Serial())
    assert switched.previous is not None
    with Library.open(embedded.path, write=True) as library:
        more(library, pictures, 2)
        done = backup(library, place)
        assert 2 == done.models
        assert is_copy(place, library)
        assert generations.read(library.path) == generations.read(place)
        with Library.open(place, write=True) as made, made.lock("rollback"):
            assert switch_model.rollback(made)
    with Library.open(place) as made:
        assert "starter" == made.model().name  # type: ignore[union-attr]
        assert [] == verify.verify(made)


def test_a_library_without_embeddings_can_be_copied(library: Library, place: Path) -> None:
    assert 0 == backup(library, place).rows
    assert is_copy(place, library)
    with library.lock("embed"):
        embed(library, QUIET, runner=Serial())
    assert 40 == backup(library, place).copied_rows
    assert is_copy(place, library)


def test_a_damaged_row_is_not_copied_and_the_backup_before_stays(
    embedded: Library, pictures: Path, place: Path
) -> None:
    backup(embedded, place)
    before = embedded.catalogue.ledger()
    more(embedded, pictures, 3)
    intact = embedded.embeddings_path.read_bytes()
    embedded.embeddings_path.write_bytes(intact[:-7] + b"\xff" + intact[-6:])
    with pytest.raises(errors.LibraryDamaged, match="checksum"):
        backup(embedded, place)
    with Library.open(place) as made:
        assert [] == verify.verify(made)
        assert before == made.catalogue.ledger()
    embedded.embeddings_path.write_bytes(intact)


def refused(library: Library, place: Path) -> str:
    with pytest.raises(errors.BackupRefused) as caught:
        backup(library, place)
    return str(caught.value.fields["detail"])


def test_nothing_else_is_overwritten(embedded: Library, pictures: Path, place: Path, tmp_path: Path) -> None:
    assert "no backup.json" in refused(embedded, pictures)
    assert "part of the library" in refused(embedded, embedded.path)
    assert "part of the library" in refused(embedded, embedded.path / "data" / "x")
    assert "lies in it" in refused(embedded, embedded.path.parent)
    assert "a file" in refused(embedded, next(pictures.iterdir()))
    make_pictures(tmp_path / "others", 2, first=900)
    with make_library(tmp_path / "another", tmp_path / "others") as another:
        assert "no backup.json" in refused(embedded, another.path)
        backup(another, place)
        before = {path.name: path.read_bytes() for path in (place / "data").iterdir()}
        assert "knows nothing of" in refused(embedded, place)
    assert before == {path.name: path.read_bytes() for path in (place / "data").iterdir()}


def test_a_backup_that_became_a_library_is_not_overwritten(embedded: Library, pictures: Path, place: Path) -> None:
    backup(embedded, place)
    with Library.open(place, write=True) as made:
        more(made, pictures, 2)
    assert "knows nothing of" in refused(embedded, place)
    with Library.open(place) as made:
        assert 42 == made.catalogue.ledger()["embedded"]


def renumbered(place: Path) -> None:
    """Let the library at `place` be one that has switched its model, and pruned the one before."""
    (place / "models" / "2").mkdir(parents=True)
    for name in ("metadata.db", "data"):
        (place / name).rename(place / "models" / "2" / name)
    generations.publish(place, generations.Generations(active="models/2", last_number=2))


@pytest.mark.parametrize("first_is_renumbered", [False, True])
def test_a_backup_of_another_library_is_kept_whatever_its_generations(
    embedded: Library, place: Path, tmp_path: Path, first_is_renumbered: bool
) -> None:
    make_pictures(tmp_path / "others", 2, first=900)
    make_library(tmp_path / "another", tmp_path / "others").close()
    renumbered(tmp_path / "another")
    with Library.open(tmp_path / "another") as another:
        first, second = (another, embedded) if first_is_renumbered else (embedded, another)
        backup(first, place)
        assert "knows nothing" in refused(second, place)
        assert is_copy(place, first)


def test_a_model_that_was_pruned_leaves_the_backup_too(pictures: Path, place: Path, tmp_path: Path) -> None:
    with make_library(tmp_path / "switched", pictures) as library:
        backup(library, place)
        workflow.index(library, options=dataclasses.replace(QUIET, model=CLIP), runner=Serial())
    with Library.open(tmp_path / "switched", write=True) as library:
        with library.lock("prune"):
            switch_model.prune(library)
        assert 1 == backup(library, place).models
        assert is_copy(place, library)
    assert not (place / "metadata.db").exists()


def test_other_rows_are_not_appended_to(embedded: Library, pictures: Path, place: Path) -> None:
    backup(embedded, place)
    with Library.open(place) as made, made.merged(write=True) as rows:
        table, embeddings = rows.read(0, 40)
        rows.shorten(39)
        rows.append(table[:1], embeddings[:1])
    assert "not those of this library" in refused(embedded, place)
    more(embedded, pictures, 1)
    backup(embedded, other := place.with_name("other"))
    with Library.open(other) as made, made.merged(write=True) as rows:
        rows.append(table[:1], embeddings[:1])
    assert "42 embeddings, and this library 41" in refused(embedded, other)


def test_two_do_not_write_one_backup(embedded: Library, place: Path) -> None:
    backup(embedded, place)
    with Library.open(place, write=True) as made, made.lock("verify"):
        assert "another process" in refused(embedded, place)


def test_a_writer_is_not_waited_for(embedded: Library, place: Path) -> None:
    with embedded.lock("embed"):
        commit.adopt_and_trim(embedded)
        assert 40 == backup(embedded, place).rows


def test_a_model_that_changes_again_and_again_ends_it(
    embedded: Library, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(embedded, place)
    numbers = iter(range(2, 100))
    monkeypatch.setattr(generations, "read", lambda _path: generations.Generations(last_number=next(numbers)))
    with pytest.raises(errors.BackupOvertaken):
        backup(embedded, place)
    monkeypatch.undo()
    assert is_copy(place, embedded)


def emptied(place: Path) -> None:
    """What `: > metadata.db` leaves."""
    for path in place.glob("metadata.db-*"):
        path.unlink()
    (place / "metadata.db").write_bytes(b"")


def without_rows(place: Path) -> None:
    """All tables, and nothing in them."""
    emptied(place)
    Catalogue(place / "metadata.db", write=True).close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("damage", [emptied, without_rows], ids=lambda damage: damage.__name__)
def test_a_library_whose_database_was_emptied_is_not_copied_over_a_backup(
    pictures: Path, place: Path, tmp_path: Path, damage: Callable[[Path], None], commands: Commands
) -> None:
    make_library(tmp_path / "library", pictures).close()
    with Library.open(tmp_path / "library") as library:
        backup(library, place)
    damage(tmp_path / "library")
    before = contents(place)
    done = commands.run(["--library", str(tmp_path / "library"), "backup", str(place)])

    assert errors.LibraryDamaged.exit_code == done.returncode
    assert b"metadata.db is damaged" in done.stderr
    assert b"verify --repair" in done.stderr
    assert before == contents(place)
    with Library.open(place) as made:
        assert [] == verify.verify(made)


def test_a_library_that_lost_images_is_not_copied_over_a_backup(embedded: Library, place: Path) -> None:
    backup(embedded, place)
    before = contents(place)
    database = embedded.catalogue._connection
    database.execute("CREATE TEMP TABLE kept AS SELECT * FROM images WHERE id > 30")
    database.execute("DELETE FROM images WHERE id > 30")
    assert "40 images, and this library 30" in refused(embedded, place)
    assert before == contents(place)
    database.execute("INSERT INTO images SELECT * FROM kept")
    assert is_copy(place, embedded)


def test_a_backup_whose_database_was_emptied_is_made_again(embedded: Library, place: Path) -> None:
    backup(embedded, place)
    emptied(place)
    backup(embedded, place)

    assert is_copy(place, embedded)
