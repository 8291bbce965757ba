"""
Containers: the wrapping around the pixels of JPEG, PNG, WebP and GIF files, and of those made of boxes.

Owns the walk over segments, chunks and boxes. It takes the metadata out and hands on only what draws the first frame,
so a hostile comment, profile, thumbnail or second frame never reaches a decoder, and a missing end is seen here where
a decoder would be lenient. Must not know Pillow. Next: `decode` opens what is left.
"""

# ruff: noqa: PLR2004 - byte layouts are made of numbers

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pixfind.errors import Damaged, NotAnImage
from pixfind.images.decode.problems import cut


@dataclass(frozen=True, slots=True)
class Contents:
    """One container, taken apart."""

    drawing: bytes
    """what the decoder gets"""
    exif: bytes = b""
    profile: bytes = b""
    """an ICC profile"""
    size: tuple[int, int] | None = None
    """width and height, where the walk meets them before the decoder does"""


_JPEG_START_OF_SCAN: Final = 0xDA
_JPEG_COLOURS: Final = (b"JFIF\0", b"Adobe")  # they tell RGB from YCbCr, and CMYK from its negative
_JPEG_MOST_SEGMENTS: Final = 2000
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SEQUENTIAL: Final = (0xC0, 0xC1)
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_METADATA: Final = frozenset({*range(0xE0, 0xF0), 0xFE})
_JPEG_END: Final = b"\xff\xd9"
# libjpeg fills 64 bits before it looks at the first of them.
_JPEG_READ_AHEAD: Final = bytes(8)


