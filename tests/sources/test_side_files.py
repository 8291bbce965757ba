"""Dates and places from the side files of Google Takeout, in folders and archives, where a picture has none."""

import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pixfind.embedding.runners.serial import Serial
from pixfind.images.source import side_files
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.testing import images
from pixfind.testing.libraries import QUIET
from pixfind.types import ImageMetadata
from pixfind.workflows.embed import embed

TAKEN = 1_588_554_121
LONG = "a_very_long_name_of_a_picture_that_somebody_once_scanned_at_home.jpg"


def side(taken: object = str(TAKEN), place: tuple[float, float] = (48.25, -11.5), **more: Any) -> bytes:
    """A side file as Takeout writes it."""
    latitude, longitude = place
    made = {
        "title": "a.jpg",
        "photoTakenTime": {"timestamp": taken, "formatted": "..."},
        "geoData": {"latitude": latitude, "longitude": longitude, "altitude": 0.0},
    }
    return json.dumps(made | more).encode()


def facts(library: Library, place: Path) -> dict[str, tuple[int | None, float | None, float | None]]:
    """Embed what is in a folder or archive; return date and place of each picture by its name."""
    scan.add(library, place)
    embed(library, QUIET, runner=Serial())
    rows = library.catalogue._connection.execute("SELECT path, taken_at, latitude, longitude FROM images")
    return {os.path.basename(path): tuple(rest) for path, *rest in rows}  # noqa: PTH119  locations


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("PXL_20230415_101112131.PORTRAIT.jpg", "PXL_20230415_101112131.PORTRAIT.jpg.supplement.json"),
        ("PXL_20230415_101112131.PORTRAIT-01.COVER.jpg", "PXL_20230415_101112131.PORTRAIT-01.COVER.jpg.s.json"),
        (LONG, f"{LONG[:46]}.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-edited(1).jpg", "IMG_1-edited.jpg(1).json"),
    ],
)
def test_the_side_file_of_a_picture_is_found(picture: str, name: str) -> None:
    assert name in side_files.names(picture)


def test_the_side_file_of_another_picture_is_not_taken() -> None:
    others = {"IMG_1.jpg.json", "IMG_1.jpg(1).json", "IMG_10.jpg.json", "IMG_1.png.json", "IMG_1.json", "metadata.json"}
    assert {"IMG_1.jpg.json"} == others & set(side_files.names("IMG_1.jpg"))
    assert "IMG_1.jpg(1).json" == next(name for name in side_files.names("IMG_1(1).jpg") if name in others)


def members() -> dict[str, bytes]:
    exif = images.exif_block(taken_at=datetime(2001, 1, 1, tzinfo=UTC))
    return {
        "plain.png": images.encode(images.picture(1), ".png"),
        "plain.png.supplemental-metadata.json": side(),
        "dated.jpg": images.encode(images.picture(2), ".jpg", exif=exif),
        "dated.jpg.json": side(),
        "copy(1).jpg": images.encode(images.picture(3), ".jpg"),
        "copy.jpg": images.encode(images.picture(4), ".jpg"),
        "copy.jpg(1).json": side(str(TAKEN + 1), (0.0, 0.0), geoDataExif={"latitude": 1.5, "longitude": 2.5}),
        "alone.jpg": images.encode(images.picture(5), ".jpg"),
    }


EXPECTED = {
    "plain.png": (TAKEN, 48.25, -11.5),
    "dated.jpg": (int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()), 48.25, -11.5),
    "copy(1).jpg": (TAKEN + 1, 1.5, 2.5),
    "copy.jpg": (None, None, None),
    "alone.jpg": (None, None, None),
}


def test_dates_and_places_come_from_side_files_in_a_folder(library: Library, tmp_path: Path) -> None:
    for name, data in members().items():
        (tmp_path / "pictures" / name).write_bytes(data)
    assert facts(library, tmp_path / "pictures") == EXPECTED


def test_dates_and_places_come_from_side_files_in_an_archive(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "takeout-001.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members().items():
            archive.writestr(f"Takeout/Google Photos/2020/{name}", data)
    assert facts(library, path) == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"photoTakenTime": 5}',
        b"[" * 100_000,
        side(None, (0.0, 0.0)),
        side("soon", (0.0, 0.0)),
        side("-5", (0.0, 0.0)),
        side("9" * 300, (0.0, 0.0)),
        side("0", (1e400, 2.0)),
        side("0", (91.0, 2.0)),
        side("0", geoData={"latitude": "north", "longitude": None}),
        side("0", geoData=3),
        b" " * (2 << 20),
    ],
)
def test_what_is_no_valid_side_file_says_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg.json").write_bytes(data)
    assert side_files.completed(str(tmp_path / "a.jpg"), ImageMetadata(4, 3)) == ImageMetadata(4, 3)


def test_a_side_file_that_comes_later_is_seen(tmp_path: Path) -> None:
    """By the next picture of the folder that is embedded: the list of names is kept until the folder changes."""
    picture = str(tmp_path / "a.jpg")
    assert side_files.completed(picture, ImageMetadata()).taken_at is None
    (tmp_path / "a.jpg.json").write_bytes(side())
    os.utime(tmp_path, ns=(1, 1))
    assert TAKEN == side_files.completed(picture, ImageMetadata()).taken_at


def test_a_picture_does_not_take_the_side_file_of_another_that_begins_alike(tmp_path: Path) -> None:
    beginning = "our-long-holiday-in-the-beautiful-mountains-of-"
    side = {"title": f"{beginning}2019.jpg", "photoTakenTime": {"timestamp": "1557000000"}}
    (tmp_path / f"{beginning[:46]}.json").write_text(json.dumps(side))
    ours, theirs = (
        side_files.completed(str(tmp_path / f"{beginning}{year}.jpg"), ImageMetadata()) for year in (2019, 2021)
    )

    assert (1_557_000_000, None) == (ours.taken_at, theirs.taken_at)
