"""A picture is decoded whole, upright and in RGB, or it is a problem with a name."""

import contextlib
import functools
import io
import struct
import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pixfind.errors import Damaged, EmptyFile, ImageProblem, NotAnImage, TooLarge, Truncated
from pixfind.images import decode
from pixfind.testing import images

SIZE = (96, 80)
LIMITS = decode.Limits(10_000_000)
EXIF = images.exif_block(make="Make", model="Model")
TOLERANCE = 8
"""Mean difference that a lossy format may make, of 255."""


def decoded(data: bytes, side: int | None = None) -> np.ndarray:
    return np.asarray(decode.decode(data, limits=LIMITS, shortest_side=side).image).astype(int)


def original(mode: str = "RGB", seed: int = 3) -> np.ndarray:
    return np.asarray(images.picture(seed, SIZE, mode).convert("RGB")).astype(int)


def encoded(suffix: str, mode: str = "RGB", *, size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    return images.encode(images.picture(3, size, mode), suffix, **options)


def animated(suffix: str, **options: Any) -> bytes:
    further = [images.picture(seed, SIZE) for seed in (5, 6)]
    return encoded(suffix, save_all=True, append_images=further, **options)


def adobe_cmyk() -> bytes:
    return encoded(".jpg", "CMYK", quality=95)


def ycck() -> bytes:
    """Pillow cannot write one: the Adobe segment of a CMYK JPEG is changed to say so."""
    return adobe_cmyk().replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")


GOOD: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(".jpg", quality=95),
    "jpeg progressive": lambda: encoded(".jpg", quality=95, progressive=True),
    "jpeg restarts": lambda: encoded(".jpg", quality=95, restart_marker_blocks=2),
    "jpeg grey": lambda: encoded(".jpg", "L", quality=95),
    "jpeg cmyk": adobe_cmyk,
    "mpo": lambda: animated(".mpo", quality=95),
    "png": lambda: encoded(".png"),
    "png palette": lambda: encoded(".png", "P"),
    "png grey": lambda: encoded(".png", "L"),
    "png 16 bit": lambda: encoded(".png", "I;16"),
    "png 1 bit": lambda: encoded(".png", "1"),
    "apng": lambda: animated(".png"),
    "webp": lambda: encoded(".webp", quality=95),
    "webp lossless": lambda: encoded(".webp", lossless=True, exif=EXIF),
    "webp animated": lambda: animated(".webp", quality=95),
    "gif": lambda: encoded(".gif"),
    "gif animated": lambda: animated(".gif"),
    "bmp": lambda: encoded(".bmp"),
    "bmp palette": lambda: encoded(".bmp", "P"),
    "tiff": lambda: encoded(".tif", exif=EXIF),
    "tiff lzw": lambda: encoded(".tif", compression="tiff_lzw"),
    "tiff deflate": lambda: encoded(".tif", compression="tiff_adobe_deflate"),
    "tiff jpeg": lambda: encoded(".tif", compression="jpeg", quality=95),
    "tiff fax": lambda: encoded(".tif", "1", compression="group4"),
    "tiff cmyk": lambda: encoded(".tif", "CMYK"),
    "tiff 16 bit": lambda: encoded(".tif", "I;16"),
    "tiff float": lambda: encoded(".tif", "F"),
    "tiff pages": lambda: animated(".tif"),
    "bigtiff": lambda: encoded(".tif", big_tiff=True),
    "jpeg 2000": lambda: encoded(".jp2"),
    "jpeg 2000 lossy": lambda: encoded(".jp2", quality_mode="rates", quality_layers=[8], irreversible=True),
    "heic": lambda: encoded(".heic", quality=95, exif=EXIF),
    "heic burst": lambda: animated(".heic", quality=95),
    "avif": lambda: encoded(".avif", quality=95, exif=EXIF),
    "avif animated": lambda: animated(".avif", quality=95),
    "pbm": lambda: encoded(".pbm"),
    "pgm": lambda: encoded(".pgm"),
    "ppm": lambda: encoded(".ppm"),
    "pam": lambda: encoded(".pam"),
    "pfm": lambda: encoded(".pfm"),
}
GREY = {"jpeg grey", "png grey", "png 16 bit", "tiff 16 bit", "tiff float", "pgm"}
BITS = {"png 1 bit", "tiff fax", "pbm"}


@functools.cache
def good(name: str) -> bytes:
    return GOOD[name]()


def mode_of(name: str) -> str:
    return "L" if name in GREY else "1" if name in BITS else "RGB"


@pytest.mark.parametrize("name", GOOD)
def test_every_format_shows_the_picture_that_was_put_in(name: str) -> None:
    difference = np.abs(decoded(good(name)) - original(mode_of(name)))

    assert difference.mean() < TOLERANCE


