"""Pictures that are made to deceive, or broken: within the limits, and each problem with its name."""

import contextlib
import struct
import threading
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from tests.unit.test_decode import GOOD, LIMITS, SIZE, decoded, encoded, good, original

from pixfind.errors import Damaged, EmptyFile, ImageProblem, NotAnImage, TooLarge, Truncated
from pixfind.images import decode
from pixfind.testing import images

# --- limits ---------------------------------------------------------------------------------------


def test_memory_lowers_the_limit_and_the_reason_says_so() -> None:
    plenty, little = decode.limits_for(64 << 30), decode.limits_for(240_000_000)

    assert (200_000_000, "200 MP, as set") == (plenty.value.max_pixels, plenty.reason)
    assert 10_000_000 == little.value.max_pixels
    assert "240 MB" in little.reason


def test_a_large_jpeg_is_read_where_a_large_png_does_not_fit() -> None:
    limits = decode.Limits(max_pixels=50_000, max_scaled_pixels=200_000)
    size = (400, 300)

    assert (100, 75) == decode.decode(encoded(".jpg", size=size), limits=limits, shortest_side=30).image.size
    for data, side in (
        (encoded(".jpg", size=size), None),
        (encoded(".jpg", size=size, progressive=True), 30),
        (encoded(".png", size=size), 30),
        (encoded(".jpg", size=(600, 400)), 30),
    ):
        with pytest.raises(TooLarge):
            decode.decode(data, limits=limits, shortest_side=side)


@pytest.mark.parametrize("suffix", sorted(images.FORMATS))
def test_the_limit_holds_for_every_format(suffix: str) -> None:
    with pytest.raises(TooLarge, match=r"MP is over the limit of 0\.00\d+ MP"):
        decode.decode(encoded(suffix), limits=decode.Limits(96 * 80 - 1))


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    bombs = {
        "png": images.png_bomb(),
        "gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
        "gif frame": b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;",
        "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
        "webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\0\xff\xff\0",
        "pgm": b"P5 99999 99999 255\n",
    }
    for data in bombs.values():
        with pytest.raises(TooLarge):
            decoded(data)


def test_a_large_picture_within_the_limit_raises_no_alarm_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)

    for name in ("jpeg", "png", "gif", "tiff", "tiff lzw", "bmp", "jpeg 2000", "heic", "avif", "ppm"):
        assert decoded(good(name)).shape == (80, 96, 3), name


# --- hostile metadata -----------------------------------------------------------------------------


def png_with(*chunks: bytes) -> bytes:
    data = encoded(".png")
    return data[:33] + b"".join(chunks) + data[33:]


def test_compressed_metadata_never_unfolds() -> None:
    bomb = zlib.compress(bytes(100_000_000))
    data = png_with(
        images.png_chunk(b"iCCP", b"x\0\0" + bomb),
        images.png_chunk(b"zTXt", b"x\0\0" + bomb),
        images.png_chunk(b"iTXt", b"x\0\1\0\0\0" + bomb),
        images.png_chunk(b"acTL", b"bad"),
        images.png_chunk(b"eXIf", b"II*\0" + b"\xff" * 40),
    )

    assert np.array_equal(original(), decoded(data))


HOSTILE_EXIF = [
    b"",
    b"II*\0",
    b"MM\0*\xff\xff\xff\xff",
    b"II*\0\x08\0\0\0\xff\xff",
    b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff",
    b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0",
    b"not exif at all",
    bytes(60000),
]


@pytest.mark.parametrize("block", HOSTILE_EXIF)
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".heic"])
def test_a_hostile_exif_block_never_fails_the_picture(suffix: str, block: bytes) -> None:
    marker = images.exif_block(make="0123456789", model="0123456789" * 30)
    filling = block.ljust(len(marker) - 6, b"\0")[: len(marker) - 6]
    data = encoded(suffix, exif=marker)
    broken = data.replace(marker[6:], filling)

    assert broken != data
    assert decode.decode(broken, limits=LIMITS).metadata.camera == ""


def test_odd_segments_never_fail_a_jpeg() -> None:
    data = encoded(".jpg")
    segments = [b"\xff\xed\0\x20Photoshop 3.0\x008BIM" + b"\xff" * 10, b"\xff\xe0\0\x07JFIF\0", b"\xff\xee\0\x07Adobe"]
    segments += [b"\xff\xe2\0\x0eMPF\0" + b"\xff" * 8, b"\xff\xe2\0\x10ICC_PROFILE\0\1\2", b"\xff\xff\xff"]
    for segment in segments:
        assert np.array_equal(decoded(data), decoded(data[:2] + segment + data[2:])), segment


