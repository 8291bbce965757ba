"""Names are found as they are now, whatever became of the files and of the index."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import fulltext, repair, verify
from pixfind.library.library import Library
from pixfind.search import filters, searcher
from pixfind.testing import copy_library, make_image
from pixfind.testing.libraries import QUIET
from pixfind.workflows.index import index

NAMES = (
    "2023/Invoices/dentist_may.jpg",
    "2023/Invoices/garage_june.jpg",
    "2024/Beach/DSC_0001.jpg",
    "2024/Strand 海邊/x.png",
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of pictures with names; to be copied."""
    place = tmp_path_factory.mktemp("named")
    for seed, name in enumerate(NAMES):
        make_image(place / "pictures" / name, seed=seed)
    with Library.create(place / "library") as made:
        refresh(made, place / "pictures")
    return place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def library(original: Path, place: Path) -> Iterator[Library]:
    with copy_library(original, place) as made:
        yield made


def refresh(library: Library, *folders: Path) -> None:
    index(library, folders, QUIET, runner=Serial())


def named(library: Library, query: str, **options: object) -> list[str]:
    hits = searcher.search(library, query, 20, **options).hits  # type: ignore[arg-type]
    return sorted(Path(hit.path).name for hit in hits)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name:dentist", ["dentist_may.jpg"]),
        ("name:invoice", ["dentist_may.jpg", "garage_june.jpg"]),
        ('name:"invoice june"', ["garage_june.jpg"]),
        ("name:2023 -name:june", ["dentist_may.jpg"]),
        ("name:invoices +name:2023 +name:may", ["dentist_may.jpg"]),
        ("name:海", ["x.png"]),
        ("name:海邊", ["x.png"]),
        ("name:DSC_0001", ["DSC_0001.jpg"]),
        ("name:pictures", ["DSC_0001.jpg", "dentist_may.jpg", "garage_june.jpg", "x.png"]),
        ("name:nothing", []),
        ("name:invoice -name:2023", []),
    ],
)
def test_images_are_found_by_their_names(library: Library, query: str, names: list[str]) -> None:
    assert names == named(library, query)


def test_folders_above_the_registered_one_say_nothing(library: Library) -> None:
    assert [] == named(library, f"name:{library.path.parent.name}")


def test_names_narrow_what_pictures_are_ranked(library: Library) -> None:
    every = [hit.image_id for hit in searcher.search(library, "id:1", 20).hits]
    with_name = {hit.image_id for hit in searcher.search(library, "name:2023", 20).hits}
    without = [hit.image_id for hit in searcher.search(library, "id:1 -name:2023", 20).hits]

    assert [each for each in every if each in with_name] == [
        hit.image_id for hit in searcher.search(library, "id:1 name:2023", 20).hits
    ]
    assert [each for each in every if each not in with_name] == without


def test_filters_hold_for_names(library: Library) -> None:
    assert ["garage_june.jpg"] == named(library, "name:2023", filters=filters.parse(inside="*june*"))


def test_a_moved_file_is_found_by_its_new_name(library: Library, place: Path) -> None:
    (place / "pictures" / NAMES[0]).rename(place / "pictures" / "passport.jpg")
    refresh(library)

    assert ["passport.jpg"] == named(library, "name:passport")
    assert [] == named(library, "name:dentist")


def test_a_deleted_file_is_not_found_and_a_returned_one_is(library: Library, place: Path) -> None:
    away = place / "away.jpg"
    (place / "pictures" / NAMES[0]).rename(away)
    refresh(library)
    assert [] == named(library, "name:dentist")

    away.rename(place / "pictures" / NAMES[0])
    refresh(library)
    assert ["dentist_may.jpg"] == named(library, "name:dentist")


def test_a_copy_is_found_by_its_own_name(library: Library, place: Path) -> None:
    shutil.copy(place / "pictures" / NAMES[0], place / "pictures" / "passport.jpg")
    refresh(library)

    (hit,) = searcher.search(library, "name:passport").hits
    assert "passport.jpg" == Path(hit.path).name


def test_with_nothing_new_nothing_is_written(library: Library) -> None:
    assert fulltext.Changes(0, 0) == fulltext.update(library)


