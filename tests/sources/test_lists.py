"""Lists of addresses as roots: found, embedded, searched, and whatever may be wrong with a list or with what it names."""

import csv
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.conftest import embedded

from pixfind import errors
from pixfind.images.source import list_files
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport


def add(library: Library, path: Path, **settings: object) -> ScanReport:
    return scan.add(library, path, settings=settings or None)


def rows(library: Library) -> dict[str, tuple[str | None, str | None, int]]:
    """Return path -> (outcome, reason, id of the root) of the images that are there."""
    found = library.catalogue._connection.execute("SELECT path, outcome, reason, root_id FROM images WHERE gone = 0")
    return {path: rest for path, *rest in map(tuple, found)}  # type: ignore[misc]


def write_csv(path: Path, table: Sequence[Sequence[object]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(table)
    return path


def write_text(path: Path, addresses: Sequence[object]) -> Path:
    path.write_text("".join(f"{address}\n" for address in addresses), "utf-8")
    return path


# --- what is read ---------------------------------------------------------------------------------


def _csv(path: Path, addresses: list[str]) -> Path:
    return write_csv(path, [["n", "url"], *([at, each] for at, each in enumerate(addresses))])


def _tsv(path: Path, addresses: list[str]) -> Path:
    return write_csv(path, [["n", "url"], *([at, each] for at, each in enumerate(addresses))], "\t")


def _excel(path: Path, addresses: list[str]) -> Path:
    return write_csv(path, [["n", "url"], *([at, each] for at, each in enumerate(addresses))], ";", "utf-8-sig")


def _wide(path: Path, addresses: list[str]) -> Path:
    return write_csv(path, [["n", "url"], *([at, each] for at, each in enumerate(addresses))], "\t", "utf-16")


def _json(path: Path, addresses: list[str]) -> Path:
    return write_text(path, [json.dumps({"n": at, "url": each}) for at, each in enumerate(addresses)])


def _parquet(path: Path, addresses: list[str]) -> Path:
    pq.write_table(pa.table({"n": range(len(addresses)), "url": addresses}), path, row_group_size=2)
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("list.csv", _csv),
        ("list.tsv", _tsv),
        ("semicolons.csv", _excel),
        ("wide.csv", _wide),
        ("list.jsonl", _json),
        ("list.NDJSON", _json),
        ("list.parquet", _parquet),
        ("list.pq", _parquet),
    ],
)
def test_what_each_kind_of_list_names_is_embedded_once(
    name: str, write: Callable[[Path, list[str]], Path], library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    # One path that is absolute, one that is relative to the list, one that is not in its simplest form, one twice.
    named = [str(elsewhere[0]), "elsewhere/" + elsewhere[1].name, f"{tmp_path}/x/..//elsewhere/{elsewhere[2].name}"]
    path = write(tmp_path / name, [*named, named[0]])

    report = add(library, path, column="url")

    assert (3, 0, 0) == (report.new, report.missing, report.invalid)
    assert 3 == embedded(library)
    assert {str(each) for each in elsewhere[:3]} == set(rows(library))
    again = add(library, path)
    assert 0 == again.new + again.changed + again.moved + again.returned + again.gone


def test_a_text_has_one_address_a_line(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf" + os.fsencode(elsewhere[0]) + b"\r\n\r\n  " + os.fsencode(elsewhere[1]) + b" ")

    assert 2 == add(library, path).new
    assert 2 == embedded(library)


def test_members_of_archives_are_named_as_the_library_names_them(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(elsewhere[0], "b/c.jpg")
    path = write_text(tmp_path / "list.txt", ["a.zip!/b/c.jpg", f"{tmp_path}/a.zip!/none.jpg"])

    report = add(library, path)

    assert (1, 1) == (report.new, report.missing)
    assert 1 == embedded(library)


def test_a_name_that_is_not_utf_8_is_found(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes(elsewhere[0].read_bytes())
    for suffix, data in (("txt", name + b"\n"), ("csv", b"url,n\n" + name + b",1\n")):
        path = tmp_path / f"list.{suffix}"
        path.write_bytes(data)
        assert 1 == scan.add(library, path, settings={"column": "url"} if suffix == "csv" else None).seen
    assert 1 == embedded(library)


def test_rfc_4180_quotes_and_newlines(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / 'a, "b"\nc.jpg'
    shutil.copy(elsewhere[0], odd)
    path = write_csv(tmp_path / "list.csv", [["note", "url"], ["two\nlines", odd], ['a "word"', elsewhere[1]]])

    assert 2 == add(library, path, column="url").new


def test_the_only_column_needs_no_name(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    assert 1 == add(library, write_csv(tmp_path / "list.csv", [["whatever"], [elsewhere[0]]])).new


# --- what is refused, before anything is registered -----------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.csv", b"url,a\n/x.jpg,1\n"),
        ("list.tsv", b"url\ta\n/x.jpg\t1\n"),
        ("list.jsonl", b'{"url": "/x.jpg", "a": 1}\n'),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_those_that_are(
    name: str, data: bytes, library: Library, tmp_path: Path
) -> None:
    (path := tmp_path / name).write_bytes(data)

    with pytest.raises(errors.ColumnMissing, match=r"no column link.\n.*: url, a"):
        add(library, path, column="link")
    with pytest.raises(errors.ColumnMissing, match="no column license"):
        add(library, path, column="url", keep=["license"])
    with pytest.raises(errors.ColumnNotNamed, match="--column NAME; it has url, a"):
        add(library, path)

    assert [str(tmp_path / "pictures")] == [root.path for root in library.catalogue.roots()]


@pytest.mark.parametrize(
    ("name", "data", "detail"),
    [
        ("list.csv", b"PK\3\4\0\0", "it is not text"),
        ("list.txt", b"\x89PNG\r\n\x1a\n\0\0\0", "it is not text"),
        ("list.jsonl", b"url,a\n/x.jpg,1\n", "line 1 is no JSON"),
        ("list.parquet", b"url,a\n/x.jpg,1\n", "[Pp]arquet"),
        ("list.parquet", b"", "[Pp]arquet"),
        ("list.csv", b'url\n"/x.jpg', "unexpected end of data"),
        ("list.txt", b"a" * (list_files.MAX_LINE + 1), "line 1 has more than"),
        ("list.txt", b"\xff\xfea", "truncated"),
    ],
)
def test_what_is_no_list_is_refused(name: str, data: bytes, detail: str, library: Library, tmp_path: Path) -> None:
    (path := tmp_path / name).write_bytes(data)

    with pytest.raises(errors.ListUnreadable, match=detail):
        add(library, path)

    assert 1 == len(library.catalogue.roots())


def test_a_list_that_is_not_there_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(errors.ListUnreadable, match="No such file"):
        add(library, tmp_path / "list.csv", column="url")


def test_a_parquet_file_needs_its_extra(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _parquet(tmp_path / "list.parquet", ["/x.jpg"])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(errors.ExtraNotInstalled, match=r"pixfind\[parquet\]"):
        add(library, path, column="url")


# --- rows that are no entries ---------------------------------------------------------------------


def test_rows_without_an_address_are_counted_and_named(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    long = "/" + "a" * 10_000
    # The NUL lies behind what is looked at to tell texts from other files.
    lines = [
        *("n,url", f"1,{elsewhere[0]}", "2", "3,", "4,  ", f"5,{long}", f"6,{'b' * 70_000}"),
        *(f"7,{elsewhere[1]}\0.jpg", "", f"8,{elsewhere[2]}"),
    ]
    path = write_text(tmp_path / "list.csv", lines)

    report = add(library, path, column="url")

    assert (2, 6) == (report.new, report.invalid)
    assert f"{path}, row 3" in report.named["invalid"]


def test_json_values_that_are_no_texts_are_no_addresses(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    values: list[object] = [
        {"url": str(elsewhere[0])},
        {"url": 5},
        {"url": None},
        {},
        [1],
        "x",
        7,
        {"url": ["a"]},
        {"url": "\ud800"},
    ]

    report = add(library, write_text(tmp_path / "list.jsonl", [json.dumps(each) for each in values]), column="url")

    assert (1, 8) == (report.new, report.invalid)


def test_an_entry_whose_file_is_not_there_is_missing_until_it_comes(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    late = elsewhere[0].with_name("late.jpg")
    path = write_text(tmp_path / "list.txt", [elsewhere[0], late])
    report = add(library, path)
    assert (1, 1, [str(late)]) == (report.new, report.missing, report.named["missing"])

    shutil.copy(elsewhere[1], late)

    assert (1, 0) == ((report := add(library, path)).new, report.missing)
    assert 2 == embedded(library)


def test_what_no_source_can_read_fails_with_its_reason(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    text = elsewhere[0].with_name("text.jpg")
    text.write_text("no picture", "utf-8")
    (folder := elsewhere[0].parent / "folder.jpg").mkdir()
    unknown = "gopher://pictures.invalid/a.jpg"
    path = write_text(tmp_path / "list.txt", [text, elsewhere[0], folder, unknown])

    assert 4 == add(library, path).new
    assert 1 == embedded(library)
    found = rows(library)
    assert ["failed"] * 3 == [found[str(each)][0] for each in (text, folder, unknown)]
    assert "unreadable: no source reads gopher:// addresses" == found[unknown][1]


# --- lists that change ----------------------------------------------------------------------------


def test_what_a_list_names_no_more_is_gone_and_comes_back_for_nothing(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    path = write_text(tmp_path / "list.txt", elsewhere)
    add(library, path)
    assert 5 == embedded(library)

    write_text(path, elsewhere[:2])
    assert 3 == add(library, path).gone
    write_text(path, elsewhere[::-1])

    assert 3 == add(library, path).returned
    assert 0 == embedded(library)
    assert 5 == library.catalogue.ledger()["embedded"]


def test_changed_moved_and_deleted_files_are_found(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.txt", elsewhere)
    add(library, path)
    embedded(library)

    shutil.copy(elsewhere[0], elsewhere[1])
    elsewhere[2].unlink()
    elsewhere[3].rename(moved := elsewhere[3].with_name("moved.jpg"))
    write_text(path, [*elsewhere[:3], moved, elsewhere[4]])
    report = add(library, path)

    assert (1, 1, 1, 1) == (report.changed, report.moved, report.gone, report.missing)
    assert 0 == embedded(library)  # What was changed has the bytes of another.


def test_a_folder_that_is_not_there_takes_nothing_with_it(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    path = write_text(tmp_path / "list.txt", elsewhere)
    add(library, path)
    embedded(library)
    elsewhere[0].parent.rename(away := tmp_path / "away")

    report = add(library, path)
    assert (0, 1) == (report.gone, report.problems)
    assert [str(elsewhere[0].parent)] == report.named["problems"]
    # As an unplugged drive leaves it.
    elsewhere[0].parent.mkdir()
    assert 0 == add(library, path).gone
    assert 5 == library.catalogue.ledger()["embedded"]
    elsewhere[0].parent.rmdir()
    away.rename(elsewhere[0].parent)

    report = add(library, path)
    assert 0 == report.new + report.returned + report.problems
    assert 0 == embedded(library)


def test_a_damaged_archive_takes_nothing_with_it(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(archive := tmp_path / "a.zip", "w") as writing:
        writing.write(elsewhere[0], "a.jpg")
        writing.write(elsewhere[1], "b.jpg")
    path = write_text(tmp_path / "list.txt", ["a.zip!/a.jpg", "a.zip!/b.jpg", elsewhere[2]])
    add(library, path)
    embedded(library)
    whole = archive.read_bytes()

    archive.write_bytes(whole[:-10])
    assert ((report := add(library, path)).gone, report.problems) == (0, 1)
    with zipfile.ZipFile(archive, "w") as writing:
        writing.write(elsewhere[0], "a.jpg")

    assert 1 == add(library, path).gone


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.jsonl", "list.parquet"])
def test_a_list_that_went_away_or_is_broken_takes_nothing_with_it(
    name: str, library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    write = {"txt": write_text, "csv": _csv, "jsonl": _json, "parquet": _parquet}[name.partition(".")[2]]
    path = write(tmp_path / name, [str(each) for each in elsewhere])
    add(library, path, **({} if name == "list.txt" else {"column": "url"}))
    embedded(library)
    whole = path.read_bytes()

    for broken in (None, b"", b"\0\0\0", whole[: len(whole) // 2] + b"\0"):
        path.unlink() if broken is None else path.write_bytes(broken)
        if name == "list.txt" and broken not in (None, b"", b"\0\0\0"):
            continue
        report = add(library, path)
        assert 0 == report.gone, broken
        assert 5 == library.catalogue.ledger()["embedded"], broken
    path.write_bytes(whole)

    report = add(library, path)
    assert (5, 0, 0) == (report.seen, report.new, report.offline)
    assert 0 == embedded(library)


def test_why_a_list_cannot_be_read_is_told(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    path = _csv(tmp_path / "list.csv", [str(each) for each in elsewhere])
    add(library, path, column="url")

    write_csv(path, [["link"], [elsewhere[0]]])
    report = add(library, path)

    assert [f"{path} (The list {path} has no column url.)"] == report.named["problems"]
    assert 0 == library.catalogue.ledger()["gone"]


def test_a_list_whose_end_cannot_be_read_takes_nothing_with_it(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    path = _json(tmp_path / "list.jsonl", [str(each) for each in elsewhere])
    add(library, path, column="url")
    text = path.read_text("utf-8")

    path.write_text(text[: text.rindex('"url"')], "utf-8")
    report = add(library, path)

    assert (4, 0, [f"{path} (line 5 is no JSON)"]) == (report.seen, report.gone, report.named["problems"])


def test_the_settings_of_a_list_are_remembered_and_replaced_one_by_one(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "list.csv", [["a", "b", "c"], [elsewhere[0], elsewhere[1], 1]])
    assert 1 == add(library, path, column="a").new
    with pytest.raises(errors.ColumnMissing):
        add(library, path, column="d")

    assert 1 == add(library, path, keep=["c"]).seen
    report = add(library, path, column="b")

    assert (1, 1) == (report.new, report.gone)