@pytest.mark.parametrize("name", [name for name in GOOD if not name.startswith(("png 16", "tiff 16", "tiff float"))])
def test_pixels_are_those_of_pillow(name: str) -> None:
    data = good(name)
    if name in {"pam", "pfm"}:
        return

    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), decoded(data))


def cuts(data: bytes) -> list[int]:
    step = max(1, len(data) // 30)
    return sorted({*range(1, 40, 5), *range(40, len(data), step), *range(max(1, len(data) - 60), len(data), 10)})


@pytest.mark.parametrize("name", GOOD)
def test_a_cut_file_is_a_problem_or_the_whole_picture(name: str) -> None:
    data = good(name)
    whole = decoded(data)

    for length in cuts(data):
        try:
            part = decoded(data[:length])
        except (Truncated, NotAnImage, Damaged):
            continue
        assert np.array_equal(whole, part), f"{length} of {len(data)} bytes"


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "tiff", "heic", "avif", "jpeg 2000", "ppm"])
def test_half_a_file_is_called_truncated(name: str) -> None:
    data = good(name)

    with pytest.raises(Truncated):
        decoded(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("end", [b"\xff\xd9", bytes(500)])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 3}, {"subsampling": 2}])
def test_a_jpeg_whose_missing_end_was_papered_over_is_truncated(options: dict[str, Any], end: bytes) -> None:
    """An end marker or zeros in place of the missing half make libjpeg fill it with grey and say nothing."""
    data = encoded(".jpg", quality=95, **options)

    for length in range(len(data) // 2, len(data) - 40, 31):
        with pytest.raises(Truncated):
            decoded(data[:length] + end)


def test_a_jpeg_that_only_lacks_its_end_marker_is_whole() -> None:
    data = encoded(".jpg", quality=95)

    assert np.array_equal(decoded(data), decoded(data[:-2] + b"\x01\x02\x03\x04\x05\x06\x07\x08\x09"))


def test_bytes_behind_the_end_do_no_harm() -> None:
    for name in ("jpeg", "jpeg progressive", "png", "gif", "webp", "bmp"):
        data = good(name)
        assert np.array_equal(decoded(data), decoded(data + b"trailer" * 100)), name
        assert np.array_equal(decoded(data), decoded(data + bytes(5000))), name


def test_a_large_flat_webp_is_whole_although_its_end_is_zeros() -> None:
    data = images.encode(Image.new("RGB", (6000, 1000)), ".webp")

    assert (6000, 1000) == decode.decode(data, limits=LIMITS).image.size


# --- orientation and scale --------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_every_orientation_ends_upright(suffix: str, orientation: int) -> None:
    data = encoded(suffix, exif=images.exif_block(orientation=orientation))
    with Image.open(io.BytesIO(encoded(suffix))) as image:
        stored = np.asarray(image.convert("RGB")).astype(int)
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: np.rot90(a, 1),
    }

    assert np.array_equal(turns[orientation](stored), decoded(data))


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_pictures_in_boxes_are_turned_once(suffix: str) -> None:
    result = decode.decode(encoded(suffix, exif=images.exif_block(orientation=6), quality=95), limits=LIMITS)

    assert (80, 96) == result.image.size == (result.metadata.width, result.metadata.height)
    assert np.abs(np.rot90(np.asarray(result.image), 1).astype(int) - original()).mean() < TOLERANCE


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_scaled_jpeg_tells_its_full_size(orientation: int) -> None:
    data = encoded(".jpg", size=(400, 300), exif=images.exif_block(orientation=orientation))
    result = decode.decode(data, limits=LIMITS, shortest_side=30)

    full = (400, 300) if orientation == 1 else (300, 400)
    assert full == (result.metadata.width, result.metadata.height)
    assert tuple(side // 4 for side in full) == result.image.size


@pytest.mark.parametrize("side", [1, 30, 64, 224, 500, 5000])
def test_scaling_while_decoding_keeps_the_margin(side: int) -> None:
    image = decode.decode(encoded(".jpg", size=(1000, 700)), limits=LIMITS, shortest_side=side).image

    assert min(image.size) >= min(700, 88, side * decode.DRAFT_MARGIN)
    assert min(image.size) >= min(700, side * decode.DRAFT_MARGIN) or min(image.size) == 88


def test_a_scaled_jpeg_stays_close_to_the_full_one() -> None:
    data = encoded(".jpg", size=(800, 600), quality=95)
    small = [
        np.asarray(decode.decode(data, limits=LIMITS, shortest_side=side).image.resize((100, 75))).astype(int)
        for side in (None, 75)
    ]

    assert np.abs(small[0] - small[1]).mean() < 0.5


# --- colour -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".heic", ".pam"])
def test_what_is_transparent_is_white(suffix: str) -> None:
    pixels = decoded(encoded(suffix, "RGBA"))

    assert np.all(pixels[2:-2, 2:40] >= 250)
    assert np.abs(pixels[:, 56:] - original()[:, 56:]).mean() < TOLERANCE


def test_transparency_without_an_alpha_channel_is_white_too() -> None:
    grey = Image.new("L", (8, 8), 7)
    colour = Image.new("RGB", (8, 8), (1, 2, 3))
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    for image, transparency in ((grey, 7), (colour, (1, 2, 3)), (palette, 0)):
        assert np.all(decoded(images.encode(image, ".png", transparency=transparency)) == 255), image.mode
    assert np.all(decoded(images.encode(palette, ".gif", transparency=0)) == 255)


def test_grey_with_alpha_is_laid_on_white() -> None:
    pixels = decoded(encoded(".png", "LA"))

    assert np.all(pixels[:, :48] == 255)
    assert np.array_equal(pixels[:, 48:], original("L")[:, 48:])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_grey_is_scaled_and_not_clipped(suffix: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = decoded(images.encode(Image.fromarray(ramp), suffix))

    assert np.array_equal(np.arange(256).reshape(16, 16), pixels[:, :, 0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 500.0, 1000.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([float("nan"), float("inf"), 1.0], [0, 0, 255]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
        ([-1e-45, -1e-45, -1e-45], [0, 0, 0]),
    ],
)
def test_float_pictures_are_stretched_only_where_they_must(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))

    assert expected == decoded(images.encode(image, ".tif"))[0, :, 0].tolist()


def test_adobe_inks_come_out_as_colours() -> None:
    assert np.abs(decoded(adobe_cmyk()) - original()).mean() < TOLERANCE
    assert decoded(ycck()).shape == (80, 96, 3)


def test_a_jpeg_in_rgb_is_not_taken_for_ycbcr() -> None:
    data = encoded(".jpg", keep_rgb=True, quality=95)

    assert np.abs(decoded(data) - original()).mean() < TOLERANCE


def test_lab_is_converted() -> None:
    data = images.encode(Image.new("LAB", (8, 8), (255, 128, 128)), ".tif")

    assert decoded(data).min() > 240


def test_the_colour_profile_is_kept_for_those_who_show_the_picture() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for suffix in (".jpg", ".png", ".webp", ".tif", ".heic", ".avif"):
        image = decode.decode(encoded(suffix, icc_profile=profile), limits=LIMITS).image
        assert image.info == {"icc_profile": profile}, suffix


# --- netpbm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P1 3 1 0 1 0", [255, 0, 255]),
        (b"P1\n# a comment\n3 1\n010", [255, 0, 255]),
        (b"P2 3 1 10 0 5 10 ", [0, 128, 255]),
        (b"P2 3 1 65535 0 32768 65535 ", [0, 128, 255]),
        (b"P4 3 1 \x40", [255, 0, 255]),
        (b"P5 3 1 255\n\x00\x80\xff", [0, 128, 255]),
        (b"P5 3 1 100\n\x00\x32\x64", [0, 128, 255]),
        (b"P5 3 1 65535\n\x00\x00\x80\x00\xff\xff", [0, 128, 255]),
        (b"P5 #c\n3#c\n 1 255\n\x00\x80\xff", [0, 128, 255]),
        (b"P7\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\x00\x80\xff", [0, 128, 255]),
        (b"Pf 3 1 1.0\n" + struct.pack(">3f", 0, 0.5, 1), [0, 128, 255]),
    ],
)
def test_every_netpbm_format_is_read(data: bytes, expected: list[int]) -> None:
    assert [[grey] * 3 for grey in expected] == decoded(data)[0].tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"P6 0 5 255\n",
        b"P6 2 2 0\n" + bytes(12),
        b"P6 2 2 70000\n" + bytes(24),
        b"P6 -2 2 255\n" + bytes(24),
        b"P6 2 2 x\n" + bytes(24),
        b"P2 2 1 255 1 x ",
        b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 9\nMAXVAL 255\nENDHDR\n" + bytes(36),
        b"PF 1 1 nan\n" + bytes(12),
    ],
)
def test_a_netpbm_header_that_makes_no_sense_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged):
        decoded(data)


# --- limits -----------------------------------------------------------------------------------------------


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


# --- hostile metadata -----------------------------------------------------------------------------------


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


# --- problems -------------------------------------------------------------------------------------------


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
