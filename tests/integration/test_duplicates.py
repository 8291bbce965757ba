"""Near-duplicates: what is folded, what is grouped, and that nothing is touched."""

import datetime as dt
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import float16, float32
from numpy.typing import NDArray
from PIL import Image, ImageChops

from pixfind.demo.collection import draw
from pixfind.images.perceptual_hash import dhash
from pixfind.library.library import Library
from pixfind.search import bursts, duplicates
from pixfind.search.bursts import Taken
from pixfind.search.duplicates import MatchKind
from pixfind.search.searcher import Searcher
from pixfind.testing import make_library
from pixfind.testing.images import exif_block
from pixfind.testing.raw import encode_dng


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


def test_where_all_pictures_are_copies_they_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    scene = draw("beach", np.random.default_rng(7), (320, 240))
    for name, quality in (("a.jpg", 92), ("b.png", 75), ("c.jpg", 60), ("d.webp", 80)):
        scene.save(tmp_path / "pictures" / name, quality=quality)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        (found,) = duplicates.find(library).groups
    assert (MatchKind.NEAR, 4) == (found.kind, len(found.members))


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

    unknown, mean = [bursts.UNKNOWN] * len(rows), np.zeros(4, dtype=float32)
    groups = duplicates.group(rows, unknown, mean)

    assert [[0, 2, 5], [1, 4], [3], [6]] == [[place for place, _ in group] for group in groups]
    assert [] == duplicates.group(rows[:0], [], mean)


def test_folding_so_many_groups_gives_the_first_of_all_of_them() -> None:
    random = np.random.default_rng(0)
    # Longer than a batch, and of few directions: groups reach over the ends of batches.
    rows = np.eye(400, dtype=float16)[random.integers(0, 400, 1_000)]
    unknown, mean = [bursts.UNKNOWN] * len(rows), np.zeros(400, dtype=float32)
    expected: dict[int, list[int]] = {}
    for place, direction in enumerate(rows.argmax(axis=1).tolist()):
        expected.setdefault(direction, []).append(place)

    every = duplicates.group(rows, unknown, mean)

    assert list(expected.values()) == [[place for place, _ in group] for group in every]
    assert every[:150] == duplicates.group(rows, unknown, mean, 150)


