"""Pictures in zip and tar files: found, embedded, searched, and whatever may be wrong with an archive."""

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sources.conftest import counts, embedded

from pixfind.images import source
from pixfind.images.source import archives
from pixfind.library import roots, scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_library, make_pictures
from pixfind.testing.archives import tarred, zipped

Make = Callable[[Path, dict[str, bytes]], Path]


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.write_bytes(zipped(members, method))
    return path


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.write_bytes(tarred(members))
    return path


def make_tgz(path: Path, members: dict[str, bytes]) -> Path:
    path.write_bytes(gzip.compress(tarred(members)))
    return path


def add(library: Library, path: Path) -> ScanReport:
    return scan.add(library, path, in_archives=True)


def outcomes(library: Library) -> dict[str, tuple[str | None, str | None]]:
    rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images WHERE gone = 0")
    return {path.partition(archives.MARK)[2]: (outcome, reason) for path, outcome, reason in rows}


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.zip", make_zip),
        ("A.ZIP", make_zip),
        ("comic.cbz", make_zip),
        ("stored.zip", lambda path, members: make_zip(path, members, zipfile.ZIP_STORED)),
        ("bzip2.zip", lambda path, members: make_zip(path, members, zipfile.ZIP_BZIP2)),
        ("lzma.zip", lambda path, members: make_zip(path, members, zipfile.ZIP_LZMA)),
        ("shard-000.tar", make_tar),
        ("shard-000.tar.gz", make_tgz),
        ("SHARD.TGZ", make_tgz),
        ("not-compressed.tar.gz", make_tar),
    ],
)
def test_members_are_images_with_the_embeddings_of_the_same_files(
    library: Library, images: dict[str, bytes], name: str, make: Make, tmp_path: Path
) -> None:
    path = make(tmp_path / "pictures" / name, images)
    assert (10, 10) == (add(library, path.parent).new, embedded(library))

    assert dict.fromkeys(images, ("embedded", None)) == outcomes(library)
    with make_library(tmp_path / "files", tmp_path / "drawn") as other:
        (rows, files) = (
            {
                Path(location).name: made.embeddings()[row].tobytes()
                for location, row in made.catalogue._connection.execute("SELECT path, embedding_index FROM images")
            }
            for made in (library, other)
        )
    assert rows == files


def test_an_archive_may_be_added_by_itself(library: Library, images: dict[str, bytes], tmp_path: Path) -> None:
    path = make_zip(tmp_path / "2019.zip", images)
    assert 10 == scan.add(library, path).new
    assert 10 == embedded(library)
    assert 0 == scan.add(library, path).new


