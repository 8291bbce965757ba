"""A RAW file shows the camera's own preview where that is large enough, else what the sensor saw, upright and whole, or it is a problem with a name."""

import functools
import io
import struct
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixfind.errors import Damaged, ImageProblem, NotAnImage, RawSupportMissing, TooLarge, Truncated
from pixfind.images import decode, thumbnails
from pixfind.images.decode import exif, raw
from pixfind.testing import images
from pixfind.testing.raw import encode_dng

SIZE = (320, 240)
HALF = (160, 120)
LIMITS = decode.Limits(10_000_000)
TOLERANCE = 8
"""Mean difference that half a size, a curve and JPEG may make, of 255."""
DETAILS = images.exif_block(
    make="Canon",
    model="Canon EOS 5D",
    taken_at=datetime(2020, 5, 4, 3, 2, 1, tzinfo=UTC),
    offset="+02:00",
    position=(48.1, -11.5),
)


def sensor() -> Image.Image:
    return images.picture(3, SIZE)


def other() -> Image.Image:
    """Another picture than the sensor saw, so that it shows which of the two was taken."""
    return images.picture(7, SIZE)


@functools.cache
def dng(preview: tuple[int, int] | None = None, exif_block: bytes = b"", **options: Any) -> bytes:
    shown = None if preview is None else other().resize(preview)
    return encode_dng(sensor(), preview=shown, exif=exif_block, **options)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def decoded(data: bytes, side: int | None = None) -> Image.Image:
    return decode.decode(data, limits=LIMITS, shortest_side=side).image


def is_like(expected: Image.Image, found: Image.Image) -> bool:
    return bool(np.abs(pixels(expected.resize(found.size, Image.Resampling.BOX)) - pixels(found)).mean() < TOLERANCE)


# --- which picture of the file ---------------------------------------------------------------------


def test_a_file_without_preview_is_developed_at_half_its_size() -> None:
    found = decoded(dng(), 64)

    assert HALF == found.size
    assert is_like(sensor(), found)


@pytest.mark.parametrize(("side", "is_preview"), [(64, True), (120, True), (121, False), (None, True)])
def test_the_preview_is_taken_where_its_shorter_side_is_large_enough(side: int | None, is_preview: bool) -> None:
    assert is_like(other() if is_preview else sensor(), decoded(dng(HALF), side))


def test_a_preview_is_scaled_while_it_is_decoded() -> None:
    assert (80, 60) == decoded(dng(SIZE), 30).size


def test_a_whole_picture_is_never_one_smaller_than_half_of_the_sensor() -> None:
    assert is_like(sensor(), decoded(dng((158, 118))))


def test_a_preview_that_is_not_whole_gives_way_to_the_sensor() -> None:
    data = dng(HALF)
    length = data.index(b"\xff\xd9") + 2 - 8
    broken = data.replace(struct.pack("<HHII", 279, 4, 1, length), struct.pack("<HHII", 279, 4, 1, length // 2))

    assert broken != data
    assert is_like(sensor(), decoded(broken, 64))


def test_a_sensor_without_colours_is_grey() -> None:
    grey = sensor().convert("L").convert("RGB")
    data = encode_dng(grey).replace(struct.pack("<HHII", 262, 3, 1, 32803), struct.pack("<HHII", 262, 3, 1, 34892))

    found = decoded(data)
    assert SIZE == found.size
    assert "RGB" == found.mode


# --- orientation and facts -------------------------------------------------------------------------


@pytest.mark.parametrize("preview", [None, HALF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(orientation: int, preview: tuple[int, int] | None) -> None:
    block = images.exif_block(orientation=orientation)
    result = decode.decode(dng(preview, block), limits=LIMITS, shortest_side=64)
    with_pillow = images.encode(sensor() if preview is None else other(), ".png", exif=block)
    expected = decode.decode(with_pillow, limits=LIMITS)

    assert is_like(expected.image, result.image)
    assert (expected.image.width > expected.image.height) == (result.image.width > result.image.height)
    assert expected.image.size == (result.metadata.width, result.metadata.height), "the size of the sensor, turned"


def test_a_preview_that_is_stored_upright_is_not_turned_again() -> None:
    upright = other().transpose(Image.Transpose.ROTATE_270)
    data = encode_dng(sensor(), preview=upright.resize((120, 160)), exif=images.exif_block(orientation=6))

    found = decoded(data, 64)
    assert (120, 160) == found.size
    assert is_like(upright, found)


def test_an_orientation_in_the_preview_counts_once() -> None:
    block = images.exif_block(orientation=6)
    data = encode_dng(sensor(), preview=other().resize(HALF), exif=block, preview_exif=block)

    assert is_like(other().transpose(Image.Transpose.ROTATE_270), decoded(data, 64))


@pytest.mark.parametrize("preview", [None, HALF])
def test_facts_are_those_of_the_camera(preview: tuple[int, int] | None) -> None:
    known = decode.decode(dng(preview, DETAILS), limits=LIMITS, shortest_side=64).metadata

    assert (*SIZE, "Canon EOS 5D") == (known.width, known.height, known.camera)
    assert datetime(2020, 5, 4, 1, 2, 1, tzinfo=UTC).timestamp() == known.taken_at
    assert (48.1, -11.5) == (known.latitude, known.longitude)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_facts_of_canons_boxes_are_read() -> None:
    """The three directories of a CR3 are the same as those of TIFF, each in a box of its own."""
    block = DETAILS.removeprefix(b"Exif\0\0")
    first = int.from_bytes(block[4:8], "little" if block[:2] == b"II" else "big")
    form = "<" if block[:2] == b"II" else ">"
    links = {
        tag: value
        for tag, _, _, value in (
            struct.unpack_from(form + "HHII", block, first + 2 + 12 * each)
            for each in range(struct.unpack_from(form + "H", block, first)[0])
        )
    }

    def at(offset: int) -> bytes:
        return block[:4] + struct.pack(form + "I", offset) + block[8:]

    canon = b"".join(
        box(name, at(offset)) for name, offset in ((b"CMT1", first), (b"CMT2", links[0x8769]), (b"CMT4", links[0x8825]))
    )
    movie = box(b"moov", box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + canon))
    data = box(b"ftyp", b"crx \0\0\0\1crx isom") + movie

    assert exif.read(DETAILS) == raw.facts(data)
    assert exif.Exif() == raw.facts(data[: len(data) // 2])


# --- recognised by content -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"II\x1a\0\0\0HEAPCCDR",
        b"FOVb\0\0\2\0",
        b"\0MRM\0\0",
        b"IIIITwaR",
    ],
)
def test_formats_with_a_beginning_of_their_own_are_recognised(head: bytes) -> None:
    data = head.ljust(64, b"\0")

    assert raw.recognises(data)
    assert decode.recognises(data)
    with pytest.raises(ImageProblem):
        decoded(data)


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".heic", ".avif", ".png"])
def test_other_pictures_are_none(suffix: str) -> None:
    assert not raw.recognises(images.encode(sensor(), suffix))


@pytest.mark.parametrize("preview", [None, HALF])
def test_a_raw_file_is_one_whatever_its_name_says(preview: tuple[int, int] | None) -> None:
    assert raw.recognises(dng(preview))


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)

    with pytest.raises(RawSupportMissing, match=r"pip install 'pixfind\[raw\]'"):
        decoded(dng(HALF))
    assert RawSupportMissing.transient, "the next run tries again: the extra may be there by then"


