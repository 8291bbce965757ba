"""Zip and tar files that are cut, damaged or made to deceive: what can be read is embedded, and nothing ends a scan."""

import dataclasses
import gzip
import io
import os
import shutil
import struct
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.sources.conftest import counts, embedded
from tests.sources.test_archives import Make, add, make_tar, make_zip, outcomes

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import archive_index, archives
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.testing import make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.embed import embed

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