def test_folding_a_long_list_holds_no_matrix_of_all_its_pairs() -> None:
    count = 4_000
    rows = np.random.default_rng(0).standard_normal((count, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(float16)

    tracemalloc.start()
    duplicates.group(rows, [bursts.UNKNOWN] * count, np.zeros(64, dtype=float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < count * count


def unit(*angles: float) -> NDArray[float16]:
    return np.array([[np.cos(angle), np.sin(angle), 0, 0] for angle in angles], dtype=float16)


@pytest.mark.parametrize(
    ("one", "other", "angle", "kind"),
    [
        (Taken(100, "Canon"), Taken(102, "Canon"), 0.4, MatchKind.BURST),
        (Taken(100, "Canon"), Taken(100, "Canon"), 0.4, MatchKind.BURST),
        (Taken(100, "Canon"), Taken(101, "Canon"), 0.0, MatchKind.BURST),
        # Saved again, with the time of its original.
        (Taken(100, "Canon"), Taken(100, "Canon"), 0.0, MatchKind.NEAR),
        (Taken(100, "Canon"), Taken(100, "Nikon"), 0.0, MatchKind.NEAR),
        (Taken(100, ""), Taken(101, ""), 0.0, MatchKind.NEAR),
        (Taken(None, "Canon"), Taken(None, "Canon"), 0.0, MatchKind.NEAR),
        (Taken(100, "Canon"), Taken(104, "Canon"), 0.4, None),
        (Taken(100, "Canon"), Taken(101, "Nikon"), 0.4, None),
        (Taken(100, "Canon"), Taken(101, "Canon"), 0.8, None),
    ],
)
def test_a_burst_is_one_camera_within_seconds_and_nearly_the_same(
    one: Taken, other: Taken, angle: float, kind: MatchKind | None
) -> None:
    groups = duplicates.group(unit(0, angle), [one, other], np.zeros(4, dtype=float32))

    assert ([[(0, MatchKind.NEAR), (1, kind)]] if kind else [[(0, MatchKind.NEAR)], [(1, MatchKind.NEAR)]]) == groups


def test_the_threshold_follows_how_alike_the_pictures_of_a_library_are() -> None:
    assert duplicates.MIN_COSINE == duplicates.threshold(np.zeros(4, dtype=np.float32))
    assert pytest.approx(0.99) == duplicates.threshold(np.array([0.9**0.5, 0], dtype=np.float32))
    assert duplicates.MAX_COSINE == duplicates.threshold(np.array([1.0, 0], dtype=np.float32))


# --- bursts and shots -----------------------------------------------------------------------------


def frame(folder: Path, name: str, shift: int, second: int, **options: Any) -> None:
    """A picture of a scene that moves from one to the next, as a camera takes it."""
    scene = draw("beach", np.random.default_rng(7), (200, 150))
    taken = dt.datetime(2024, 5, 17, 12, 0, second)  # noqa: DTZ001  as cameras write it
    block = exif_block(taken_at=taken, make="Canon", model="EOS R5")
    ImageChops.offset(scene, shift, 0).save(folder / name, exif=block, **options)


@pytest.fixture
def burst(tmp_path: Path, pictures: Path) -> Library:
    """Forty pictures, a burst of three within four seconds, the first of them saved again, one from a minute later, and a shot of RAW and JPEG."""
    for number, second in enumerate((1, 3, 5)):
        frame(pictures, f"burst-{number}.jpg", 8 * number, second, quality=92)
    frame(pictures, "burst-0 again.jpg", 0, 1, quality=60)
    frame(pictures, "later.jpg", 4, 59, quality=92)
    scene = draw("forest", np.random.default_rng(3), (320, 240))
    (pictures / "IMG_1.DNG").write_bytes(encode_dng(scene))
    scene.save(pictures / "IMG_1.jpg", quality=92)
    return make_library(tmp_path / "library", pictures)


def test_a_burst_a_shot_and_a_near_duplicate_are_told_apart(burst: Library) -> None:
    with burst:
        groups = duplicates.find(burst).groups

    kinds = {kind: [names(group) for group in groups if group.kind is kind] for kind in MatchKind}
    assert {"burst-0.jpg", "burst-1.jpg", "burst-2.jpg"} <= set.union(*kinds[MatchKind.BURST])
    assert any({"burst-0.jpg", "burst-0 again.jpg"} <= group for group in kinds[MatchKind.NEAR])
    assert not any("later.jpg" in group for group in kinds[MatchKind.BURST])
    assert [{"IMG_1.DNG", "IMG_1.jpg"}] == kinds[MatchKind.SHOT]
    assert not any("IMG_1.DNG" in group for group in kinds[MatchKind.NEAR])


def test_a_burst_is_one_hit_with_the_others_behind_it(burst: Library) -> None:
    with burst, Searcher(burst) as searcher:
        every = searcher.search("beach", 100, include_weak=True)
        stacked = searcher.search("beach", 100, distinct=True, include_weak=True)

    shown = [hit for hit in stacked if "burst" in Path(hit.path).name]
    assert 1 == len(shown)
    (hit,) = shown
    behind = {Path(one.path).name: one.kind for one in hit.stack}
    assert hit.folded == len(hit.stack)
    first = Path(hit.path).name
    assert {"burst-0.jpg", "burst-1.jpg", "burst-2.jpg", "burst-0 again.jpg"} - {first} <= set(behind)
    assert {MatchKind.BURST} <= set(behind.values())
    assert {one.image_id for one in every} == {
        image_id for hit in stacked for image_id in (hit.image_id, *(one.image_id for one in hit.stack))
    }


def test_paths_of_one_file_are_no_copies(tmp_path: Path, pictures: Path) -> None:
    first = pictures / "picture_00001.jpg"
    (pictures / "aaa_link.jpg").symlink_to(first)
    (pictures / "hard.jpg").hardlink_to(pictures / "picture_00002.jpg")
    shutil.copy(pictures / "picture_00003.jpg", pictures / "copy.jpg")
    (pictures / "zzz_link.jpg").symlink_to(pictures / "picture_00003.jpg")
    with make_library(tmp_path / "library", pictures) as library:
        groups = [names(group) for group in duplicates.find(library, near=False).groups]
    assert [{"picture_00003.jpg", "copy.jpg"}] == groups


@pytest.mark.parametrize("change", ["removed", "other content", "touched"])
def test_what_is_not_there_as_it_was_indexed_is_in_no_group(doubled: Library, pictures: Path, change: str) -> None:
    """The first of a group is the one that is kept."""
    for name in ("copy.jpg", "smaller.jpg"):
        file = pictures / name
        if change == "removed":
            file.unlink()
        elif change == "touched":
            os.utime(file, ns=(0, 0))
        else:
            shutil.copy(pictures / "picture_00009.jpg", file)
    with doubled:
        found = duplicates.find(doubled)

    assert 2 == found.outdated
    assert MatchKind.EXACT not in {group.kind for group in found}
    assert not any({"copy.jpg", "smaller.jpg"} & names(group) for group in found)
    assert any({"picture_00002.jpg", "again.jpg"} <= names(group) for group in found)


def test_of_two_copies_the_one_that_is_there_is_still_near_to_others(tmp_path: Path, pictures: Path) -> None:
    with Image.open(pictures / "picture_00002.jpg") as picture:
        picture.save(pictures / "again.jpg", quality=60)
    shutil.copy(pictures / "again.jpg", pictures / "another.jpg")
    with make_library(tmp_path / "library", pictures) as library:
        (pictures / "again.jpg").unlink()
        groups = [names(group) for group in duplicates.find(library) if group.kind is MatchKind.NEAR]

    assert any({"picture_00002.jpg", "another.jpg"} <= group for group in groups)
    assert not any("again.jpg" in group for group in groups)


def test_the_files_of_a_drive_that_is_away_stay_in_their_groups(doubled: Library, pictures: Path) -> None:
    pictures.rename(pictures.with_name("elsewhere"))
    with doubled:
        found = duplicates.find(doubled, near=False)

    assert [{"picture_00001.jpg", "copy.jpg"}] == [names(group) for group in found]
    assert 0 == found.outdated