# --- limits ------------------------------------------------------------------------------------------


def test_the_limit_holds_for_the_sensor_and_for_the_preview() -> None:
    few = decode.Limits(SIZE[0] * SIZE[1] - 1)

    with pytest.raises(TooLarge):
        decode.decode(dng(), limits=few)
    with pytest.raises(TooLarge):
        decode.decode(dng(SIZE), limits=few)
    assert is_like(other(), decode.decode(dng(HALF), limits=few, shortest_side=64).image)


def test_a_header_that_promises_far_too_much_takes_no_memory() -> None:
    data = dng().replace(struct.pack("<HHII", 256, 4, 1, SIZE[0]), struct.pack("<HHII", 256, 4, 1, 60_000))
    data = data.replace(struct.pack("<HHII", 257, 4, 1, SIZE[1]), struct.pack("<HHII", 257, 4, 1, 60_000))

    with pytest.raises(TooLarge):
        decoded(data)


# --- damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preview", [None, HALF])
def test_a_cut_file_is_a_problem_or_the_whole_picture(preview: tuple[int, int] | None) -> None:
    data = dng(preview, DETAILS)
    pictures_end = len(data) - 700

    for length in {*range(1, 40, 5), *range(40, len(data), len(data) // 40), *range(len(data) - 100, len(data), 10)}:
        try:
            part = decoded(data[:length], 64)
        except (Truncated, NotAnImage, Damaged):
            continue
        assert length > pictures_end
        assert is_like(sensor() if preview is None else other(), part)


def test_a_file_that_says_that_it_is_longer_is_truncated_although_its_preview_is_whole() -> None:
    """As an interrupted copy leaves it where the directories lie before the pictures."""
    data = dng(HALF)
    length = SIZE[0] * SIZE[1] * 2
    moved = data.replace(struct.pack("<HHII", 279, 4, 1, length), struct.pack("<HHII", 279, 4, 1, len(data)))

    assert moved != data
    with pytest.raises(Truncated):
        decoded(moved, 64)


def test_a_raf_that_is_shorter_than_its_header_says_is_truncated() -> None:
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"0")
    data = head + struct.pack(">6I", 108, 400, 600, 10, 700, 10_000) + bytes(2_000)

    with pytest.raises(Truncated):
        decoded(data)


@pytest.mark.parametrize("preview", [None, HALF])
def test_flipped_bytes_are_a_picture_or_a_problem(preview: tuple[int, int] | None) -> None:
    whole = dng(preview, DETAILS)
    random = np.random.default_rng(5)
    directories = len(whole) - 900
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(directories if random.random() < 0.7 else 0, len(data), 4):
            data[place] = random.integers(256)
        try:
            found = decoded(bytes(data), 64)
        except ImageProblem:
            continue
        assert "RGB" == found.mode


def test_directories_that_lead_in_a_circle_end() -> None:
    data = bytearray(dng(HALF))
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * count : first + 6 + 12 * count] = first.to_bytes(4, "little")

    assert is_like(other(), decoded(bytes(data), 64))


def test_a_thumbnail_is_made_of_it() -> None:
    made = thumbnails.make(dng(HALF, DETAILS), 128, limits=LIMITS)

    with Image.open(io.BytesIO(made)) as image:
        assert (128, 96) == image.size
        assert is_like(other(), image)
