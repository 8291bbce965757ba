"""Pictures in zip and tar files: found, embedded, searched, and whatever may be wrong with an archive."""

import contextlib
import dataclasses
import gzip
import io
import os
import shutil
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sources.conftest import counts

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import archive_index, archives, gzip_stream
from pixfind.library import roots, scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_library, make_pictures
from pixfind.testing.archives import tarred, zipped
from pixfind.testing.images import encode, picture
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge

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


def embedded(library: Library) -> int:
    """Embed what is pending; return how many images got an embedding of their own."""
    done = embed(library, QUIET, runner=Serial()).outcomes.get("embedded", 0)
    merge(library)
    return done


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


@pytest.fixture
def filled(library: Library, images: dict[str, bytes], tmp_path: Path) -> Library:
    """The library with the ten members of pictures/2019.zip, embedded."""
    make_zip(tmp_path / "pictures" / "2019.zip", images)
    add(library, tmp_path / "pictures")
    assert 10 == embedded(library)
    return library


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
        archive.extractall(tmp_path / "pictures")  # noqa: S202 - made by this test
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


# --- damage ---------------------------------------------------------------------------------------


def test_a_zip_that_is_cut_keeps_what_is_known_of_it(filled: Library, tmp_path: Path) -> None:
    path = tmp_path / "pictures" / "2019.zip"
    os.truncate(path, path.stat().st_size // 2)
    report = add(filled, path.parent)

    assert ({"problems": 1}, [f"{path} (File is not a zip file)"]) == (counts(report), report.named["problems"])
    assert 10 == filled.catalogue.ledger()["embedded"]


@pytest.mark.parametrize("cut", ["in a header", "in the data"])
def test_a_tar_that_is_cut_gives_what_comes_before(
    library: Library, images: dict[str, bytes], cut: str, tmp_path: Path
) -> None:
    path = make_tar(tmp_path / "pictures" / "a.tar", images)
    with tarfile.open(path) as archive:
        fifth = archive.getmembers()[4]
    os.truncate(path, fifth.offset + 200 if cut == "in a header" else fifth.offset_data + 5)

    report = add(library, path.parent)
    assert 1 == report.problems
    assert {"in a header": 4, "in the data": 4}[cut] == embedded(library)


def test_a_tar_with_a_damaged_header_loses_nothing_that_was_known(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    path = make_tar(tmp_path / "pictures" / "a.tar", images)
    add(library, path.parent)
    embedded(library)
    with tarfile.open(path) as archive:
        fifth = archive.getmembers()[4]
    with path.open("r+b") as file:
        file.seek(fifth.offset + 148)
        file.write(b"9" * 8)
    assert {"problems": 1} == counts(add(library, path.parent))
    assert 10 == library.catalogue.ledger()["embedded"]


def test_a_member_with_a_flipped_bit_fails_alone(library: Library, images: dict[str, bytes], tmp_path: Path) -> None:
    path = make_zip(tmp_path / "pictures" / "a.zip", images, zipfile.ZIP_STORED)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("trip/picture_00004.jpg").header_offset + 200
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    add(library, path.parent)

    assert 9 == embedded(library)
    outcome, reason = outcomes(library)["trip/picture_00004.jpg"]
    assert "failed" == outcome
    assert str(reason).startswith("damaged: in its archive: Bad CRC-32")


def patch_directory(path: Path, name: str, offset: int, value: bytes) -> None:
    """Overwrite a field of a member's entry in the directory of a zip."""
    data = bytearray(path.read_bytes())
    place = data.rindex(name.encode()) - 46
    assert b"PK\1\2" == data[place : place + 4]
    data[place + offset : place + offset + len(value)] = value
    path.write_bytes(data)


def test_an_encrypted_member_is_skipped_with_its_reason(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "pictures" / "a.zip", images)
    patch_directory(path, "trip/picture_00004.jpg", 8, struct.pack("<H", 1))
    add(library, path.parent)

    assert 9 == embedded(library)
    assert ("skipped", str(errors.EncryptedMember())) == outcomes(library)["trip/picture_00004.jpg"]


def test_a_member_that_claims_to_be_huge_is_not_unpacked(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "pictures" / "a.zip", images)
    patch_directory(path, "trip/picture_00004.jpg", 24, struct.pack("<I", 3 << 30))
    add(library, path.parent)

    assert 9 == embedded(library)
    assert "skipped" == outcomes(library)["trip/picture_00004.jpg"][0]


def test_a_bomb_gives_no_more_than_it_declares(library: Library, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "pictures" / "a.zip", {"bomb.jpg": bytes(50 << 20)})
    patch_directory(path, "bomb.jpg", 24, struct.pack("<I", 1_000))
    add(library, path.parent)

    assert 0 == embedded(library)
    assert "failed" == outcomes(library)["bomb.jpg"][0]


@pytest.mark.parametrize("method", [9, 98])
def test_a_compression_that_python_does_not_know_fails_its_member(
    library: Library, images: dict[str, bytes], method: int, tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "pictures" / "a.zip", images)
    patch_directory(path, "trip/picture_00004.jpg", 10, struct.pack("<H", method))
    add(library, path.parent)

    assert 9 == embedded(library)
    assert "failed" == outcomes(library)["trip/picture_00004.jpg"][0]


def test_of_two_members_of_one_name_the_last_is_the_image(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    first, second = (images[f"trip/picture_0000{n}.jpg"] for n in (1, 2))
    path = make_tar(tmp_path / "pictures" / "a.tar", {"./a.jpg": first, "a.jpg": second})
    add(library, path.parent)
    assert 1 == embedded(library)
    assert second == source.read(f"{path}!/a.jpg").data


def test_links_in_a_tar_lead_nowhere(library: Library, tmp_path: Path) -> None:
    secret = make_pictures(tmp_path / "elsewhere", 1)[0]
    with tarfile.open(tmp_path / "pictures" / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo(f"link-{kind!r}.jpg")
            entry.type, entry.linkname = kind, str(secret)
            archive.addfile(entry)
    assert 0 == add(library, tmp_path / "pictures").new


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\5\6" + bytes(18), bytes(10_240), os.urandom(4096)])
@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_what_is_no_archive_is_a_problem_or_empty(library: Library, content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "pictures" / name).write_bytes(content)
    report = add(library, tmp_path / "pictures")
    assert (0, 0) == (report.seen, report.new)
    empty = {"a.zip": b"PK\5\6" + bytes(18), "a.tar": bytes(10_240)}[name]
    assert (content != empty) == report.problems


def test_a_file_that_is_no_archive_is_refused_by_name(library: Library, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"hello")
    with pytest.raises(errors.ArchiveUnreadable, match=r"a\.zip cannot be read as an archive"):
        scan.add(library, tmp_path / "a.zip")
    with pytest.raises(errors.FolderNotReadable):
        scan.add(library, tmp_path / "missing.zip")
    assert [] == [root for root in library.catalogue.roots() if root.path.endswith(".zip")]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_an_archive_that_is_rewritten_between_its_index_and_a_member_is_never_read_at_the_wrong_place(
    images: dict[str, bytes], make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / f"a.{'zip' if make is make_zip else 'tar'}", images)
    kind = archive_index.Zip if make is make_zip else archive_index.Tar
    read = kind.read

    def rewritten_first(archive: object, name: str) -> bytes:
        make(path, {"first.jpg": bytes(5_000), **images})
        return read(archive, name)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(kind, "read", rewritten_first)
        with pytest.raises(errors.ModifiedDuringRead):
            source.read(f"{path}!/trip/picture_00004.jpg")
    assert images["trip/picture_00004.jpg"] == source.read(f"{path}!/trip/picture_00004.jpg").data


def test_an_archive_that_changes_while_it_is_embedded_is_noticed(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "pictures" / "a.zip", images)
    add(library, path.parent)
    shutil.copy(path, tmp_path / "before.zip")
    swapped = dict(zip(images, reversed(images.values()), strict=True))
    make_zip(path, swapped)
    embedded(library)
    add(library, path.parent)
    embedded(library)

    rows = dict(library.catalogue._connection.execute("SELECT path, hash FROM images"))
    for name, data in swapped.items():
        assert source.content_hash(data) == rows[f"{path}!/{name}"]


def test_a_shard_of_a_web_dataset_gives_its_pictures(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    """Each key has a picture, its text and its facts."""
    members: dict[str, bytes] = {}
    for number, data in enumerate(images.values()):
        members |= {f"{number:06}.jpg": data, f"{number:06}.txt": b"a picture", f"{number:06}.json": b"{}"}
    report = add(library, make_tar(tmp_path / "pictures" / "shard-00000.tar", members))
    assert (10, {}) == (report.new, dict(report.left_out))
    assert 10 == embedded(library)


# --- compressed tars -------------------------------------------------------------------------------


def many(count: int, size: int = 40_000) -> dict[str, bytes]:
    random = np.random.default_rng(count)
    return {f"a/{number:03}.jpg": random.bytes(size + number) for number in range(count)}


def test_members_of_a_compressed_tar_are_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_stream, "_FIRST_DISTANCE", 100_000)
    monkeypatch.setattr(gzip_stream, "_MAX_STATES", 8)
    members = many(60)
    path = make_tgz(tmp_path / "a.tar.gz", members)
    assert list(members) == [each.path.partition(archives.MARK)[2] for each in archives.members(str(path))]
    for name in (*members, *reversed(members), *np.random.default_rng(1).permutation(list(members)).tolist()):
        assert members[name] == archives.read(f"{path}!/{name}").data


@pytest.mark.parametrize(("make", "file"), [(make_zip, "a.zip"), (make_tgz, "a.tar.gz")])
def test_members_get_their_ids_in_the_order_of_the_archive(
    library: Library, tmp_path: Path, make: Make, file: str
) -> None:
    """Workers read by ids: a compressed tar in another order would be inflated again and again."""
    members = many(60)
    names = np.random.default_rng(1).permutation(list(members)).tolist()
    path = make(tmp_path / "pictures" / file, {name: members[name] for name in names})
    add(library, tmp_path / "pictures")

    assert [f"{path}!/{name}" for name in names] == [each.path for each in library.catalogue.pending()]


def test_a_tar_of_several_compressed_streams_is_read_to_its_end(tmp_path: Path) -> None:
    """As parallel programs write them."""
    members = many(6)
    data = make_tar(tmp_path / "plain.tar", members).read_bytes()
    path = tmp_path / "a.tar.gz"
    pieces = [data[at : at + 70_001] for at in range(0, len(data), 70_001)]
    path.write_bytes(b"".join(map(gzip.compress, pieces)) + bytes(700))
    assert members == {name: archives.read(f"{path}!/{name}").data for name in members}


def test_threads_read_a_compressed_tar_together(tmp_path: Path) -> None:
    members = many(30)
    path = str(make_tgz(tmp_path / "a.tar.gz", members))
    with ThreadPoolExecutor(8) as threads:
        assert list(members.values()) == list(threads.map(lambda name: archives.read(f"{path}!/{name}").data, members))


def test_what_comes_before_the_cut_of_a_compressed_tar_is_read(library: Library, tmp_path: Path) -> None:
    members = {f"{seed}.png": encode(picture(seed, (200, 150)), ".png") for seed in range(10)}
    path = make_tgz(tmp_path / "pictures" / "a.tgz", members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    report = add(library, path)
    assert 1 == report.problems
    assert 3 <= report.new < 10
    embedded(library)
    known = outcomes(library)
    assert {"embedded", "failed"} >= {outcome for outcome, _ in known.values()}
    assert all("in its archive" in str(reason) for outcome, reason in known.values() if outcome == "failed")


def test_flipped_bytes_of_a_compressed_tar_are_members_or_problems(tmp_path: Path) -> None:
    whole = make_tgz(tmp_path / "whole.tgz", many(5, 3_000)).read_bytes()
    random, path = np.random.default_rng(3), tmp_path / "a.tgz"
    for number in range(60):
        data = bytearray(whole)
        data[random.integers(len(data))] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        os.utime(path, ns=(number, number))
        try:
            listed = [each.path for each in archives.members(str(path))]
        except errors.ArchiveUnreadable:
            continue
        for location in listed:
            with contextlib.suppress(errors.ImageProblem):
                source.read(location)


def test_a_compressed_bomb_is_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_stream, "FREE_BYTES", 1 << 20)
    path = make_tgz(tmp_path / "a.tar.gz", {"flat.bmp": bytes(40 << 20)})
    with pytest.raises(errors.ArchiveUnreadable, match="more than 100 times its size"):
        list(archives.members(str(path)))


def test_other_archives_are_counted(library: Library, tmp_path: Path) -> None:
    for name in ("a.7z", "b.tar.xz", "c.RAR", "d.gz", "e.tar.gz"):
        (tmp_path / "pictures" / name).write_bytes(b"x")
    report = scan.add(library, tmp_path / "pictures")
    assert {".7z": 1, ".tar.xz": 1, ".rar": 1, ".tar.gz": 1} == dict(report.left_out)


# --- archives that nobody made by accident --------------------------------------------------------


def _header(name: str = "a.jpg", size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytearray:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    made = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    # In base 256, which has room for negative and huge numbers.
    made[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    made[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(made))[0]  # type: ignore[attr-defined]
    return made


def _strange_tars(picture: bytes) -> dict[str, bytes]:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("late.jpg")
        entry.size, entry.mtime = len(picture), 10**11
        archive.addfile(entry, io.BytesIO(picture))
    good = whole.getvalue()
    end = bytes(2 * tarfile.BLOCKSIZE)
    return {
        "late": good,
        "backwards": good[: -len(end)].rstrip(b"\0")
        + bytes(-len(good[: -len(end)].rstrip(b"\0")) % 512)
        + _header(size=-512)
        + end,
        "negative": bytes(_header(size=-200)) + end,
        **{
            f"terabytes {kind!r}": bytes(_header(size=1 << 45, kind=kind)) + end
            for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
        },
        "chain": bytes(_header("@", 0, tarfile.GNUTYPE_LONGLINK)) * 2_000 + end,
    }


@pytest.mark.parametrize("name", [*_strange_tars(b"")])
@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_a_strange_tar_ends_no_scan(library: Library, tmp_path: Path, name: str, suffix: str) -> None:
    picture = (make_pictures(tmp_path / "drawn", 1)[0]).read_bytes()
    data = _strange_tars(picture)[name]
    (tmp_path / "pictures" / f"strange{suffix}").write_bytes(gzip.compress(data) if suffix == ".tgz" else data)
    make_pictures(tmp_path / "pictures", 1, first=5)
    report = add(library, tmp_path / "pictures")

    assert (1 if name not in {"late", "backwards"} else 2) == report.new
    assert (name != "late") == bool(report.problems)


def test_a_zip_with_names_that_are_none_is_read(library: Library, tmp_path: Path, images: dict[str, bytes]) -> None:
    picture = next(iter(images.values()))
    with zipfile.ZipFile(tmp_path / "pictures" / "a.zip", "w") as archive:
        for number, name in enumerate(("AAAAAAA.jpg", "BBBBBBB.jpg", "good.jpg")):
            archive.writestr(zipfile.ZipInfo(name), picture + bytes(number))
    data = (tmp_path / "pictures" / "a.zip").read_bytes()
    (tmp_path / "pictures" / "a.zip").write_bytes(data.replace(b"AAAAAAA.jpg", b"\0AAAAAA.jpg"))

    assert 2 == add(library, tmp_path / "pictures").new


def test_members_that_are_left_out_do_not_hide_a_file_that_is_gone(
    library: Library, tmp_path: Path, images: dict[str, bytes]
) -> None:
    folder = tmp_path / "pictures"
    made = make_pictures(folder, 3)
    picture = next(iter(images.values()))
    make_zip(folder / "a.zip", {"private/a.jpg": picture, "b.jpg": picture + b" "})
    add(library, folder)
    scan.add(library, folder, ("private",))
    made[0].unlink()
    report = add(library, folder)

    assert (3, 1) == (report.seen, report.gone)


def test_the_time_of_an_image_does_not_run_while_its_archive_is_looked_into(
    library: Library, tmp_path: Path, images: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tar(tmp_path / "pictures" / "a.tar", images)
    add(library, tmp_path / "pictures")
    archives._indexes.clear()
    listing = archive_index.Tar._list

    def slowly(tar: Any, file: Any) -> None:
        # Longer than an image may take.
        time.sleep(1.5)
        listing(tar, file)

    monkeypatch.setattr(archive_index.Tar, "_list", slowly)
    with library.lock("embed"):
        embed(library, dataclasses.replace(QUIET, seconds_per_image=1.0), runner=Serial())

    assert len(images) == library.catalogue.ledger()["embedded"]


# --- archives in archives -------------------------------------------------------------------------


@pytest.fixture
def inner(tmp_path: Path, images: dict[str, bytes]) -> dict[str, bytes]:
    """Two archives as members: a zip with five pictures and a tar with the other five."""
    names = list(images)
    first = make_zip(tmp_path / "first.zip", {name: images[name] for name in names[:5]})
    second = make_tar(tmp_path / "second.tar", {name: images[name] for name in names[5:]})
    return {"sub/first.zip": first.read_bytes(), "second.tar": second.read_bytes()}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.zip", make_zip),
        ("stored.zip", lambda path, members: make_zip(path, members, zipfile.ZIP_STORED)),
        ("a.tar", make_tar),
        ("a.tar.gz", make_tgz),
    ],
)
def test_an_archive_in_an_archive_is_looked_into(
    library: Library, images: dict[str, bytes], inner: dict[str, bytes], name: str, make: Make, tmp_path: Path
) -> None:
    path = make(tmp_path / "pictures" / name, inner)
    report = add(library, path.parent)
    assert (10, {}, 10) == (report.new, dict(report.left_out), embedded(library))

    for number, (member, data) in enumerate(images.items()):
        location = f"{path}!/{'sub/first.zip' if number < 5 else 'second.tar'}!/{member}"
        original = source.read(location)
        assert data == original.data
        assert source.version(location) == (original.fingerprint.size, original.fingerprint.mtime_ns)
        assert (str(path), True) == (source.file_of(location), source.exists(location))
    assert not source.exists(f"{path}!/second.tar!/nothing.jpg")
    assert 0 == add(library, path.parent).gone


def test_an_archive_in_an_archive_in_an_archive_is_counted(
    library: Library, inner: dict[str, bytes], tmp_path: Path
) -> None:
    middle = make_zip(tmp_path / "middle.zip", {"x.jpg": b"x", **inner})
    make_zip(tmp_path / "pictures" / "a.zip", {"middle.zip": middle.read_bytes()})
    report = add(library, tmp_path / "pictures")
    assert (1, {".zip": 1, ".tar": 1}) == (report.new, dict(report.left_out))


def test_an_inner_archive_is_excluded_by_its_name(library: Library, inner: dict[str, bytes], tmp_path: Path) -> None:
    make_zip(tmp_path / "pictures" / "outer.zip", inner)
    before = add(library, tmp_path / "pictures").new
    excluded = scan.add(library, tmp_path / "pictures", ("first.zip",)).excluded

    assert 0 < excluded < before
    assert before - excluded == add(library, tmp_path / "pictures").seen


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\5\6" + b"\xff" * 18, b"nothing" * 99, None],
    ids=["empty", "directory elsewhere", "text", "cut"],
)
def test_an_inner_archive_that_cannot_be_read_is_counted_and_the_others_are_read(
    library: Library, inner: dict[str, bytes], tmp_path: Path, data: bytes | None
) -> None:
    whole = inner["sub/first.zip"]
    make_zip(tmp_path / "pictures" / "a.zip", {**inner, "bad.zip": whole[: len(whole) // 2] if data is None else data})
    report = add(library, tmp_path / "pictures")
    assert (10, {".zip": 1}) == (report.new, dict(report.left_out))
    assert 10 == embedded(library)


def test_an_inner_archive_that_is_too_large_or_would_be_a_bomb_is_counted(
    library: Library, inner: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_zip(tmp_path / "pictures" / "a.zip", inner)
    monkeypatch.setattr(archives, "MAX_NESTED_BYTES", len(inner["second.tar"]) - 1)
    report = add(library, tmp_path / "pictures")
    assert (5, {".tar": 1}) == (report.new, dict(report.left_out))

    monkeypatch.setattr(gzip_stream, "MAX_EXPANSION", 1)
    monkeypatch.setattr(gzip_stream, "FREE_BYTES", 0)
    zeros = make_zip(tmp_path / "pictures" / "bomb.zip", {f"{number}.tar": bytes(1 << 20) for number in range(9)})
    members = [each.path for each in archives.members(str(zeros))]
    assert [f"{zeros}!/{number}.tar" for number in range(9)] == members


def test_a_changed_inner_archive_is_read_again(library: Library, images: dict[str, bytes], tmp_path: Path) -> None:
    names = list(images)

    def write(count: int) -> None:
        inside = make_zip(tmp_path / "inside.zip", {name: images[name] for name in names[:count]})
        make_zip(tmp_path / "pictures" / "a.zip", {"inside.zip": inside.read_bytes()})

    write(4)
    assert 4 == add(library, tmp_path / "pictures").new
    embedded(library)
    write(6)
    report = add(library, tmp_path / "pictures")
    assert (2, 0, 0) == (report.new, report.gone, report.changed), "members are known by their own checksums"
    assert 2 == embedded(library)
    write(1)
    assert 5 == add(library, tmp_path / "pictures").gone


def test_a_folder_in_an_archive_may_be_named_as_an_archive(
    library: Library, images: dict[str, bytes], tmp_path: Path
) -> None:
    make_zip(tmp_path / "pictures" / "a.zip", {f"b.zip!/{name}": data for name, data in images.items()})
    assert (10, 10) == (add(library, tmp_path / "pictures").new, embedded(library))
