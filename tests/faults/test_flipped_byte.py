"""One byte of metadata.db that is no text any more: told by every command, found by `verify`, repaired without loss where that can be, and never copied."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.library import fulltext, repair, scan, verify
from pixfind.library.library import Library
from pixfind.testing import make_library, make_pictures
from pixfind.testing.commands import Commands
from pixfind.workflows.backup import backup


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_pictures(tmp_path / "pictures", 9)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    return tmp_path / "library"


def contents(folder: Path) -> dict[str, bytes]:
    """But for the mark that the next backup was begun."""
    return {
        str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.suffix != ".json" and path.is_file()
    }


def of_the_schema(content: bytearray) -> None:
    content[content.index(b"CREATE TABLE images") + 3] = 0xFF


def of_a_function(content: bytearray) -> None:
    content[content.index(b"substr(value, 1, 40)") + 4] = ord("p")


def of_a_path(content: bytearray) -> None:
    content[content.index(b"picture_00004.jpg") + 2] = 0xFF


def of_the_index_of_paths(content: bytearray) -> None:
    content[content.rindex(b"picture_00004.jpg") + 2] = 0xFF


def flip(place: Path, which: Callable[[bytearray], None]) -> None:
    content = bytearray((place / "metadata.db").read_bytes())
    which(content)
    (place / "metadata.db").write_bytes(content)


@pytest.mark.parametrize("which", [of_the_schema, of_a_path], ids=lambda which: which.__name__)
def test_every_command_says_that_the_database_is_damaged(
    place: Path, which: Callable[[bytearray], None], commands: Commands
) -> None:
    with Library.open(place) as library:
        backup(library, place.with_name("backup"))
    before = contents(place.with_name("backup"))
    flip(place, which)
    pictures = str(place.with_name("pictures"))
    for verb in (
        ["search-text", "sky"],
        ["add", pictures],
        ["export", "-", "--format", "jsonl"],
        ["backup", str(place.with_name("backup"))],
    ):
        done = commands.run(["--library", str(place), *verb])
        assert errors.LibraryDamaged.exit_code == done.returncode, done.stderr
        assert b"library/metadata.db is damaged: " in done.stderr
    assert before == contents(place.with_name("backup"))
    assert errors.LibraryDamaged.exit_code == commands.run(["--library", str(place), "verify"]).returncode

    done = commands.run(["--library", str(place), "verify", "--repair"])
    assert 0 == done.returncode, done.stderr
    assert b"Run `pixfind add`" in done.stderr
    with Library.open(place, write=True) as library:
        assert (1 if which is of_a_path else 9) == scan.add(library, Path(pictures)).moved
        assert 9 == library.catalogue.ledger()["embedded"]
        assert [] == verify.verify(library)


@pytest.mark.parametrize("which", [of_a_path, of_the_index_of_paths], ids=lambda which: which.__name__)
def test_a_byte_of_a_path_costs_nothing(place: Path, which: Callable[[bytearray], None]) -> None:
    flip(place, which)
    with Library.open(place) as library:
        assert ["database"] == [finding.code for finding in verify.verify(library)]
        with pytest.raises(errors.LibraryDamaged, match=r"library/metadata\.db is damaged"):
            backup(library, place.with_name("backup"))
    done = repair.rebuild_if_needed(place)

    assert done is not None
    assert not done.rebuilt
    with Library.open(place, write=True) as library:
        assert [] == verify.verify(library)
        report = scan.add(library, place.with_name("pictures"))
        assert (0, 0, which is of_a_path) == (report.new, report.gone, report.moved)
        assert [] == verify.verify(library)


def test_an_index_that_calls_a_function_that_there_is_not_is_damage(place: Path) -> None:
    flip(place, of_a_function)
    with Library.open(place) as library, pytest.raises(errors.LibraryDamaged, match="subspr"):
        verify.verify(library)
    done = repair.rebuild_if_needed(place)

    assert done is not None
    assert done.rebuilt
    with Library.open(place, write=True) as library:
        assert [] == repair.repair(library, verify.verify(library))


def test_text_that_no_index_has_is_found_too(place: Path) -> None:
    """What SQLite's own check passes over: a value, and the key of a table without a rowid."""
    with Library.open(place, write=True) as library:
        for statement in (
            "UPDATE images SET camera = CAST(x'ff41' AS TEXT) WHERE id = 3",
            "INSERT INTO archives VALUES (CAST(x'2f61ff' AS TEXT), 1, 1, 1, '{}')",
        ):
            library.catalogue._connection.execute(statement)
            assert ["database"] == [finding.code for finding in verify.verify(library)]
    done = repair.rebuild_if_needed(place)

    assert done is not None
    assert not done.rebuilt
    with Library.open(place) as library:
        assert [] == verify.verify(library)
    database = sqlite3.connect(place / "metadata.db")
    assert ("\ufffdA",) == database.execute("SELECT camera FROM images WHERE id = 3").fetchone()
    assert (r"/a\xff",) == database.execute("SELECT path FROM archives").fetchone()
    database.close()


def test_a_text_that_its_table_does_not_take_is_rebuilt(place: Path) -> None:
    with Library.open(place, write=True) as library:
        library.catalogue._connection.execute("PRAGMA ignore_check_constraints = ON")
        library.catalogue._connection.execute("UPDATE images SET outcome = CAST(x'ff' AS TEXT) WHERE id = 3")
    done = repair.rebuild_if_needed(place)

    assert done is not None
    assert done.rebuilt
    with Library.open(place, write=True) as library:
        assert [] == repair.repair(library, verify.verify(library))


def test_the_full_text_index_is_not_blamed_for_the_database(place: Path) -> None:
    flip(place, of_a_path)
    with Library.open(place) as library, pytest.raises(errors.LibraryDamaged, match=r"library/metadata\.db is damaged"):
        fulltext.update(library)
    assert repair.rebuild_if_needed(place)
