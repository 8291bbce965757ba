"""What a camera wrote becomes facts; what it got wrong becomes unknown."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixfind.images.decode import exif, ifd
from pixfind.testing.images import exif_block
from pixfind.types import ImageMetadata

MOMENT = datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)


def test_a_good_block_gives_every_fact() -> None:
    found = exif.read(
        exif_block(orientation=6, taken_at=MOMENT, make="FUJIFILM", model="X-T5", position=(52.520008, 13.404954))
    )

    assert 6 == found.orientation
    assert int(MOMENT.timestamp()) == found.taken_at
    assert "FUJIFILM X-T5" == found.camera
    assert found.latitude == pytest.approx(52.520008, abs=1e-5)
    assert found.longitude == pytest.approx(13.404954, abs=1e-5)
    assert ImageMetadata(3, 4, found.taken_at, found.camera, found.latitude, found.longitude) == found.metadata(3, 4)


def test_both_byte_orders_and_both_beginnings_are_read() -> None:
    block = exif_block(orientation=3)
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"

    assert 3 == exif.read(block).orientation == exif.read(block.removeprefix(b"Exif\0\0")).orientation
    assert 3 == exif.read(big).orientation


# --- when -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020:02:29 12:30:15", MOMENT),
        ("2020-02-29 12:30:15", MOMENT),
        ("2020-02-29T12:30:15", MOMENT),
        ("2020:02:29 12:30:15.123", MOMENT),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2021:02:29 12:30:15", None),
        ("2020:02:29 25:00:00", None),
        ("2020:02:29", None),
        ("yesterday", None),
        ("1969:12:31 23:59:59", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001:01:01 00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_broken_date_is_unknown(text: str, expected: datetime | None) -> None:
    seconds = None if expected is None else int(expected.timestamp())

    assert seconds == exif.read(exif_block(taken_at=text)).taken_at


@pytest.mark.parametrize(
    ("offset", "hours"),
    [("+02:00", 2), ("-05:30", -5.5), ("+0545", 5.75), ("Z", 0), ("", 0), ("   :  ", 0), ("+99:00", 0), ("-00:00", 0)],
)
def test_the_offset_is_taken_off(offset: str, hours: float) -> None:
    local = MOMENT.replace(tzinfo=timezone(timedelta(hours=hours)))

    assert int(local.timestamp()) == exif.read(exif_block(taken_at=MOMENT, offset=offset)).taken_at


def test_an_offset_beyond_the_calendar_is_unknown() -> None:
    assert exif.read(exif_block(taken_at="0001:01:01 00:00:00", offset="+14:00")).taken_at is None


# --- which camera -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D Mark IV", "Canon EOS 5D Mark IV"),
        ("NIKON CORPORATION", "NIKON D850", "NIKON D850"),
        ("Apple", "iPhone 15 Pro", "Apple iPhone 15 Pro"),
        ("SONY", "", "SONY"),
        ("", "DSC-RX100", "DSC-RX100"),
        ("  Padded   ", "X  \0\0garbage", "Padded X"),
        ("Bell\x07\x1b[31m", "Tab\tNew\nline", "Bell [31m Tab New line"),
        ("A" * 100, "B" * 100, "A" * 40),
    ],
)
def test_a_camera_is_named_once_and_in_plain_text(make: str, model: str, camera: str) -> None:
    assert camera == exif.read(exif_block(make=make, model=model)).camera


def test_bytes_that_are_no_text_leave_no_trace_in_the_camera() -> None:
    block = exif_block(make="Camera", model="0123456789").replace(b"0123456789", b"\xff\xfe\x80ok\xc3\x28\x90\x9d\x01")

    assert "Camera ok (" == exif.read(block).camera


# --- where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [(52.5, 13.4), (-33.86, 151.21), (40.7, -74.0), (-54.8, -68.3), (89.999, 179.999)])
def test_all_four_quarters_of_the_globe_are_told_apart(position: tuple[float, float]) -> None:
    found = exif.read(exif_block(position=position))

    assert position == pytest.approx((found.latitude, found.longitude), abs=1e-5)


def gps(latitude: list[int], *, reference: bytes = b"N\0\0\0", kind: int = 5) -> bytes:
    """A block whose latitude is these rationals; the longitude is one degree."""
    tags = [
        ifd.Entry(1, 2, 2, reference),
        ifd.Entry(2, kind, len(latitude) // 2, tuple(latitude)),
        ifd.Entry(3, 2, 2, b"E\0\0\0"),
        ifd.Entry(4, 5, 3, (1, 1, 0, 1, 0, 1)),
    ]
    head = b"II*\0" + struct.pack("<I", 8)
    main = ifd.write([ifd.Entry(0x8825, 4, 1, (26,))], "<", 8)
    return head + main + ifd.write(tags, "<", 8 + len(main))


@pytest.mark.parametrize(
    ("latitude", "expected"),
    [
        ([10, 1, 30, 1, 0, 1], 10.5),
        ([10, 1, 3000, 100], 10.5),
        ([105, 10], 10.5),
        ([10, 0, 30, 1, 0, 1], None),
        ([10, 1, 30, 0, 0, 1], None),
        ([0, 0, 0, 0, 0, 0], None),
        ([91, 1, 0, 1, 0, 1], None),
        ([4294967295, 1, 0, 1, 0, 1], None),
        ([1, 1] * 4, None),
        ([], None),
    ],
)
def test_a_place_that_cannot_be_is_unknown(latitude: list[int], expected: float | None) -> None:
    found = exif.read(gps(latitude))

    assert expected == found.latitude
    assert (None if expected is None else 1.0) == found.longitude


def test_a_place_without_its_letter_or_of_another_type_is_unknown() -> None:
    assert exif.read(gps([10, 1], reference=b"\0\0\0\0")).latitude is None
    assert exif.read(gps([10, 1], reference=b"E\0\0\0")).latitude is None
    assert exif.read(gps([10, 1], kind=4)).latitude is None


def test_a_receiver_without_a_fix_is_nowhere() -> None:
    found = exif.read(exif_block(position=(0.0, 0.0)))

    assert (None, None) == (found.latitude, found.longitude)


# --- hostile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    block = b"II*\0\x08\0\0\0" + ifd.write([ifd.Entry(0x0112, 3, 1, (orientation,))], "<", 8)

    assert 1 == exif.read(block).orientation


@pytest.mark.parametrize(
    "block",
    [b"", b"Exif\0\0", b"II*\0", b"II*\0\x08\0\0\0", b"XX*\0\x08\0\0\0\0\0", b"II*\0\0\0\0\0\xff\xff", b"\xff" * 100],
)
def test_what_is_no_exif_is_empty(block: bytes) -> None:
    assert exif.Exif() == exif.read(block)


def test_a_directory_that_points_to_itself_ends() -> None:
    block = b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 0x8769, 4, 1, 8, 0x8825, 4, 1, 8) + bytes(4)

    assert exif.Exif() == exif.read(block)


def test_a_directory_that_asks_for_endless_work_gets_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tag claims the whole block, thousands of times over: each tag is read once, and no more than 16 MiB in all."""
    tags = sorted({0x010F, 0x0110, 0x0112, 0x8769, 0x8825})
    entries = b"".join(struct.pack("<HHII", tags[n % 5], 1, 8_000_000, 8) for n in range(60_000))
    block = b"II*\0" + struct.pack("<IH", 8, 60_000) + entries + bytes(8_000_000)

    work: list[int] = []
    value, entries_of = ifd._value, ifd._raw_entries

    def counted(*arguments: Any) -> tuple[int, ifd.Value | None]:
        size, found = value(*arguments)
        work.append(size)
        return size, found

    def looked_at(*arguments: Any) -> Iterator[Any]:
        for entry in entries_of(*arguments):
            seen.append(entry)
            yield entry

    seen: list[Any] = []
    monkeypatch.setattr(ifd, "_value", counted)
    monkeypatch.setattr(ifd, "_raw_entries", looked_at)
    exif.read(block)

    assert 0 < len(seen) <= 3 * 4096, "entries of three directories"
    assert sum(work) <= 3 * 16 * 2**20, "bytes"


GOOD = exif_block(orientation=6, taken_at=MOMENT, offset="+02:00", make="A", model="B", position=(1, 2))


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=4)), min_size=1, max_size=10))
def test_a_mutated_block_never_raises(changes: list[tuple[int, bytes]]) -> None:
    block = bytearray(GOOD)
    for place, new in changes:
        block[place : place + len(new)] = new
    found = exif.read(bytes(block))

    assert 1 <= found.orientation <= 8
    assert len(found.camera) <= exif.CAMERA_CHARACTERS
    assert found.camera.isprintable()
    assert found.latitude is None or -90 <= found.latitude <= 90
    assert found.longitude is None or -180 <= found.longitude <= 180
    assert found.taken_at is None or isinstance(found.taken_at, int)


@given(st.binary(max_size=200))
def test_noise_never_raises(noise: bytes) -> None:
    exif.read(b"II*\0\x08\0\0\0" + noise)
    exif.read(b"MM\0*\0\0\0\x08" + noise)
