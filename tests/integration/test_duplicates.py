"""Near-duplicates: what is folded, what is grouped, and that nothing is touched."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy import float16
from PIL import Image

from pixfind.images.perceptual_hash import dhash
from pixfind.library.library import Library
from pixfind.search import duplicates
from pixfind.search.duplicates import MatchKind
from pixfind.search.searcher import Searcher
from pixfind.testing import make_library


@pytest.fixture
def doubled(tmp_path: Path, pictures: Path) -> Library:
    """Forty pictures, one copied, one saved again in another quality, one scaled down."""
    shutil.copy(pictures / "picture_00001.jpg", pictures / "copy.jpg")
    for name, quality, scale in (("again.jpg", 60, 1.0), ("smaller.jpg", 90, 0.8)):
        with Image.open(pictures / "picture_00002.jpg") as picture:
            size = (round(picture.width * scale), round(picture.height * scale))
            picture.resize(size).save(pictures / name, quality=quality)
    return make_library(tmp_path / "library", pictures)


def names(group: duplicates.Group) -> set[str]:
    return {Path(member.path).name for member in group.members}


def test_the_same_bytes_and_the_same_picture_are_two_kinds_of_group(doubled: Library) -> None:
    with doubled:
        found = duplicates.find(doubled)

    exact = [names(group) for group in found.groups if group.kind is MatchKind.EXACT]
    close = [names(group) for group in found.groups if group.kind is MatchKind.NEAR]
    assert [{"picture_00001.jpg", "copy.jpg"}] == exact
    assert any({"picture_00002.jpg", "again.jpg"} <= group for group in close)
    assert 0 == found.unchecked


def test_only_the_same_bytes_when_asked(doubled: Library) -> None:
    with doubled:
        assert {MatchKind.EXACT} == {group.kind for group in duplicates.find(doubled, near=False).groups}


def test_a_group_begins_with_its_largest_file(doubled: Library) -> None:
    with doubled:
        groups = duplicates.find(doubled).groups

    assert all(group.members[0].size == max(member.size for member in group.members) for group in groups)


def test_nothing_is_deleted_or_changed(doubled: Library, pictures: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in pictures.iterdir()}
    with doubled:
        duplicates.find(doubled)

    assert before == {path: path.stat().st_mtime_ns for path in pictures.iterdir()}


def test_a_picture_that_cannot_be_read_is_counted_and_in_no_near_group(doubled: Library, pictures: Path) -> None:
    (pictures / "again.jpg").unlink()
    with doubled:
        found = duplicates.find(doubled)

    assert found.unchecked > 0
    assert not any("again.jpg" in names(group) for group in found.groups)


def test_pictures_that_only_embed_alike_are_no_group(tmp_path: Path) -> None:
    """The pixels have a say: two scenes with the same embedding are not the same picture."""
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    pixels = np.broadcast_to(ramp[None, :, None], (64, 64, 3))
    Image.fromarray(pixels.copy()).save(tmp_path / "one.png")
    Image.fromarray(pixels[:, ::-1].copy()).save(tmp_path / "two.png")

    one, two = (
        dhash(str(tmp_path / "one.png")),
        dhash(str(tmp_path / "two.png")),
    )

    assert one is not None
    assert two is not None
    assert (one != two).sum() > duplicates._MAX_DIFFERENT_BITS


def test_distinct_hits_fold_the_others_into_a_count(doubled: Library) -> None:
    with doubled:
        searcher = Searcher(doubled)
        image_id = next(
            hit.image_id for hit in searcher.search("x", 100, include_weak=True).hits if "00002" in hit.path
        )

        plain = searcher.search(f"id:{image_id}", 5).hits
        distinct = searcher.search(f"id:{image_id}", 5, distinct=True).hits

    assert "again.jpg" in {Path(hit.path).name for hit in plain}
    assert "again.jpg" not in {Path(hit.path).name for hit in distinct}
    assert 5 == len(distinct)
    assert distinct[0].folded >= 1


def test_folding_keeps_the_order_and_every_place_once() -> None:
    rows = np.eye(4, dtype=float16)[[0, 1, 0, 2, 1, 0, 3]]

    assert [[0, 2, 5], [1, 4], [3], [6]] == duplicates.group(rows, 0.9)
    assert [] == duplicates.group(rows[:0], 0.9)


def test_the_threshold_follows_how_alike_the_pictures_of_a_library_are() -> None:
    assert duplicates.MIN_COSINE == duplicates.threshold(np.zeros(4, dtype=np.float32))
    assert pytest.approx(0.99) == duplicates.threshold(np.array([0.9**0.5, 0], dtype=np.float32))
