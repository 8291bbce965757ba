"""Fields that lists keep: how they are filtered by, everywhere, and what becomes of them."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pixfind
from pixfind import errors
from pixfind.library import fields, scan, verify
from pixfind.library.library import Library
from pixfind.search import where
from pixfind.search.filters import parse
from pixfind.search.searcher import Searcher
from pixfind.storage.output import Output
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows import export, export_file
from pixfind.workflows.index import index

VALUES = (
    {"license": "CC0", "width": "1200", "caption": "a dog, 100 % happy"},
    {"license": "cc-by", "width": "900", "caption": "A Dog_and a cat"},
    {"license": "cc0", "width": "90", "caption": "nothing"},
    {"license": "", "width": "about 1000", "caption": ""},
    {"license": "CC0", "width": "1.2e3", "caption": "x" * 60 + "é"},
    {"license": "2.0", "width": "", "caption": "x" * 60},
)


def write(path: Path, pictures: list[Path], values: tuple[dict[str, str], ...] = VALUES) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["url", *VALUES[0]])
        table.writeheader()
        table.writerows({"url": picture, **row} for picture, row in zip(pictures, values, strict=False))
    return path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_pictures(tmp_path_factory.mktemp("drawn"), len(VALUES))


def made_in(folder: Path, drawn: list[Path]) -> Iterator[Library]:
    (folder / "pictures").mkdir()
    with make_library(folder / "library", folder / "pictures", embed=False) as made:
        path = write(folder / "list.csv", drawn)
        index(made, [path], QUIET, settings={"column": "url", "keep": list(VALUES[0])})
        yield made
        assert [] == verify.verify(made)


@pytest.fixture
def library(tmp_path: Path, drawn: list[Path]) -> Iterator[Library]:
    """A library of one list, embedded. Ends with `verify`."""
    yield from made_in(tmp_path, drawn)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, drawn: list[Path]) -> Iterator[Library]:
    """The same for all tests that only search it."""
    yield from made_in(tmp_path_factory.mktemp("shared"), drawn)


def found(library: Library, *conditions: str) -> set[int]:
    """Return the numbers of the pictures that a search finds with these conditions."""
    with Searcher(library) as searcher:
        result = searcher.search("a picture of +red", 100, parse(where=conditions), include_weak=True)
    return {int(Path(hit.path).stem.rpartition("_")[2]) for hit in result.hits}


CONDITIONS = [
    ("license=cc0", {0, 2, 4}),
    ("license = CC0", {0, 2, 4}),
    ("license!=cc0", {1, 5}),
    ("license=2", {5}),
    ("license=2.0", {5}),
    ("width>900", {0, 4}),
    ("width>=900", {0, 1, 4}),
    ("width<900", {2}),
    ("width<=900", {1, 2}),
    ("width=1200", {0, 4}),
    ("width=1200.0", {0, 4}),
    ("width!=1200", {1, 2, 3}),
    ("width<b", {0, 1, 2, 3, 4}),
    ("license>cc", {0, 1, 2, 4}),
    ("license>cc0", set()),
    ("license<cc0", {1, 5}),
    ("caption~dog", {0, 1}),
    ("caption~dog_and", {1}),
    ("caption~0 % h", {0}),
    ("caption=" + "x" * 60, {5}),
    ("caption>" + "x" * 60, {4}),
    ("caption<=" + "x" * 60, {0, 1, 2, 5}),
    ("caption~É", set()),
    ("width~00", {0, 1, 3}),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_each_comparison(condition: str, expected: set[int], shared: Library) -> None:
    assert expected == found(shared, condition)
    # What the indexes give, before each is looked at, lacks none of them.
    ids = json.loads(where.candidates(shared.catalogue, where.parse([condition])) or "null")
    rows = shared.catalogue._connection.execute("SELECT id, path FROM images WHERE path LIKE '%picture%'")
    numbers = {int(Path(path).stem.rpartition("_")[2]) for image_id, path in rows if image_id in ids}
    assert expected <= numbers
    if "!=" not in condition:
        assert expected == numbers


def test_conditions_must_all_hold_and_go_with_other_filters_and_words(shared: Library, drawn: list[Path]) -> None:
    assert {0, 4} == found(shared, "license=cc0", "width>100")
    with Searcher(shared) as searcher:
        filters = parse(where=["license=cc0"], inside=drawn[0].name)
        assert [str(drawn[0])] == [hit.path for hit in searcher.search("red", 5, filters, include_weak=True).hits]
        assert 3 == len(searcher.search("name:picture", 5, parse(where="license=cc0")).hits)


def test_few_that_pass_are_found_among_many(tmp_path: Path) -> None:
    """More images than are looked at before the catalogue lists those that pass."""
    pictures = make_pictures(tmp_path / "pictures", 260)
    last = write(tmp_path / "list.csv", [pictures[7], pictures[199]], ({"license": "rare"}, {"license": "rare"}))
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as library:
        index(library, [tmp_path / "pictures", last], QUIET, settings={"column": "url", "keep": ["license"]})
        for words in ("red", "red -blue"):
            with Searcher(library) as searcher:
                hits = searcher.search(words, 5, parse(where="license=rare"), include_weak=True).hits
            assert {str(pictures[7]), str(pictures[199])} == {hit.path for hit in hits}


@pytest.mark.parametrize("text", ["license", "=cc0", "license=", "", "  ", "license = ", "< 5"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidFilter, match="NAME=VALUE"):
        parse(where=[text])


def test_more_conditions_than_anybody_needs_are_refused() -> None:
    with pytest.raises(errors.InvalidFilter, match="at most"):
        parse(where=["a=b"] * (where.MAX_CONDITIONS + 1))


def test_a_field_that_no_list_keeps_is_refused_with_those_that_are(shared: Library) -> None:
    with pytest.raises(errors.InvalidFilter, match=r"licence.*the lists keep caption, license, width"):
        found(shared, "licence=cc0")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("1200", 1200), (" -2.5e3 ", -2500), ("+.5", 0.5), ("007", 7), ("5.", 5)),
        *(
            (text, None)
            for text in ("", "nan", "inf", "1,200", "0x1f", "1e999", "1_000", "1 2", "٣", "1234567890123456789")
        ),
    ],
)
def test_what_counts_as_a_number(text: str, number: float | None) -> None:
    assert number == fields.number(text)


def test_fields_follow_the_list(library: Library, drawn: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    write(path, drawn, ({**VALUES[0], "license": "mit"}, VALUES[1], {**VALUES[2], "license": ""}, *VALUES[3:5]))
    scan.add(library, path)
    assert {0} == found(library, "license=mit")
    assert {4} == found(library, "license=cc0")
    assert {0, 1, 2, 3, 4} == found(library, "width!=5")

    # What cannot be looked at keeps what was said of it.
    path.write_text("url,license\n", "utf-8")
    assert 1 == scan.add(library, path).problems
    assert {0} == found(library, "license=mit")

    write(path, drawn)
    scan.add(library, path, settings={"keep": ["width"]})
    with pytest.raises(errors.InvalidFilter):
        found(library, "license=cc0")
    assert {0, 4} == found(library, "width=1200")


def test_a_folder_that_has_the_picture_too_takes_no_field_from_it(tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures", 3)
    path = write(tmp_path / "list.csv", pictures)
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as library:
        index(library, [path], QUIET, settings={"column": "url", "keep": ["license"]})
        index(library, [tmp_path / "pictures"], QUIET)
        index(library, (), QUIET)
        assert {0, 2} == found(library, "license=cc0")
        write(path, pictures[:1])
        index(library, (), QUIET)
        assert {0} == found(library, "license=cc0")
        assert 3 == library.catalogue.ledger()["embedded"]
        assert [] == verify.verify(library)


def test_the_fields_are_exported(shared: Library, tmp_path: Path) -> None:
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        path = tmp_path / name
        export_file.export_file(shared, Output.at(path), export_file.Format.of(path))
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()

    expected = [{name: value or None for name, value in row.items()} for row in VALUES]
    frame = export.to_pandas(shared)
    for read in (rows, lines, table, frame.astype(object).where(frame.notna(), None).to_dict("records")):
        by_path = {Path(row["path"]).stem[-1]: row for row in read}
        got = [{name: by_path[str(n)][f"field.{name}"] or None for name in VALUES[0]} for n in range(len(VALUES))]
        assert expected == got


def test_python_takes_conditions(shared: Library, drawn: list[Path]) -> None:
    with pixfind.open(shared.path) as opened:
        assert {str(drawn[0]), str(drawn[4])} == {
            hit.path for hit in opened.search("red", where=["license=cc0", "width>100"], include_weak=True)
        }
        assert dict(VALUES[0]) == dict(next(iter(opened.images())).fields)


def test_a_switch_of_the_model_keeps_the_fields(library: Library) -> None:
    database = library.catalogue.path
    with sqlite3.connect(database) as connection:
        before = set(connection.execute("SELECT * FROM fields"))
    other = database.with_name("other.db")
    library.catalogue.copy_to(other)
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE fields SET value = 'x' WHERE image_id = 1")
        connection.execute("DELETE FROM fields WHERE image_id = 2")
        connection.execute("INSERT INTO fields VALUES (99, 'a', 1, 'b', NULL)")
    connection.close()
    from pixfind.library.catalogue import Catalogue

    with Catalogue(other, write=True) as staged:
        staged.sync_from(library.catalogue)
    with sqlite3.connect(other) as connection:
        assert before == set(connection.execute("SELECT * FROM fields"))
    connection.close()
    other.unlink()


def test_what_a_list_says_in_words_is_found_as_a_name_is(library: Library, tmp_path: Path, drawn: list[Path]) -> None:
    def named(words: str) -> list[str]:
        with Searcher(library) as opened:
            return sorted(hit.path for hit in opened.search(f"name:{words}", 20).hits)

    assert sorted(map(str, drawn[:2])) == named("dog")
    assert [str(drawn[2])] == named("nothing cc0")
    assert [] == named("1200")

    write(tmp_path / "list.csv", drawn, ({**VALUES[0], "caption": "a horse"}, *VALUES[1:]))
    index(library, (), QUIET)
    assert [str(drawn[0])] == named("horse")
    assert [str(drawn[1])] == named("dog")