def test_a_file_of_segments_alone_ends_quickly() -> None:
    with pytest.raises(Damaged):
        decoded(b"\xff\xd8" + b"\xff\xc4\0\x02" * 1_000_000)


def test_tiff_metadata_never_reaches_the_decoder() -> None:
    data = encoded(".tif", tiffinfo={270: "x" * 1000, 34665: 8, 700: b"y" * 1000})

    assert np.array_equal(original(), decoded(data))


# --- problems -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", EmptyFile),
        (b"This is text named .jpg", NotAnImage),
        (b"BM is no bitmap", NotAnImage),
        (b"P1ain text", NotAnImage),
        (b"%PDF-1.4", NotAnImage),
        (b"\0" * 5000, NotAnImage),
        (b"\xff\xd8\xff", Truncated),
        (b"GIF89a", Truncated),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, problem: type[ImageProblem]) -> None:
    with pytest.raises(problem):
        decoded(data)


@pytest.mark.parametrize("how", sorted(set(images.BROKEN) - {"zero-filled"}))
@pytest.mark.parametrize("suffix", sorted(images.FORMATS))
def test_every_broken_file_is_a_problem(suffix: str, how: str, tmp_path: Path) -> None:
    path = images.make_broken(tmp_path / f"picture{suffix}", how, size=SIZE)

    with pytest.raises(ImageProblem):
        decoded(path.read_bytes())


def test_memory_that_runs_out_is_a_problem_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)

    with pytest.raises(Damaged, match="memory"):
        decoded(encoded(".jpg"))


def test_decoding_takes_no_switch_that_others_see() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    for name in GOOD:
        decoded(good(name))

    assert (False, before[1]) == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def test_decoders_keep_to_one_thread_where_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import AvifImagePlugin
    from pillow_heif import options

    monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", 0)
    monkeypatch.setattr(options, "DECODE_THREADS", 4)
    decode.use_one_thread_per_picture()

    assert (1, 1) == (AvifImagePlugin.DEFAULT_MAX_THREADS, options.DECODE_THREADS)
    assert decoded(good("avif")).shape == decoded(good("heic")).shape


def test_threads_do_not_disturb_each_other() -> None:
    files = {name: good(name) for name in GOOD}
    alone = {name: decoded(data) for name, data in files.items()}
    wrong: list[str] = []

    def work(offset: int) -> None:
        names = list(files)
        for name in names[offset:] + names[:offset]:
            if not np.array_equal(alone[name], decoded(files[name])):
                wrong.append(name)
            with pytest.raises(ImageProblem):
                decoded(files[name][:50])

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(0, 32, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


SMALL = {name: good(name) for name in GOOD if name not in {"pfm", "tiff pages"}}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(SMALL)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), min_size=1, max_size=8),
    near=st.sampled_from([1.0, 0.02]),
)
def test_mutated_pictures_are_decoded_or_problems(name: str, changes: list[tuple[float, bytes]], near: float) -> None:
    data = bytearray(SMALL[name])
    for place, new in changes:
        start = int(place * near * len(data))
        data[start : start + len(new)] = new
    try:
        image = decode.decode(bytes(data), limits=decode.Limits(100_000), shortest_side=16).image
    except ImageProblem:
        return
    assert "RGB" == image.mode


@settings(max_examples=100, deadline=None)
@given(magic=st.sampled_from(sorted({data[:12] for data in SMALL.values()})), noise=st.binary(max_size=300))
def test_noise_behind_a_good_beginning_is_a_problem_or_a_picture(magic: bytes, noise: bytes) -> None:
    with contextlib.suppress(ImageProblem):
        decode.decode(magic + noise, limits=decode.Limits(100_000))


def test_facts_come_from_every_format_that_has_them() -> None:
    moment = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
    block = images.exif_block(taken_at=moment, make="Canon", model="Canon EOS 5D", position=(-33.5, 151.25))
    for suffix in (".jpg", ".png", ".webp", ".tif", ".heic", ".avif", ".mpo"):
        facts = decode.decode(encoded(suffix, exif=block), limits=LIMITS).metadata
        assert (96, 80, int(moment.timestamp()), "Canon EOS 5D") == (
            facts.width,
            facts.height,
            facts.taken_at,
            facts.camera,
        ), suffix
        assert (-33.5, 151.25) == (facts.latitude, facts.longitude), suffix
