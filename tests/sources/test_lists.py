"""Lists of addresses as roots: found, embedded, searched, and whatever may be wrong with a list or with what it names."""

import csv
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import list_files, web
from pixfind.library import scan, scan_paths
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store, serving
from pixfind.workflows import embed as embedding
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Five pictures in "elsewhere", which is no root."""
    return make_pictures(tmp_path / "elsewhere", 5)


def add(library: Library, path: Path, **settings: object) -> ScanReport:
    return scan.add(library, path, settings=settings or None)


def embedded(library: Library) -> int:
    """Embed what is pending; return how many images got an embedding of their own."""
    done = embed(library, QUIET, runner=Serial()).outcomes.get("embedded", 0)
    merge(library)
    return done


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


def root_id(library: Library, path: Path) -> int:
    return next(root.id for root in library.catalogue.roots() if root.path == str(path))


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
    name: str, write: Callable[[Path, list[str]], Path], library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    # One path that is absolute, one that is relative to the list, one that is not in its simplest form, one twice.
    named = [str(pictures[0]), "elsewhere/" + pictures[1].name, f"{tmp_path}/x/..//elsewhere/{pictures[2].name}"]
    path = write(tmp_path / name, [*named, named[0]])

    report = add(library, path, column="url")

    assert (3, 0, 0) == (report.new, report.missing, report.invalid)
    assert 3 == embedded(library)
    assert {str(each) for each in pictures[:3]} == set(rows(library))
    again = add(library, path)
    assert 0 == again.new + again.changed + again.moved + again.returned + again.gone


def test_a_text_has_one_address_a_line(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf" + os.fsencode(pictures[0]) + b"\r\n\r\n  " + os.fsencode(pictures[1]) + b" ")

    assert 2 == add(library, path).new
    assert 2 == embedded(library)


def test_members_of_archives_are_named_as_the_library_names_them(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(pictures[0], "b/c.jpg")
    path = write_text(tmp_path / "list.txt", ["a.zip!/b/c.jpg", f"{tmp_path}/a.zip!/none.jpg"])

    report = add(library, path)

    assert (1, 1) == (report.new, report.missing)
    assert 1 == embedded(library)


def test_a_name_that_is_not_utf_8_is_found(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes(pictures[0].read_bytes())
    for suffix, data in (("txt", name + b"\n"), ("csv", b"url,n\n" + name + b",1\n")):
        path = tmp_path / f"list.{suffix}"
        path.write_bytes(data)
        assert 1 == scan.add(library, path, settings={"column": "url"} if suffix == "csv" else None).seen
    assert 1 == embedded(library)


def test_rfc_4180_quotes_and_newlines(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / 'a, "b"\nc.jpg'
    shutil.copy(pictures[0], odd)
    path = write_csv(tmp_path / "list.csv", [["note", "url"], ["two\nlines", odd], ['a "word"', pictures[1]]])

    assert 2 == add(library, path, column="url").new


def test_the_only_column_needs_no_name(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    assert 1 == add(library, write_csv(tmp_path / "list.csv", [["whatever"], [pictures[0]]])).new


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


def test_rows_without_an_address_are_counted_and_named(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    long = "/" + "a" * 10_000
    # The NUL lies behind what is looked at to tell texts from other files.
    lines = [
        *("n,url", f"1,{pictures[0]}", "2", "3,", "4,  ", f"5,{long}", f"6,{'b' * 70_000}"),
        *(f"7,{pictures[1]}\0.jpg", "", f"8,{pictures[2]}"),
    ]
    path = write_text(tmp_path / "list.csv", lines)

    report = add(library, path, column="url")

    assert (2, 6) == (report.new, report.invalid)
    assert f"{path}, row 3" in report.named["invalid"]


def test_json_values_that_are_no_texts_are_no_addresses(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    values: list[object] = [
        {"url": str(pictures[0])},
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
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    late = pictures[0].with_name("late.jpg")
    path = write_text(tmp_path / "list.txt", [pictures[0], late])
    report = add(library, path)
    assert (1, 1, [str(late)]) == (report.new, report.missing, report.named["missing"])

    shutil.copy(pictures[1], late)

    assert (1, 0) == ((report := add(library, path)).new, report.missing)
    assert 2 == embedded(library)


def test_what_no_source_can_read_fails_with_its_reason(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    text = pictures[0].with_name("text.jpg")
    text.write_text("no picture", "utf-8")
    (folder := pictures[0].parent / "folder.jpg").mkdir()
    unknown = "gopher://pictures.invalid/a.jpg"
    path = write_text(tmp_path / "list.txt", [text, pictures[0], folder, unknown])

    assert 4 == add(library, path).new
    assert 1 == embedded(library)
    found = rows(library)
    assert ["failed"] * 3 == [found[str(each)][0] for each in (text, folder, unknown)]
    assert "unreadable: no source reads gopher:// addresses" == found[unknown][1]


# --- lists that change ----------------------------------------------------------------------------


def test_what_a_list_names_no_more_is_gone_and_comes_back_for_nothing(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    path = write_text(tmp_path / "list.txt", pictures)
    add(library, path)
    assert 5 == embedded(library)

    write_text(path, pictures[:2])
    assert 3 == add(library, path).gone
    write_text(path, pictures[::-1])

    assert 3 == add(library, path).returned
    assert 0 == embedded(library)
    assert 5 == library.catalogue.ledger()["embedded"]


def test_changed_moved_and_deleted_files_are_found(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.txt", pictures)
    add(library, path)
    embedded(library)

    shutil.copy(pictures[0], pictures[1])
    pictures[2].unlink()
    pictures[3].rename(moved := pictures[3].with_name("moved.jpg"))
    write_text(path, [*pictures[:3], moved, pictures[4]])
    report = add(library, path)

    assert (1, 1, 1, 1) == (report.changed, report.moved, report.gone, report.missing)
    assert 0 == embedded(library)  # What was changed has the bytes of another.


def test_a_folder_that_is_not_there_takes_nothing_with_it(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    path = write_text(tmp_path / "list.txt", pictures)
    add(library, path)
    embedded(library)
    pictures[0].parent.rename(away := tmp_path / "away")

    report = add(library, path)
    assert (0, 1) == (report.gone, report.problems)
    assert [str(pictures[0].parent)] == report.named["problems"]
    # As an unplugged drive leaves it.
    pictures[0].parent.mkdir()
    assert 0 == add(library, path).gone
    assert 5 == library.catalogue.ledger()["embedded"]
    pictures[0].parent.rmdir()
    away.rename(pictures[0].parent)

    report = add(library, path)
    assert 0 == report.new + report.returned + report.problems
    assert 0 == embedded(library)


def test_a_damaged_archive_takes_nothing_with_it(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(archive := tmp_path / "a.zip", "w") as writing:
        writing.write(pictures[0], "a.jpg")
        writing.write(pictures[1], "b.jpg")
    path = write_text(tmp_path / "list.txt", ["a.zip!/a.jpg", "a.zip!/b.jpg", pictures[2]])
    add(library, path)
    embedded(library)
    whole = archive.read_bytes()

    archive.write_bytes(whole[:-10])
    assert ((report := add(library, path)).gone, report.problems) == (0, 1)
    with zipfile.ZipFile(archive, "w") as writing:
        writing.write(pictures[0], "a.jpg")

    assert 1 == add(library, path).gone


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.jsonl", "list.parquet"])
def test_a_list_that_went_away_or_is_broken_takes_nothing_with_it(
    name: str, library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    write = {"txt": write_text, "csv": _csv, "jsonl": _json, "parquet": _parquet}[name.partition(".")[2]]
    path = write(tmp_path / name, [str(each) for each in pictures])
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


def test_why_a_list_cannot_be_read_is_told(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    path = _csv(tmp_path / "list.csv", [str(each) for each in pictures])
    add(library, path, column="url")

    write_csv(path, [["link"], [pictures[0]]])
    report = add(library, path)

    assert [f"{path} (The list {path} has no column url.)"] == report.named["problems"]
    assert 0 == library.catalogue.ledger()["gone"]


def test_a_list_whose_end_cannot_be_read_takes_nothing_with_it(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    path = _json(tmp_path / "list.jsonl", [str(each) for each in pictures])
    add(library, path, column="url")
    text = path.read_text("utf-8")

    path.write_text(text[: text.rindex('"url"')], "utf-8")
    report = add(library, path)

    assert (4, 0, [f"{path} (line 5 is no JSON)"]) == (report.seen, report.gone, report.named["problems"])


def test_the_settings_of_a_list_are_remembered_and_replaced_one_by_one(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "list.csv", [["a", "b", "c"], [pictures[0], pictures[1], 1]])
    assert 1 == add(library, path, column="a").new
    with pytest.raises(errors.ColumnMissing):
        add(library, path, column="d")

    assert 1 == add(library, path, keep=["c"]).seen
    report = add(library, path, column="b")

    assert (1, 1) == (report.new, report.gone)


# --- addresses that other roots have --------------------------------------------------------------


def test_a_folder_owns_what_lies_in_it_whoever_names_it(library: Library, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures", 3)
    path = write_text(tmp_path / "list.txt", pictures)
    folder = root_id(library, tmp_path / "pictures")

    assert 3 == add(library, path).new
    assert {root_id(library, path)} == {root for _, _, root in rows(library).values()}
    for _ in range(2):
        assert 0 == scan.add(library, tmp_path / "pictures").new
        assert 0 == add(library, path).new
        assert {folder} == {root for _, _, root in rows(library).values()}
    assert 3 == embedded(library)

    # What the list names no more stays with the folder; what goes from the folder goes.
    write_text(path, pictures[1:])
    pictures[1].unlink()
    gone = [add(library, path).gone, scan.add(library, tmp_path / "pictures").gone]
    assert [0, 1] == gone
    assert {str(pictures[0]), str(pictures[2])} == set(rows(library))


def test_what_a_folder_leaves_out_a_list_may_name(library: Library, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures", 2)
    scan.add(library, tmp_path / "pictures")
    path = write_text(tmp_path / "list.txt", pictures)
    add(library, path)

    assert 1 == scan.add(library, tmp_path / "pictures", (pictures[0].name,)).excluded
    add(library, path)
    for _ in range(2):
        scan.add(library, tmp_path / "pictures")
        add(library, path)
        assert root_id(library, path) == rows(library)[str(pictures[0])][2]
    assert 2 == embedded(library)


def test_an_image_of_two_lists_goes_with_the_last_of_them(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    one, two = (write_text(tmp_path / f"{name}.txt", pictures[:2]) for name in ("one", "two"))
    add(library, one)
    assert 0 == add(library, two).new
    assert 2 == embedded(library)

    write_text(one, pictures[:1])
    assert (1, 1) == (add(library, one).gone, add(library, two).returned)
    write_text(two, pictures[:1])
    assert 1 == add(library, two).gone
    assert 0 == embedded(library)


def test_a_list_inside_a_folder_is_read_with_it(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    path = write_text(tmp_path / "pictures" / "list.txt", pictures[:1])
    add(library, path)
    write_text(path, pictures[:2])

    assert 1 == scan.add(library, tmp_path / "pictures").new


def test_a_changed_list_is_scanned_where_its_path_is_told(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    path = write_text(tmp_path / "list.txt", pictures[:1])
    add(library, path)
    write_text(path, pictures[:3])

    assert scan_paths.may_matter(library, str(path))
    assert 2 == scan_paths.scan_paths(library, [str(path)]).new


def test_entries_can_be_excluded(library: Library, pictures: list[Path], tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.txt", pictures)
    add(library, path)

    assert 1 == scan.add(library, path, (pictures[0].name,)).excluded


# --- addresses of other machines ------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A web server with five pictures below /photos/; nobody waits for it."""
    monkeypatch.setattr(web, "_STRANGERS_PATIENCE", 0.0)
    monkeypatch.setattr(embedding, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving() as made:
        for path in make_pictures(tmp_path / "drawn", 5):
            made.put(path.name, path.read_bytes())
        yield made
    source.use(())


def test_pictures_on_web_servers_are_fetched_once_each(library: Library, server: Store, tmp_path: Path) -> None:
    addresses = [f"{server.address}/photos/{name}" for name in (*sorted(server.objects), "none.jpg")]
    server.put("copy.jpg", next(iter(server.objects.values())).data)
    path = write_text(tmp_path / "list.txt", [*addresses, f"{server.address}/photos/copy.jpg"])

    assert 7 == add(library, path).new
    assert 0 == server.requests.total()
    assert 5 == embedded(library)

    assert {1} == {count for (method, key), count in server.requests.items() if method == "GET"}
    counts = library.catalogue.ledger()
    assert (5, 1, 1) == (counts["embedded"], counts["duplicate"], counts["failed"])
    assert "failed" == rows(library)[addresses[-1]][0]
    sizes = dict(library.catalogue._connection.execute("SELECT path, size FROM images WHERE outcome <> 'failed'"))
    assert {len(each.data) for each in server.objects.values()} == set(sizes.values())

    before = server.requests.total()
    report = add(library, path)
    assert (7, 0) == (report.seen, report.new + report.changed + report.moved + report.returned + report.gone)
    assert before == server.requests.total()


def test_a_web_server_that_was_away_is_asked_again_and_what_it_never_had_is_not(
    library: Library, server: Store, tmp_path: Path
) -> None:
    names = [*server.objects, "none.jpg"]
    path = write_text(tmp_path / "list.txt", [f"{server.address}/photos/{name}" for name in names])
    add(library, path)
    server.close()
    assert 0 == embedded(library)
    assert 6 == library.catalogue.ledger()["failed"]
    server.open()

    assert 5 == embedded(library)
    asked = server.requests["GET", "none.jpg"]
    assert asked
    assert 0 == embedded(library)
    assert asked == server.requests["GET", "none.jpg"]


def test_another_model_takes_what_nobody_looked_at_as_it_is(library: Library, server: Store, tmp_path: Path) -> None:
    """What was embedded for it is not embedded again because the other catalogue knows no size."""
    path = write_text(tmp_path / "list.txt", [f"{server.address}/photos/{name}" for name in server.objects])
    add(library, path)
    library.catalogue.copy_to(other := tmp_path / "other.db")
    assert 5 == embedded(library)
    with Catalogue(other, write=True) as unread:
        library.catalogue.sync_from(unread)

    assert 5 == library.catalogue.ledger()["embedded"]


def test_addresses_elsewhere_are_registered_without_a_look_at_them(library: Library, tmp_path: Path) -> None:
    # A name that nothing answers for: nobody asks.
    addresses = [f"https://pictures.invalid/{n}.jpg?size=large" for n in range(3)]
    path = write_text(tmp_path / "list.txt", addresses)

    assert 3 == add(library, path).new
    again = add(library, path)
    write_text(path, addresses[:1])
    fewer = add(library, path)
    write_text(path, addresses)
    more = add(library, path)

    assert (0, 0, 2, 2) == (again.new + again.changed, again.gone, fewer.gone, more.returned)
    assert set(addresses) == set(rows(library))


@pytest.mark.parametrize("time", ["9999999999", "9999999999999999", "9" * 400])
def test_a_moment_that_no_video_has_is_an_invalid_or_missing_row(
    library: Library, pictures: list[Path], tmp_path: Path, time: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")

    report = add(library, write_text(tmp_path / "list.txt", [f"{tmp_path}/a.mp4#t={time}", pictures[0]]))

    assert 1 == report.new


def test_an_address_with_a_password_is_not_stored(library: Library, tmp_path: Path) -> None:
    report = add(library, write_text(tmp_path / "list.txt", ["https://user:secret@127.0.0.1:9/x.jpg"]))

    assert (0, 1) == (report.new, report.invalid)
    assert b"secret" not in b"".join(file.read_bytes() for file in library.path.rglob("metadata.db*"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "url,license,license\na.jpg,cc0,cc-by\n"),
        ("list.jsonl", '{"url": "a.jpg", "license": "cc0", "license": "cc-by"}\n'),
        ("list.parquet", ""),
    ],
)
def test_a_column_that_is_there_twice_is_refused_where_it_is_used(
    library: Library, tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    if name.endswith(".parquet"):
        table = pa.Table.from_arrays([["a.jpg"], ["cc0"], ["cc-by"]], names=["url", "license", "license"])
        pq.write_table(table, path)

    with pytest.raises(errors.ColumnRepeated, match="license more than once"):
        add(library, path, column="url", keep=["license"])
    assert 1 == add(library, path, column="url").missing


def test_rows_that_say_something_else_of_one_image_are_named_and_the_first_counts(
    library: Library, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: list[list[object]] = [
        ["url", "license"],
        [pictures[0], "cc0"],
        [pictures[1], "x"],
        [pictures[0], "cc-by"],
        [pictures[0], "cc0"],
    ]
    path = write_csv(tmp_path / "list.csv", table)
    # In one batch, and in several.
    for size in (50_000, 1):
        monkeypatch.setattr("pixfind.images.source.protocol.BATCH", size)
        monkeypatch.setattr("pixfind.images.source.protocol._STEP", min(size, 64))
        report = add(library, path, column="url", keep=["license"])

        assert 1 == report.repeated
        assert str(pictures[0]) in report.named["repeated"][0]
        kept = dict(
            library.catalogue._connection.execute("SELECT path, value FROM fields JOIN images ON id = image_id")
        )
        assert {str(pictures[0]): "cc0", str(pictures[1]): "x"} == kept


def test_schemes_in_capitals_and_addresses_that_are_the_picture_itself(
    library: Library, server: Store, tmp_path: Path
) -> None:
    name = next(iter(server.objects))
    address = f"{server.address}/photos/{name}"
    rows_ = [address, address.replace("http", "HTTP"), "data:image/png;base64,iVBORw0KGgo=", "DATA:,x"]
    report = add(library, write_text(tmp_path / "list.txt", rows_))

    assert (1, 2) == (report.new, report.invalid)
    assert 1 == embedded(library)


def test_a_signature_in_an_address_comes_into_no_log(library: Library, server: Store, tmp_path: Path) -> None:
    add(
        library, write_text(tmp_path / "list.txt", [f"{server.address}/photos/none.jpg?X-Amz-Signature=not-to-be-seen"])
    )
    report = embed(library, QUIET)

    assert {"failed": 1} == report.outcomes
    said = "".join(path.read_text() for path in library.logs.iterdir())
    assert "/photos/none.jpg?..." in said
    assert "not-to-be-seen" not in said


def test_fields_of_a_list_that_libraries_divide_are_those_of_its_part(library: Library, tmp_path: Path) -> None:
    # So many that no part is without any: it is their paths that decide, and these differ from run to run.
    pictures = make_pictures(tmp_path / "elsewhere", 40, size=(8, 8))
    path = write_csv(tmp_path / "list.csv", [["url", "license"], *([each, "cc0"] for each in pictures)])
    report = add(library, path, column="url", keep=["license"], part="1/3")
    kept = library.catalogue.all_rows("images_of", "fields.sql", root_id=root_id(library, path))

    assert 0 < report.new == len(kept) < len(pictures)
