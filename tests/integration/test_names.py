"""Names that are not UTF-8, and libraries made before these had a text: every program reads the database, every verb works."""

import contextlib
import os
import shutil
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import path_text, scan, sql, verify
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.search import duplicates, filters, searcher
from pixfind.testing import make_image, make_library
from pixfind.testing.libraries import QUIET
from pixfind.workflows import status
from pixfind.workflows.embed import embed

GOLDEN = Path(__file__).parents[1] / "golden" / "library-format-1.tar.xz"
"""A library of format 1 (commit d9509d3) and its pictures, which it knows below /srv/pictures."""

#: What the library above knows, as a person reads it.
TEXTS = {
    "broken.jpg",
    r"caf\x5cxe9.jpg",
    r"caf\xe9.jpg",
    "plain.jpg",
    r"stra\xdfe/copy.jpg",
    "über 雪.jpg",
}


def select_everything(library: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read every row of every table as any program would: without a word of ours."""
    with contextlib.closing(sqlite3.connect(library / "metadata.db")) as client:
        tables = [name for (name,) in client.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: client.execute(f"SELECT * FROM {table}").fetchall() for table in tables}  # noqa: S608  our names


def texts(library: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(library / "metadata.db")) as client:
        return {path for (path,) in client.execute("SELECT path FROM images")}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The old library, untouched."""
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "library"


@pytest.fixture
def moved(old: Path) -> Path:
    """The old library where its pictures are online: they lie beside it."""
    here = os.fsencode(old.parent / "pictures")
    with contextlib.closing(sqlite3.connect(old / "metadata.db", isolation_level=None)) as database:
        for table in ("images", "roots"):
            database.execute(
                f"UPDATE {table} SET path = CAST(CAST(:here AS BLOB) || substr(CAST(path AS BLOB), :rest) AS TEXT)",  # noqa: S608
                {"here": here, "rest": len(b"/srv/pictures") + 1},
            )
    return old


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose own name is not UTF-8, with a name that looks like how another one is written, and a copy of it."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/stra\xdfe"))
    folder.mkdir()
    for seed, name in enumerate([b"caf\xe9.jpg", rb"caf\xe9.jpg", b"plain.jpg"]):
        shutil.move(make_image(tmp_path / "made.jpg", seed=seed), folder / os.fsdecode(name))
    shutil.copy(folder / os.fsdecode(b"caf\xe9.jpg"), folder / os.fsdecode(b"copy \xff.jpg"))
    (folder / os.fsdecode(b"broken \xfe.jpg")).touch()
    return folder


def test_any_program_reads_every_table(odd: Path, tmp_path: Path) -> None:
    with make_library(tmp_path / "library", odd) as library:
        scan.add(library, odd, (os.fsdecode(b"*\xff*"),))
        everything = select_everything(library.path)

        text = path_text.to_text(odd)
        wanted = {r"caf\xe9.jpg", r"caf\x5cxe9.jpg", "plain.jpg", r"copy \xff.jpg", r"broken \xfe.jpg"}
        assert {f"{text}/{name}" for name in wanted} == texts(library.path)
        assert text == everything["roots"][0][1]
        assert any(r"excluded: *\xff*" in row for row in everything["images"])
        assert [] == verify.verify(library)


def test_inside_a_name_is_what_the_system_says(odd: Path, tmp_path: Path) -> None:
    with make_library(tmp_path / "library", odd) as library:
        known = {os.fsencode(path) for path, _, _ in library.catalogue.failures()}
        known |= {os.fsencode(hit.path) for hit in searcher.search(library, "sky", 10, include_weak=True).hits}
        (group,) = duplicates.find(library, near=False).groups

        assert {os.fsencode(path) for path in odd.iterdir()} - {os.fsencode(odd) + b"/copy \xff.jpg"} == known
        assert {b"caf\xe9.jpg", b"copy \xff.jpg"} == {os.fsencode(Path(member.path).name) for member in group.members}
        assert (5, 0, 0, 0) == tuple(getattr(scan.add(library, odd), kind) for kind in ("seen", "new", "moved", "gone"))


