"""Members of archives through the server: thumbnail, original, and no way out of the registered folders."""

import contextlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.images import source
from pixfind.library.library import Library
from pixfind.server import images
from pixfind.testing import make_library, make_pictures
from pixfind.worker.decoders import DecoderPool


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A library with one image, in pictures/trip.zip."""
    (picture,) = make_pictures(tmp_path / "drawn", 1, size=(400, 300))
    (tmp_path / "pictures").mkdir()
    with zipfile.ZipFile(tmp_path / "pictures" / "trip.zip", "w") as archive:
        archive.write(picture, "a.jpg")
    with make_library(tmp_path / "library", tmp_path / "pictures" / "trip.zip") as made:
        yield made


def test_a_member_has_a_thumbnail_and_is_sent_as_it_is(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = images.image(library, 1)
    assert ("a.jpg", str(tmp_path / "pictures" / "trip.zip!/a.jpg")) == (record.name, record.path)

    with os.fdopen(images.open_file(library, record), "rb") as file:
        assert (tmp_path / "drawn" / "picture_00000.jpg").read_bytes() == file.read()
    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        thumbnails = images.Thumbnails(library.path / "thumbnails", decoders)
        thumbnail = thumbnails.get(library, 1, 128)
        assert b"\xff\xd8\xff" == thumbnail[:3]
        monkeypatch.setattr(source, "read", lambda location: pytest.fail(f"{location} was read again"))
        assert thumbnail == thumbnails.get(library, 1, 128)


def test_a_member_keeps_its_version_although_each_answer_has_a_copy(library: Library) -> None:
    record, versions = images.image(library, 1), []
    for _ in range(2):
        with os.fdopen(images.open_file(library, record), "rb") as file:
            versions.append(images.version(record, file.fileno()))

    assert versions[0] == versions[1] is not None


def test_an_archive_that_is_exchanged_for_a_link_to_another_is_not_opened(library: Library, tmp_path: Path) -> None:
    place = tmp_path / "pictures" / "trip.zip"
    shutil.move(place, tmp_path / "elsewhere.zip")
    place.symlink_to(tmp_path / "elsewhere.zip")
    library.catalogue._connection.execute("UPDATE roots SET path = ?", (str(tmp_path / "pictures"),))
    with pytest.raises(errors.OutsideRoots):
        images.open_file(library, images.image(library, 1))


def test_a_member_that_is_no_picture_is_not_sent(library: Library, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pictures" / "trip.zip", "w") as archive:
        archive.writestr("a.jpg", b"the diary of somebody")
    with pytest.raises(errors.NotAPicture):
        images.open_file(library, images.image(library, 1))


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_member_of_a_damaged_archive_is_unavailable(library: Library, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "trip.zip").write_bytes(content)
    with pytest.raises(errors.FileUnavailable):
        images.open_file(library, images.image(library, 1))
