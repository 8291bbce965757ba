"""The demo collection is the same for everybody, says in its names what it shows, and carries plausible dates."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfind import demo
from pixfind.demo.canvas import Canvas, Part
from pixfind.demo.kinds import KINDS

SMALL = (96, 72)
TAKEN, EXIF_BLOCK = 0x9003, 0x8769


def pixels(kind: str, seed: int) -> np.ndarray:
    return np.asarray(demo.draw(kind, np.random.default_rng(seed), SMALL))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_draws_a_picture_of_the_size_that_was_asked_for(kind: str) -> None:
    assert (72, 96, 3) == pixels(kind, 1).shape


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_seed_draws_the_same_picture_and_another_seed_another(kind: str) -> None:
    assert (pixels(kind, 1) == pixels(kind, 1)).all()
    assert (pixels(kind, 1) != pixels(kind, 2)).any()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_picture_is_black_or_blank(kind: str) -> None:
    """A newcomer's first page of results shows something in every tile."""
    for seed in range(2):
        picture = pixels(kind, seed)
        assert picture.mean() > 25
        assert picture.std() > 12


def test_a_collection_has_as_many_pictures_as_asked_and_reports_each(tmp_path: Path) -> None:
    told: list[int] = []
    paths = demo.draw_collection(tmp_path / "new" / "folder", 5, seed=3, progress=told.append)

    assert [1, 2, 3, 4, 5] == told
    assert 5 == len(set(paths)) == len(list((tmp_path / "new" / "folder").iterdir()))
    assert all(path.is_file() for path in paths)


def test_two_collections_of_one_seed_are_equal_byte_by_byte(tmp_path: Path) -> None:
    one, other = (demo.draw_collection(tmp_path / name, 3, seed=7) for name in ("one", "other"))

    assert [path.name for path in one] == [path.name for path in other]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_names_say_what_is_shown_and_are_never_used_twice() -> None:
    names = demo.plan(300)

    assert 300 == len(set(names))
    assert {name.rsplit("-", 1)[0] for name in names} == set(KINDS)
    assert "sunset-sea-01" in names


def test_dates_suit_the_season_and_the_hour(tmp_path: Path) -> None:
    """Sorting the demo by date looks like a life with a camera, not like a minute of drawing."""
    paths = demo.draw_collection(tmp_path, 12, seed=1)
    dates = {}
    for path in paths:
        with Image.open(path) as image:
            stamp = image.getexif().get_ifd(EXIF_BLOCK)[TAKEN]
        dates[path.stem] = dt.datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S").replace(tzinfo=dt.UTC)

    assert len(set(dates.values())) == len(dates)
    for name, date in dates.items():
        assert 2021 <= date.year <= 2025
        if name.startswith("winter"):
            assert date.month in (12, 1, 2)
        if name.startswith("sunset"):
            assert date.hour in (18, 19)


def test_what_covers_a_pixel_gives_it_its_label() -> None:
    """Training counts its facts from these labels."""
    canvas = Canvas(20, 20)
    canvas.cover(np.ones((10, 20), np.float32), (1.0, 0.0, 0.0), Part.SKY)
    canvas.cover(np.ones((5, 5), np.float32), (0.0, 1.0, 0.0), Part.TREES, top=2, left=3)

    assert 10 * 20 - 25 == (canvas.label == Part.SKY).sum()
    assert (canvas.label[2:7, 3:8] == Part.TREES).all()
    assert ((0.0, 1.0, 0.0) == canvas.rgb[4, 5]).all()


def test_a_shape_outside_the_canvas_changes_nothing() -> None:
    canvas = Canvas(20, 20)
    canvas.fill([(2.0, 2.0), (3.0, 2.0), (2.5, 3.0)], (1.0, 1.0, 1.0), Part.THING)

    assert 0 == canvas.rgb.sum()
