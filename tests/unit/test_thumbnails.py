"""Thumbnails are small, upright and tell nothing; the folder that remembers them stays within its size."""

import io
import os
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from pixfind.errors import ImageProblem, TooLarge
from pixfind.images import thumbnails
from pixfind.images.decode import Limits
from pixfind.testing.images import FORMATS, encode, exif_block, picture

LIMITS = Limits(10_000_000)
HASH = bytes(range(16))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_every_format_has_a_thumbnail(suffix: str) -> None:
    image = opened(thumbnails.make(encode(picture(1, (300, 200)), suffix), 90, limits=LIMITS))

    assert ("JPEG", "RGB", (90, 60)) == (image.format, image.mode, image.size)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((300, 200), (100, 67)),
        ((200, 300), (67, 100)),
        ((50, 40), (50, 40)),
        ((1000, 3), (100, 1)),
        ((100, 100), (100, 100)),
    ],
)
def test_the_longer_side_is_as_asked_and_nothing_is_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    thumbnail = thumbnails.make(encode(picture(1, size), ".jpg"), 100, limits=LIMITS)

    assert expected == opened(thumbnail).size == thumbnails.size(thumbnail)


def test_a_turned_picture_has_an_upright_thumbnail() -> None:
    data = encode(picture(1, (300, 200)), ".jpg", exif=exif_block(orientation=6))

    assert (67, 100) == thumbnails.size(thumbnails.make(data, 100, limits=LIMITS))


def test_a_thumbnail_tells_neither_place_nor_camera() -> None:
    data = encode(picture(), ".jpg", exif=exif_block(make="Secret", position=(1.5, 2.5)), comment=b"Secret")
    thumbnail = thumbnails.make(data, 50, limits=LIMITS)

    assert b"Secret" not in thumbnail
    assert {} == dict(opened(thumbnail).getexif())


def test_a_thumbnail_keeps_the_colour_profile() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    thumbnail = thumbnails.make(encode(picture(), ".png", icc_profile=profile), 50, limits=LIMITS)

    assert profile == opened(thumbnail).info["icc_profile"]


def test_a_broken_picture_is_a_problem_here_too() -> None:
    with pytest.raises(ImageProblem):
        thumbnails.make(b"no picture", 50, limits=LIMITS)
    with pytest.raises(TooLarge):
        thumbnails.make(encode(picture(), ".png"), 50, limits=Limits(10))


# --- the folder ---------------------------------------------------------------------------------------


def test_what_was_put_is_found_by_another_one(tmp_path: Path) -> None:
    thumbnail = encode(picture(), ".jpg")
    thumbnails.Cache(tmp_path).put(HASH, 64, thumbnail)
    other = thumbnails.Cache(tmp_path)

    assert thumbnail == other.get(HASH, 64)
    assert other.get(HASH, 65) is None
    assert other.get(HASH[::-1], 64) is None


def test_a_thumbnail_is_made_once(tmp_path: Path) -> None:
    cache, made = thumbnails.Cache(tmp_path), []

    def make() -> bytes:
        made.append(thumbnails.make(encode(picture(), ".png"), 32, limits=LIMITS))
        return made[-1]

    got = [cache.get_or_make(HASH, 32, make) for _ in range(2)]
    assert 2 * made == got
    assert 1 == len(made)


def test_a_torn_thumbnail_is_made_again(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path)
    thumbnail = cache.get_or_make(HASH, 32, lambda: thumbnails.make(encode(picture(), ".png"), 32, limits=LIMITS))
    (file,) = tmp_path.glob("??/*.jpg")
    for torn in (b"", thumbnail[:-40], bytes(len(thumbnail))):
        file.write_bytes(torn)
        assert cache.get(HASH, 32) is None
        assert thumbnail == cache.get_or_make(
            HASH, 32, lambda: thumbnails.make(encode(picture(), ".png"), 32, limits=LIMITS)
        )


def fill(cache: thumbnails.Cache, count: int, length: int) -> None:
    now = time.time()
    for number in range(count):
        cache.put(number.to_bytes(16), 1, b"\0" * (length - 2) + b"\xff\xd9")
        path = cache.folder / "00" / f"{number:032x}-1.jpg"
        if path.exists():
            os.utime(path, (now, now - 1000 + number))


def test_the_folder_stays_within_its_size_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path, max_bytes=10_000)
    fill(cache, 30, 1000)

    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= 10_000
    assert cache.get((29).to_bytes(16), 1) is not None
    assert cache.get((0).to_bytes(16), 1) is None


def test_a_thumbnail_that_is_looked_at_stays(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path, max_bytes=10_000)
    fill(cache, 9, 1000)
    week_ago = time.time() - 7 * 86_400
    for path in tmp_path.rglob("*.jpg"):
        os.utime(path, (week_ago, week_ago))
    assert cache.get((4).to_bytes(16), 1) is not None
    for number in range(100, 104):
        cache.put(number.to_bytes(16), 1, b"\0" * 998 + b"\xff\xd9")

    assert cache.get((4).to_bytes(16), 1) is not None


def test_what_an_earlier_process_left_counts(tmp_path: Path) -> None:
    fill(thumbnails.Cache(tmp_path), 30, 1000)
    thumbnails.Cache(tmp_path, max_bytes=10_000).put(HASH, 1, b"\xff\xd9")

    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= 10_000


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = thumbnails.Cache(tmp_path / "file" / "thumbnails")

    assert cache.get_or_make(
        HASH, 32, lambda: thumbnails.make(encode(picture(), ".png"), 32, limits=LIMITS)
    ).startswith(b"\xff\xd8")


def test_threads_may_share_a_folder(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path, max_bytes=20_000)
    wrong: list[int] = []

    def work() -> None:
        for number in range(60):
            want = bytes([number]) * 998 + b"\xff\xd9"
            cache.put(number.to_bytes(16), 1, want)
            if cache.get(number.to_bytes(16), 1) not in {want, None}:
                wrong.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong
    assert [] == list(tmp_path.rglob("*.tmp"))


def test_the_limit_of_a_folder_is_raised_for_all_and_never_lowered(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path)
    assert thumbnails.DEFAULT_MAX_BYTES == cache.max_bytes
    cache.raise_limit(10**12)
    cache.raise_limit(10**10)
    assert 10**12 == cache.max_bytes == thumbnails.Cache(tmp_path).max_bytes
    (tmp_path / "limit").write_text("no number")
    assert thumbnails.DEFAULT_MAX_BYTES == cache.max_bytes


def test_the_size_of_a_folder_is_told_by_a_sample(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path)
    for number in range(1024):
        cache.put(bytes([number % 256, number // 256]) + HASH[2:], 1, b"\0" * 998 + b"\xff\xd9")
    assert 1024 * 1000 == cache.sampled_bytes()


def test_the_next_larger_thumbnail_is_found(tmp_path: Path) -> None:
    cache = thumbnails.Cache(tmp_path)
    assert cache.larger(HASH, 128) is None
    for side in (512, 2048):
        cache.put(HASH, side, str(side).encode() + b"\xff\xd9")
    assert b"512\xff\xd9" == cache.larger(HASH, 128)
    assert b"2048\xff\xd9" == cache.larger(HASH, 512)
    assert cache.larger(HASH, 2048) is None