def jpeg(data: bytes) -> Contents:
    """
    Keep the tables, the frame and its scans.

    The end marker of a single-scan picture is left out on purpose: the decoder then stops with an error where the scan
    ends early, instead of filling the rest with grey, and needs no marker where the scan is complete.
    """
    kept, exif, profile = [b"\xff\xd8"], b"", []
    frame, components, start = 0, 0, 0
    for marker, start, end in _jpeg_segments(data):
        body = data[start + 4 : end]
        if marker in _JPEG_FRAMES:
            frame, components = marker, body[5] if len(body) > 5 else 0
        if marker == _JPEG_START_OF_SCAN:
            break
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body[12:])
        if marker not in _JPEG_METADATA or (body.startswith(_JPEG_COLOURS) and len(body) >= 12):
            kept.append(data[start:end])
        if len(kept) > _JPEG_MOST_SEGMENTS:
            raise Damaged(detail="it is made of segments without a picture")
    else:
        raise cut("the data ends before the first scan")
    single = frame in _JPEG_SEQUENTIAL and len(body) > 0 and body[0] == components
    drawing = b"".join([*kept, *_jpeg_scans(data, start, single=single)])
    return Contents(drawing, exif, b"".join(part[2:] for part in sorted(profile)))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment up to the first scan."""
    place = 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 4 <= len(data):
        marker = data[place + 1]
        if marker in {0x00, 0xFF}:
            place += 1
        elif marker in _JPEG_ALONE:
            place += 2
        else:
            end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            yield marker, place, end
            place = max(end, place + 4)


def _jpeg_scans(data: bytes, start: int, *, single: bool) -> tuple[bytes | memoryview, ...]:
    # From the back, where it stands in nearly every file. One of a later picture (panoramas, moving photos) is as good:
    # the decoder then meets its own on the way.
    end = data.rfind(_JPEG_END, start)
    whole = memoryview(data)
    if end < 0:
        # What a copy that stopped leaves where the space was set aside first: zeros, which decode to noise.
        if data.endswith(bytes(8)):
            raise cut("its end is filled with zeros")
        return (whole[start:],)
    return (whole[start:end], _JPEG_READ_AHEAD) if single else (whole[start:],)


_PNG_DRAWING: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_LARGEST_PROFILE: Final = 65536


def png(data: bytes) -> Contents:
    """Keep the chunks that draw the still picture; text, profiles and further frames stay behind."""
    kept, exif, profile = [data[:8]], b"", b""
    for kind, start, end in _png_chunks(data):
        if kind in _PNG_DRAWING:
            kept.append(data[start:end])
        elif kind == b"eXIf":
            exif = data[start + 8 : end - 4]
        elif kind == b"iCCP":
            profile = _png_profile(data[start + 8 : end - 4])
    return Contents(b"".join(kept), exif, profile)


def _png_profile(body: bytes) -> bytes:
    compressed = body.partition(b"\0")[2][1:]
    try:
        profile = zlib.decompressobj().decompress(compressed, _LARGEST_PROFILE + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= _LARGEST_PROFILE else b""


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    start = 8
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        yield kind, start, min(end, len(data))
        if kind == b"IEND":
            return
        start = end
    raise cut("the data ends before the last chunk")


def webp(data: bytes) -> Contents:
    """Find the EXIF block and prove that the file is as long as it says."""
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise cut(f"{len(data)} bytes of {length + 8}")
    chunks = {kind: data[start:end] for kind, start, end in _webp_chunks(data[: length + 8])}
    return Contents(data, chunks.get(b"EXIF", b""), chunks.get(b"ICCP", b""), _webp_size(chunks))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    start = 12
    while start + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, start)
        yield kind, start + 8, start + 8 + length
        start += 8 + length + length % 2


def _webp_size(chunks: dict[bytes, bytes]) -> tuple[int, int] | None:
    if len(canvas := chunks.get(b"VP8X", b"")) >= 10:
        return 1 + int.from_bytes(canvas[4:7], "little"), 1 + int.from_bytes(canvas[7:10], "little")
    if len(lossless := chunks.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if len(lossy := chunks.get(b"VP8 ", b"")) >= 10:
        width, height = struct.unpack_from("<HH", lossy, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def gif(data: bytes) -> Contents:
    """Keep the header, the first image and its transparency, and end there."""
    if len(data) < 13:
        raise cut()
    place = 13 + _gif_colours(data[10])
    width, height = struct.unpack_from("<HH", data, 6)
    kept: list[bytes] = []
    head = data[:place]
    while place < len(data):
        start, block = place, data[place]
        if block == 0x21:
            place = _gif_after(data, place + 2)
            if data[start + 1] == 0xF9:
                kept.append(data[start:place])
        elif block == 0x2C and start + 10 <= len(data):
            left, top, across, down = struct.unpack_from("<HHHH", data, start + 1)
            place = _gif_after(data, start + 10 + _gif_colours(data[start + 9]) + 1)
            size = max(width, left + across), max(height, top + down)
            # A frame may stick out of the canvas; the canvas then grows, which Pillow would warn about.
            head = head[:6] + struct.pack("<HH", *size) + head[10:]
            return Contents(b"".join([head, *kept, data[start:place], b";"]), size=size)
        elif block == 0x3B:
            raise Damaged(detail="it has no frame")
        else:
            place += 1
    raise cut()


def _gif_colours(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_after(data: bytes, place: int) -> int:
    """The first place behind a chain of sub-blocks."""
    while place < len(data):
        length = data[place]
        place += 1 + length
        if length == 0:
            return place
    raise cut()


_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)


def bmp(data: bytes) -> Contents:
    """Two letters are a weak sign; the length of the header behind them is a strong one."""
    if len(data) < 26 or int.from_bytes(data[14:18], "little") not in _BMP_HEADERS:
        raise NotAnImage
    return Contents(data)


_JP2_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_JP2_END: Final = b"\xff\xd9"


def jpeg2000(data: bytes) -> Contents:
    """Prove that the code stream has its end marker, whose bytes occur nowhere inside it."""
    start = data.find(_JP2_CODESTREAM)
    if start < 0 or data.find(_JP2_END, start) < 0:
        raise cut()
    return Contents(data)


def heif(data: bytes) -> Contents:
    """Prove that every box is whole."""
    for _ in _boxes(data):
        pass
    return Contents(data)


_TIFF_IN_BOXES: Final = re.compile(rb"(?:\0\0\0\0|Exif\0\0)(II\*\0|MM\0\*)")


def avif(data: bytes) -> Contents:
    """
    Hide the EXIF block from the decoder, which would raise on a broken one.

    What it tells about turning the picture is void in this format: the boxes do.
    """
    drawing = data
    for kind, start, end in _boxes(data):
        if kind == b"meta":
            drawing = data[:start] + data[start:end].replace(b"Exif", b"skip") + data[end:]
    found = _TIFF_IN_BOXES.search(data)
    return Contents(drawing, data[found.start(1) :] if found else b"")


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each outermost box."""
    start = 0
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if length == 1 and start + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, start + 8)
        end = start + length if length else len(data)
        if end > len(data):
            raise cut(f"{len(data)} bytes of {end}")
        yield kind, start, end
        start = max(end, start + 8)
    if start < len(data):
        raise cut()


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, from its frame."""
    for marker, start, _ in _jpeg_segments(data):
        if marker in _JPEG_FRAMES and start + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
    raise cut("the data ends before the frame")