def test_archives_below_a_folder_are_counted_and_looked_into_only_when_that_was_requested(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    make_zip(tmp_path / "pictures" / "2019.zip", images)
    report = scan.add(library, tmp_path / "pictures")
    assert (0, {".zip": 1}) == (report.new, dict(report.left_out))

    assert 10 == add(library, tmp_path / "pictures").new
    make_zip(tmp_path / "pictures" / "2020.zip", {"new.jpg": images["trip/picture_00000.jpg"]})
    assert 1 == scan.add(library, tmp_path / "pictures").new, "the folder remembers it"


def test_what_is_no_picture_in_an_archive_is_left_out_and_counted(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    others = {"notes.txt": b"x", "clip.mp4": b"x", "IMG.PSD": b"x", "inner.zip": b"x"}
    path = make_zip(tmp_path / "pictures" / "2019.zip", images | others)
    for _ in range(2):
        report = add(library, path.parent)
        assert {".mp4": 1, ".psd": 1, ".zip": 1} == dict(report.left_out), "the same when it is not read again"
        assert 10 == report.seen
    assert 10 == library.catalogue.ledger()["seen"]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("./trip/a.jpg", "trip/a.jpg"),
        ("/etc/a.jpg", "etc/a.jpg"),
        ("../../a.jpg", "../../a.jpg"),
        ("trip//./a.jpg", "trip/a.jpg"),
        ("a!/b!/c.jpg", "a!/b!/c.jpg"),
        ("x.zip!/c.jpg", "x.zip!/c.jpg"),
        ("Urlaub in Köln/日本.jpg", "Urlaub in Köln/日本.jpg"),
    ],
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_member_of_any_name_is_read_from_the_archive_and_nowhere_else(
    library: Library, images: dict[str, bytes], stored: str, shown: str, make: Make, tmp_path: Path
) -> None:
    path = make(
        tmp_path / "pictures" / f"a.{'zip' if make is make_zip else 'tar'}", {stored: images["trip/picture_00003.jpg"]}
    )
    add(library, path.parent)
    assert 1 == embedded(library)
    assert {shown: ("embedded", None)} == outcomes(library)
    assert images["trip/picture_00003.jpg"] == source.read(f"{path}!/{shown}").data


def test_a_name_that_is_not_utf_8_is_read(library: Library, images: dict[str, bytes], tmp_path: Path) -> None:
    path = make_tar(tmp_path / "pictures" / "a.tar", {os.fsdecode(b"caf\xe9.jpg"): images["trip/picture_00003.jpg"]})
    add(library, path.parent)
    assert 1 == embedded(library)


def test_a_folder_that_is_named_as_an_archive_is_a_folder(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    for folder in ("2019.zip", "2020.tar!"):
        (tmp_path / "pictures" / folder).mkdir()
        (tmp_path / "pictures" / folder / "a.jpg").write_bytes(images["trip/picture_00003.jpg"])
    assert 2 == add(library, tmp_path / "pictures").new
    assert 1 == embedded(library), "the second is a copy of the first"


# --- changes --------------------------------------------------------------------------------------


def test_an_archive_that_did_not_change_is_not_opened(
    filled: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_indexed", lambda path: pytest.fail(f"{path} was opened"))
    report = add(filled, tmp_path / "pictures")
    assert (10, {}) == (report.seen, counts(report))


def test_only_what_changed_in_an_archive_is_embedded_again(
    filled: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    (another,) = make_pictures(tmp_path / "more", 1, first=70)
    changed = dict(images) | {
        "trip/picture_00004.jpg": another.read_bytes(),
        "trip/new.jpg": images["trip/picture_00001.jpg"],
    }
    del changed["trip/picture_00007.jpg"]
    make_zip(tmp_path / "pictures" / "2019.zip", changed)

    assert {"new": 1, "changed": 1, "gone": 1} == counts(add(filled, tmp_path / "pictures"))
    assert 1 == embedded(filled), "the new one has the bytes of one that is there"


def test_an_archive_that_goes_away_and_returns_costs_nothing(filled: Library, tmp_path: Path) -> None:
    place = tmp_path / "pictures" / "2019.zip"
    (tmp_path / "pictures" / "other.jpg").write_bytes(next((tmp_path / "drawn").iterdir()).read_bytes())
    place.rename(tmp_path / "away.zip")
    assert {"new": 1, "gone": 10} == counts(add(filled, tmp_path / "pictures"))
    (tmp_path / "away.zip").rename(place)
    assert {"returned": 10} == counts(add(filled, tmp_path / "pictures"))
    assert 0 == embedded(filled)


def test_an_archive_that_is_moved_is_not_embedded_again(filled: Library, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "trips").mkdir()
    (tmp_path / "pictures" / "2019.zip").rename(tmp_path / "pictures" / "trips" / "nineteen.zip")
    assert {"moved": 10} == counts(add(filled, tmp_path / "pictures"))
    assert 0 == embedded(filled)


def test_an_unpacked_archive_is_recognised_by_its_bytes(filled: Library, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pictures" / "2019.zip") as archive:
        archive.extractall(tmp_path / "pictures")
    (tmp_path / "pictures" / "2019.zip").unlink()
    assert {"new": 10, "gone": 10} == counts(add(filled, tmp_path / "pictures"))
    assert 10 == filled.merged_rows
    embedded(filled)
    assert 10 == filled.catalogue.ledger()["seen"]


def test_a_registered_archive_that_is_not_there_is_offline(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "2019.zip", images)
    scan.add(library, path)
    embedded(library)
    path.rename(tmp_path / "away")
    assert {"offline": 10} == counts(scan.add(library, path))
    (tmp_path / "away").rename(path)
    assert {} == counts(scan.add(library, path))


def test_members_are_excluded_by_name_and_path_and_included_again_with_the_archive(
    filled: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    assert {"excluded": 1} == counts(scan.add(filled, tmp_path / "pictures", ("2019.zip!/trip/picture_00003.jpg",)))
    assert {"excluded": 9} == counts(scan.add(filled, tmp_path / "pictures", ("trip",)))
    make_zip(tmp_path / "pictures" / "2020.zip", {"trip/a.jpg": b"x", "b.jpg": images["trip/picture_00003.jpg"]})
    assert {"new": 1} == counts(scan.add(filled, tmp_path / "pictures"))


@pytest.mark.parametrize("rule", ["2019.zip", "*.zip", "old/2019.zip"])
def test_members_of_an_archive_that_is_excluded_are_excluded_not_gone(
    library: Library, images: dict[str, bytes], rule: str, tmp_path: Path
) -> None:
    (tmp_path / "pictures" / "old").mkdir()
    make_zip(tmp_path / "pictures" / "old" / "2019.zip", images)
    (tmp_path / "pictures" / "a.jpg").write_bytes(images["trip/picture_00003.jpg"])
    add(library, tmp_path / "pictures")

    assert {"excluded": 10} == counts(scan.add(library, tmp_path / "pictures", (rule,)))
    roots.include(library, [str(tmp_path / "pictures")], [rule])
    assert {"returned": 10} == counts(scan.add(library, tmp_path / "pictures"))


def test_a_folder_of_archives_on_a_device_with_another_number_is_the_same(filled: Library, tmp_path: Path) -> None:
    filled.catalogue._connection.execute("UPDATE roots SET device = device + 1")
    assert {} == counts(add(filled, tmp_path / "pictures"))
