"""Which row a content has: found at once, whether it was embedded just now or is in the table, and only while an image points to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.library import contents, scan, verify
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library, ModelIdentity
from pixfind.types import EmbeddedImage, Fingerprint, ImageMetadata, Outcome


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Twenty files of their own size that wait."""
    (tmp_path / "pictures").mkdir()
    for number in range(20):
        (tmp_path / "pictures" / f"{number:02}.jpg").write_bytes(b"x" * (number + 1))
    with Library.create(tmp_path / "library") as opened:
        opened.remember_model(ModelIdentity("scripted", "0" * 64, 8, "fp16"))
        scan.add(opened, tmp_path / "pictures")
        yield opened


def content(number: int) -> bytes:
    return bytes([number]) * 16


def adopt(library: Library, number: int, row: int, of: int | None = None) -> Outcome | None:
    """Give a row to image `number`, with the content of its own or of another number."""
    image = library.catalogue.pending(after=number - 1, limit=1)[0]
    print_ = Fingerprint(image.size, image.mtime_ns, content(number if of is None else of))
    return library.catalogue.adopt_row(EmbeddedImage(image.image_id, print_, ImageMetadata()), row)


def indexed(library: Library) -> int:
    return int(library.catalogue._connection.execute("SELECT count(*) FROM contents").fetchone()[0])


def test_a_content_is_found_before_and_after_it_is_in_the_table(library: Library) -> None:
    assert Outcome.EMBEDDED == adopt(library, 1, 0)
    before = (library.catalogue.contents.row(content(1)), indexed(library))
    with library.catalogue.transaction():
        library.catalogue.contents.index()

    assert (0, 0) == before
    assert (0, 1) == (library.catalogue.contents.row(content(1)), indexed(library))
    assert library.catalogue.contents.row(content(2)) is None


@pytest.mark.parametrize("in_table", [False, True])
def test_a_copy_shares_the_row_and_keeps_it_when_the_first_changes(library: Library, in_table: bool) -> None:
    adopt(library, 1, 0)
    if in_table:
        with library.catalogue.transaction():
            library.catalogue.contents.index()

    assert Outcome.DUPLICATE == adopt(library, 2, 1, of=1)
    library.catalogue.run("changed_on_disk", image_id=1, size=1, mtime_ns=1)
    assert 0 == library.catalogue.contents.row(content(1))
    library.catalogue.run("changed_on_disk", image_id=2, size=1, mtime_ns=1)
    assert library.catalogue.contents.row(content(1)) is None


def test_another_process_finds_what_is_not_in_the_table_yet(library: Library) -> None:
    adopt(library, 1, 0)
    with library.catalogue.transaction():
        library.catalogue.contents.index()
    adopt(library, 2, 1)
    with Catalogue(library.catalogue.path) as reading:
        found = [reading.contents.row(content(number)) for number in (1, 2, 3)]

    assert [0, 1, None] == found


def test_a_transaction_that_fails_leaves_no_content_behind(library: Library) -> None:
    def fail() -> None:
        with library.catalogue.transaction():
            adopt(library, 1, 0)
            library.catalogue.contents.index()
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert library.catalogue.contents.row(content(1)) is None
    assert Outcome.EMBEDDED == adopt(library, 2, 0)
    assert 0 == library.catalogue.contents.row(content(2))


def test_the_table_is_written_once_many_are_new(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_MIN_ROWS", 4)
    written = []
    for number in range(1, 10):
        adopt(library, number, number - 1)
        with library.catalogue.transaction():
            library.catalogue.contents.index_when_many()
        written.append(indexed(library))

    assert [0, 0, 0, 4, 4, 4, 4, 8, 8] == written
    assert list(range(9)) == [library.catalogue.contents.row(content(number)) for number in range(1, 10)]


def test_a_few_new_contents_stay_out_of_the_table_at_the_end_of_a_run(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_MIN_ROWS_AT_END", 3)
    written = []
    for number in range(1, 5):
        adopt(library, number, number - 1)
        with library.catalogue.transaction():
            library.catalogue.contents.index_when_many(ended=True)
        written.append(indexed(library))

    assert [0, 0, 3, 3] == written


def test_contents_with_the_same_beginning_are_told_apart(library: Library) -> None:
    images = library.catalogue.pending(limit=2)
    for row, image in enumerate(images):
        print_ = Fingerprint(image.size, image.mtime_ns, b"same" * 3 + bytes([row]) * 4)
        library.catalogue.adopt_row(EmbeddedImage(image.image_id, print_, ImageMetadata()), row)
    with library.catalogue.transaction():
        library.catalogue.contents.index()

    assert [0, 1, None] == [library.catalogue.contents.row(b"same" * 3 + bytes([row]) * 4) for row in range(3)]


def test_a_table_that_has_lost_a_content_is_found_and_filled_again(library: Library) -> None:
    adopt(library, 1, 0)
    with library.catalogue.transaction():
        library.catalogue.contents.index()
    library.catalogue._connection.execute("DELETE FROM contents")
    codes = {finding.code for finding in verify._ledger(library)}
    with library.catalogue.transaction():
        library.catalogue.contents.rebuild()

    assert {"contents"} == codes
    assert (0, []) == (library.catalogue.contents.row(content(1)), list(verify._ledger(library)))