@pytest.mark.parametrize("damage", ["no table", "bytes", "no database", "other format", "trigger", "pages"])
def test_a_damaged_index_is_named_and_made_again(library: Library, damage: str) -> None:
    file = fulltext.path(library.data)
    match damage:
        case "bytes":
            file.write_bytes(b"no database" * 1_000)
        case "no database":
            file.unlink()
        case "pages":
            content = bytearray(file.read_bytes())
            content[4096:] = bytes(len(content) - 4096)
            file.write_bytes(content)
        case _:
            statement = {
                "no table": "DROP TABLE names_data",
                "other format": "UPDATE settings SET value = '0'",
                "trigger": "CREATE TRIGGER t AFTER INSERT ON named BEGIN DELETE FROM named; END",
            }[damage]
            connection = sqlite3.connect(file)
            connection.execute(statement)
            connection.commit()
            connection.close()
    with pytest.raises(errors.WordsNotIndexed, match="build-index"):
        named(library, "name:dentist")

    refresh(library)

    assert ["dentist_may.jpg"] == named(library, "name:dentist")
    assert [] == verify.verify(library)


def test_verify_finds_an_index_with_other_words_and_repair_deletes_it(library: Library) -> None:
    assert [] == verify.verify(library)
    with sqlite3.connect(fulltext.path(library.data)) as connection:
        connection.execute("UPDATE names_data SET block = zeroblob(length(block)) WHERE id > 10")
    connection.close()

    findings = verify.verify(library)
    assert ["fulltext"] == [finding.code for finding in findings]
    with library.lock("verify"):
        assert [] == repair.repair(library, findings)
    refresh(library)
    assert ["dentist_may.jpg"] == named(library, "name:dentist")


@pytest.mark.parametrize("empty", ["no bytes", "no tables"])
def test_verify_finds_an_empty_index_and_the_next_update_fills_it(library: Library, empty: str) -> None:
    file = fulltext.path(library.data)
    file.unlink()
    file.touch()
    if empty == "no tables":
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA user_version = 1")
    assert ["fulltext"] == [finding.code for finding in verify.verify(library)]

    refresh(library)
    assert ["dentist_may.jpg"] == named(library, "name:dentist")
    assert [] == verify.verify(library)


def test_a_word_that_the_model_does_not_know_is_looked_up_in_the_names(library: Library) -> None:
    result = searcher.search(library, "dentist", 5)
    assert ("dentist",) == result.in_names
    assert "search for name:dentist." in str(result.message())
    assert () == searcher.search(library, "dentists", 5).in_names
    assert () == searcher.search(library, "sky", 5).in_names


@pytest.mark.parametrize("letter", [0x96, 0x00, 0xFF])
def test_an_index_whose_definition_is_no_text_is_named_and_made_again(library: Library, letter: int) -> None:
    """sqlite3 cannot even say what is wrong with it."""
    file = fulltext.path(library.data)
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"tokenize")] = letter
    file.write_bytes(damaged)

    with pytest.raises(errors.WordsNotIndexed):
        named(library, "name:dentist")
    with library.lock("index"):
        fulltext.update(library, thorough=True)
    assert ["dentist_may.jpg"] == named(library, "name:dentist")


_KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
for number in range(2_000):
    database.execute("INSERT INTO named VALUES (?, ?, '', '')", (number + 10**6, "x" * 200))
os._exit(9)
"""


def test_a_search_answers_what_an_update_that_was_killed_left_and_the_next_one_mends_it(library: Library) -> None:
    file = fulltext.path(library.data)
    subprocess.run([sys.executable, "-c", _KILLED, str(file)], check=False)
    journal = file.with_name("fulltext.db-journal")
    assert journal.stat().st_size > 0

    with contextlib.suppress(errors.WordsNotIndexed):
        assert ["dentist_may.jpg"] == named(library, "name:dentist")
    with library.lock("index"):
        fulltext.update(library)
    assert not journal.exists()
    assert ["dentist_may.jpg"] == named(library, "name:dentist")
    fulltext.check(file)


def test_what_a_killed_update_left_is_not_applied_to_a_new_index(library: Library) -> None:
    file = fulltext.path(library.data)
    subprocess.run([sys.executable, "-c", _KILLED, str(file)], check=False)
    file.unlink()

    with library.lock("index"):
        fulltext.update(library)
    assert ["dentist_may.jpg"] == named(library, "name:dentist")
    fulltext.check(file)
