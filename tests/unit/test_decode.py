"""A picture is decoded whole, upright and in RGB, or it is a problem with a name."""

import functools
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixfind.errors import Damaged, NotAnImage, Truncated
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


# --- orientation and scale ------------------------------------------------------------------------


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


# --- colour ---------------------------------------------------------------------------------------


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


# --- netpbm ---------------------------------------------------------------------------------------


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
