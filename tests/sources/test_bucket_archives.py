"""Archives in object storage: read by requests for parts of them, and never with the index of another version."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sources.conftest import counts

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import objects
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing.archives import stored, tarred, zipped
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store
from pixfind.workflows.embed import embed

pytest.importorskip("obstore")

ROOT = "s3://photos/backup"

Make = Callable[[dict[str, bytes]], bytes]


@pytest.fixture
def store(bucket: Store) -> Store:
    """An empty bucket."""
    return bucket


def add(library: Library, store: Store, root: str = ROOT) -> ScanReport:
    source.use(())
    return scan.add(library, root, settings={"endpoint": store.address}, in_archives=True)


def run(library: Library) -> dict[str, int]:
    return embed(library, QUIET, runner=Serial()).outcomes


def fetched(store: Store) -> int:
    return sum(count for (method, _), count in store.requests.items() if method == "GET")


@pytest.mark.parametrize(("name", "make"), [("a.zip", zipped), ("a.cbz", stored), ("a.tar", tarred)])
def test_members_are_registered_embedded_and_read_by_one_request_each(
    library: Library, store: Store, images: dict[str, bytes], name: str, make: Make
) -> None:
    store.put(f"backup/{name}", make(images))
    store.put("backup/alone.jpg", images["trip/picture_00000.jpg"])

    assert {"new": 11} == counts(add(library, store))
    looked_into = fetched(store)
    assert {"embedded": 10, "duplicate": 1} == run(library)
    # One for each picture; the picture that lies alone is one too.
    assert looked_into + 11 == fetched(store)
    for member, data in images.items():
        assert data == source.read(f"{ROOT}/{name}!/{member}").data


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_an_archive_that_did_not_change_is_not_asked_for(
    library: Library, store: Store, images: dict[str, bytes], name: str
) -> None:
    store.put(f"backup/{name}", (zipped if name == "a.zip" else tarred)(images))
    add(library, store)
    run(library)
    store.requests.clear()

    assert {} == counts(add(library, store))
    assert not any(key.endswith(name) for _, key in store.requests)


def test_of_a_large_archive_little_is_fetched_to_look_into_it(
    library: Library, store: Store, images: dict[str, bytes]
) -> None:
    large = {f"{number}.bin": bytes([number]) * 3_000_000 for number in range(8)}
    store.put("backup/a.tar", tarred(large | images))
    store.put("backup/b.zip", stored(large | images))

    assert {"new": 20} == counts(add(library, store))
    assert store.sent < 2_000_000


def test_a_tar_of_small_members_is_looked_into_by_few_requests(library: Library, store: Store) -> None:
    store.put("backup/a.tar", tarred({f"{number:05}.txt": b"x" * 900 for number in range(3_000)}))

    assert {} == counts(add(library, store))
    assert fetched(store) < 20


def test_members_change_with_their_archive(library: Library, store: Store, images: dict[str, bytes]) -> None:
    store.put("backup/a.zip", zipped(images))
    add(library, store)
    run(library)
    names = list(images)
    changed = {name: images[name] for name in names[1:]} | {
        names[1]: images[names[2]] + b"\0",
        "new.jpg": images[names[0]] + b"\0",
    }
    store.put("backup/a.zip", zipped(changed))

    assert {"new": 1, "changed": 1, "gone": 1} == counts(add(library, store))
    assert {"embedded": 2} == run(library)


def test_an_archive_that_is_exchanged_is_not_read_with_its_old_index(
    library: Library, store: Store, images: dict[str, bytes]
) -> None:
    names = list(images)
    store.put("backup/a.tar", tarred(images))
    add(library, store)
    location = f"{ROOT}/a.tar!/{names[3]}"
    assert images[names[3]] == source.read(location).data
    store.put("backup/a.tar", tarred({name: images[name] for name in reversed(names)}))

    with pytest.raises(errors.ModifiedDuringRead):
        source.read(location)
    assert images[names[3]] == source.read(location).data


def test_an_archive_by_itself_is_a_root(library: Library, store: Store, images: dict[str, bytes]) -> None:
    store.put("shards/0001.tar", tarred(images))
    store.put("shards/0002.tar", tarred({"a.jpg": images["trip/picture_00000.jpg"]}))

    assert {"new": 10} == counts(add(library, store, "s3://photos/shards/0001.tar"))
    assert {"embedded": 10} == run(library)
    assert {} == counts(add(library, store, "s3://photos/shards/0001.tar"))
    # The folder above it takes what is its own.
    assert {"new": 1} == counts(add(library, store, "s3://photos/shards"))
    del store.objects["shards/0001.tar"]
    assert {"offline": 10} == counts(add(library, store, "s3://photos/shards/0001.tar"))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.tar", b"no tar" * 200, "cannot be read"),
        ("a.zip", b"no zip" * 200, "cannot be read"),
        ("none.zip", None, "it is not there"),
    ],
)
def test_what_is_no_archive_is_refused(
    library: Library, store: Store, name: str, data: bytes | None, said: str
) -> None:
    if data is not None:
        store.put(f"backup/{name}", data)

    with pytest.raises((errors.ArchiveUnreadable, errors.StoreUnreachable), match=said):
        add(library, store, f"{ROOT}/{name}")


def test_a_compressed_tar_is_counted_and_not_fetched(library: Library, store: Store) -> None:
    store.put("backup/a.tar.gz", b"x" * 1000)
    store.put("backup/b.tgz", b"x" * 1000)

    assert {".tar.gz": 1, ".tgz": 1} == dict(add(library, store).left_out)
    assert 0 == store.sent


def test_archives_are_left_alone_where_nobody_asked_for_them(
    library: Library, store: Store, images: dict[str, bytes]
) -> None:
    store.put("backup/a.zip", zipped(images))
    source.use(())
    report = scan.add(library, ROOT, settings={"endpoint": store.address})

    assert ({}, {".zip": 1}, 0) == (counts(report), dict(report.left_out), store.sent)


@pytest.mark.parametrize("fault", ["throttled", "denied", "cut", "away"])
def test_what_is_known_of_an_archive_stays_while_it_cannot_be_looked_into(
    library: Library, store: Store, images: dict[str, bytes], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_LISTING_PATIENCE", 0.0)
    store.put("backup/a.tar", tarred(images))
    store.put("backup/b.jpg", images["trip/picture_00000.jpg"])
    add(library, store)
    run(library)
    store.put("backup/a.tar", tarred(dict(list(images.items())[:5])), modified=1_700_000_100)
    store.fault = lambda method, key: fault if method == "GET" and key.endswith(".tar") else None

    assert {"problems": 1} == counts(add(library, store))
    if fault == "away":
        store.open()
    store.fault = lambda _method, _key: None
    assert {"gone": 5} == counts(add(library, store))


@pytest.mark.parametrize("fault", ["throttled", "expired", "away"])
def test_no_member_fails_because_its_store_is_away(
    library: Library, store: Store, images: dict[str, bytes], fault: str
) -> None:
    store.put("backup/a.tar", tarred(images))
    add(library, store)
    store.fault = lambda method, _key: fault if method in ("GET", "HEAD", "LIST") else None
    report = embed(library, QUIET, runner=Serial())

    assert {} == report.outcomes
    assert 1 == len(report.left)
    if fault == "away":
        store.open()
    store.fault = lambda _method, _key: None
    assert {"embedded": 10} == after_return(library, store)


def after_return(library: Library, store: Store) -> dict[str, int]:
    add(library, store)
    return run(library)


def outcomes(library: Library) -> dict[str, Any]:
    return dict(library.catalogue._connection.execute("SELECT path, reason FROM images WHERE outcome <> 'embedded'"))


def test_one_member_that_is_damaged_fails_alone(library: Library, store: Store, images: dict[str, bytes]) -> None:
    data = bytearray(stored(images))
    at = data.index(images["trip/picture_00004.jpg"]) + 500
    data[at] ^= 0xFF
    store.put("backup/a.zip", bytes(data))
    add(library, store)

    assert {"embedded": 9, "failed": 1} == run(library)
    ((path, reason),) = outcomes(library).items()
    assert path.endswith("a.zip!/trip/picture_00004.jpg")
    assert "damaged: in its archive" in reason


def test_a_zip_whose_headers_are_longer_than_its_directory_says(
    library: Library, store: Store, images: dict[str, bytes]
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in images.items():
            entry = zipfile.ZipInfo(name, (2019, 5, 4, 3, 2, 0))
            entry.extra = b"\xfe\xca" + (4_000).to_bytes(2, "little") + b"\0" * 4_000
            archive.writestr(entry, data)
            # The directory is written at the end, and says nothing of it.
            entry.extra = b""
    store.put("backup/a.zip", made.getvalue())
    add(library, store)

    assert {"embedded": 10} == run(library)


def test_an_archive_in_an_archive_and_a_side_file(library: Library, store: Store, images: dict[str, bytes]) -> None:
    plain = make_plain(images)
    side = b'{"title": "a.jpg", "photoTakenTime": {"timestamp": "1556939000"}, "geoData": {"latitude": 10, "longitude": 20}}'
    store.put("backup/a.tar", tarred({"inner.zip": zipped(images), "a.jpg": plain, "a.jpg.json": side}))

    assert {"new": 11} == counts(add(library, store))
    assert 11 == sum(run(library).values())
    rows = library.catalogue._connection.execute("SELECT taken_at, latitude FROM images WHERE path LIKE '%!/a.jpg'")
    assert [(1_556_939_000, 10.0)] == rows.fetchall()


def make_plain(images: dict[str, bytes]) -> bytes:
    return images["trip/picture_00000.jpg"] + b"\0"


def test_a_list_may_name_a_member(library: Library, store: Store, images: dict[str, bytes], tmp_path: Path) -> None:
    store.put("backup/a.tar", tarred(images))
    add(library, store, f"{ROOT}/a.tar")
    (tmp_path / "list.txt").write_text(f"{ROOT}/a.tar!/trip/picture_00002.jpg\n")

    assert 0 == scan.add(library, tmp_path / "list.txt").new
    assert {"embedded": 10} == run(library)