@pytest.mark.parametrize("glob", [os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg", os.fsdecode(b"*/stra\xdfe/caf\xe9*")])
def test_a_filter_takes_the_name_itself_and_what_was_copied_from_the_catalogue(
    odd: Path, tmp_path: Path, glob: str
) -> None:
    with make_library(tmp_path / "library", odd) as library:
        found = searcher.search(library, "sky", 10, filters.parse(inside=glob), include_weak=True).hits

    assert [b"caf\xe9.jpg"] == [os.fsencode(Path(hit.path).name) for hit in found]


def test_a_folder_that_is_not_utf8_is_renamed_and_emptied_as_any_other(odd: Path, tmp_path: Path) -> None:
    with make_library(tmp_path / "library", odd.parent) as library:
        (odd / "plain.jpg").unlink()
        odd.rename(odd.with_name(os.fsdecode(b"\xff")))
        report = scan.add(library, odd.parent)

        assert (4, 1, 0) == (report.moved, report.gone, report.new)
        assert [] == verify.verify(library)


# --- libraries of format 1 ------------------------------------------------------------------------


def test_the_old_library_is_what_no_program_could_read(old: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="decode"):
        select_everything(old)


@pytest.mark.parametrize("write", [False, True])
def test_an_old_library_is_migrated_when_it_is_opened(old: Path, *, write: bool) -> None:
    with Library.open(old, write=write) as library:
        assert [] == verify.verify(library)

    everything = select_everything(old)
    assert {f"/srv/pictures/{text}" for text in TEXTS} == texts(old)
    # Counts of files that are not read, whether archives are looked into, settings: what such a library says nothing of.
    assert [("/srv/pictures", "{}", 0, "{}"), (r"/srv/pictures/stra\xdfe", "{}", 0, "{}")] == [
        (row[1], *row[-3:]) for row in everything["roots"]
    ]


def test_an_old_library_goes_on_where_it_was(moved: Path) -> None:
    pictures = moved.parent / "pictures"
    with Library.open(moved, write=True) as library:
        before = dict(library.catalogue._connection.execute("SELECT id, embedding_index FROM images"))
        found = {os.fsencode(hit.path) for hit in searcher.search(library, "sky", 10, include_weak=True).hits}
        report = scan.add(library, pictures)
        done = embed(library, QUIET, runner=Serial())

        assert {os.fsencode(pictures) + b"/caf\xe9.jpg", os.fsencode(pictures) + rb"/caf\xe9.jpg"} <= found
        assert (6, 0, 0, 0) == (report.seen, report.new, report.moved, report.gone)
        assert 0 == done.images
        assert before == dict(library.catalogue._connection.execute("SELECT id, embedding_index FROM images"))
        assert {"embedded": 4, "duplicate": 1, "failed": 1}.items() <= status.status(library).images.items()
        assert [] == verify.verify(library)


def test_names_that_are_each_others_texts_are_all_kept(old: Path) -> None:
    """Whatever order rows are written in, no name may stand in another's way for an instant."""
    chain = [b"n\xe9", rb"n\xe9", rb"n\x5cxe9", rb"n\x5cx5cxe9"]
    with contextlib.closing(sqlite3.connect(old / "metadata.db", isolation_level=None)) as database:
        for name in (*chain, *(name.replace(b"n", b"m") for name in reversed(chain))):
            database.execute(
                "INSERT INTO images (root_id, path, size, mtime_ns) VALUES (1, CAST(? AS TEXT), 1, 1)", (name,)
            )
    with Catalogue(old / "metadata.db") as catalogue:
        known = {os.fsencode(image.path) for image in catalogue.pending()}

    assert {*chain, *(name.replace(b"n", b"m") for name in chain)} <= known


def test_an_old_library_that_nobody_may_write_is_read_as_before(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a copy that lasts as long as it is open; the file keeps its bytes."""
    before = (old / "metadata.db").read_bytes()
    # Root may write everywhere, so the question is answered for it; what SQLite then does is real.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with Library.open(old) as library:
        found = {os.fsencode(hit.path) for hit in searcher.search(library, "sky", 10, include_weak=True).hits}

    assert b"/srv/pictures/caf\xe9.jpg" in found
    assert before == (old / "metadata.db").read_bytes()


def test_two_processes_migrate_once(old: Path) -> None:
    """A second one that looked before the first had ended finds nothing left to do."""
    late = Catalogue.__new__(Catalogue)
    late.path, late.write = old / "metadata.db", True
    late._connection = late._connect()
    with Catalogue(old / "metadata.db", write=True), contextlib.closing(late):
        late._apply_migrations()
        assert {f"/srv/pictures/{text}" for text in TEXTS} == texts(old)


def test_a_newer_library_is_refused(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old / "metadata.db")) as database:
        database.execute(f"PRAGMA user_version = {len(sql.migrations()) + 1}")
    with pytest.raises(errors.NewerLibrary):
        Library.open(old)
