"""What lists name on other machines, and what other roots have too."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.conftest import embedded
from tests.sources.test_lists import add, rows, write_csv, write_text

from pixfind import errors
from pixfind.images import source
from pixfind.images.source import web
from pixfind.library import scan, scan_paths
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.testing import make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store, serving
from pixfind.workflows import embed as embedding
from pixfind.workflows.embed import embed


def root_id(library: Library, path: Path) -> int:
    return next(root.id for root in library.catalogue.roots() if root.path == str(path))


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
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    one, two = (write_text(tmp_path / f"{name}.txt", elsewhere[:2]) for name in ("one", "two"))
    add(library, one)
    assert 0 == add(library, two).new
    assert 2 == embedded(library)

    write_text(one, elsewhere[:1])
    assert (1, 1) == (add(library, one).gone, add(library, two).returned)
    write_text(two, elsewhere[:1])
    assert 1 == add(library, two).gone
    assert 0 == embedded(library)


def test_a_list_inside_a_folder_is_read_with_it(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    path = write_text(tmp_path / "pictures" / "list.txt", elsewhere[:1])
    add(library, path)
    write_text(path, elsewhere[:2])

    assert 1 == scan.add(library, tmp_path / "pictures").new


def test_a_changed_list_is_scanned_where_its_path_is_told(
    library: Library, elsewhere: list[Path], tmp_path: Path
) -> None:
    path = write_text(tmp_path / "list.txt", elsewhere[:1])
    add(library, path)
    write_text(path, elsewhere[:3])

    assert scan_paths.may_matter(library, str(path))
    assert 2 == scan_paths.scan_paths(library, [str(path)]).new


def test_entries_can_be_excluded(library: Library, elsewhere: list[Path], tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.txt", elsewhere)
    add(library, path)

    assert 1 == scan.add(library, path, (elsewhere[0].name,)).excluded


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
    library: Library, elsewhere: list[Path], tmp_path: Path, time: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")

    report = add(library, write_text(tmp_path / "list.txt", [f"{tmp_path}/a.mp4#t={time}", elsewhere[0]]))

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
    library: Library, elsewhere: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: list[list[object]] = [
        ["url", "license"],
        [elsewhere[0], "cc0"],
        [elsewhere[1], "x"],
        [elsewhere[0], "cc-by"],
        [elsewhere[0], "cc0"],
    ]
    path = write_csv(tmp_path / "list.csv", table)
    # In one batch, and in several.
    for size in (50_000, 1):
        monkeypatch.setattr("pixfind.images.source.protocol.BATCH", size)
        monkeypatch.setattr("pixfind.images.source.protocol._STEP", min(size, 64))
        report = add(library, path, column="url", keep=["license"])

        assert 1 == report.repeated
        assert str(elsewhere[0]) in report.named["repeated"][0]
        kept = dict(
            library.catalogue._connection.execute("SELECT path, value FROM fields JOIN images ON id = image_id")
        )
        assert {str(elsewhere[0]): "cc0", str(elsewhere[1]): "x"} == kept


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
