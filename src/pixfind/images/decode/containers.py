"""
Containers: the structure around the pixels of JPEG, PNG, WebP, GIF and ISO media files (AVIF, HEIC).

Owns parsing of segments, chunks and boxes. It extracts the metadata and passes on only the parts that the first frame needs,
so a hostile comment, profile, thumbnail or second frame never reaches a decoder. A truncated file is detected here, where
decoders are lenient. Must not know Pillow; `decode` opens the result.

Formats: JPEG ITU-T T.81, PNG ISO/IEC 15948, WebP RFC 9649, GIF89a, JPEG 2000 ITU-T T.800, ISO base media (boxes) ISO/IEC 14496-12.
"""

# ruff: noqa: PLR2004 - byte layouts are made of numbers

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pixfind.errors import Damaged, NotAnImage
from pixfind.images.decode.problems import truncated


@dataclass(frozen=True, slots=True)
class Contents:
    """The parts of one container."""

    drawing: bytes
    """the bytes for the decoder"""
    exif: bytes = b""
    profile: bytes = b""
    """an ICC profile"""
    size: tuple[int, int] | None = None
    """width and height in pixels, where they are known before decoding"""


_JPEG_START_OF_SCAN: Final = 0xDA
_JPEG_COLOURS: Final = (b"JFIF\0", b"Adobe")  # these distinguish RGB from YCbCr, and CMYK from inverted CMYK
_JPEG_MAX_SEGMENTS: Final = 2000
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SEQUENTIAL: Final = (0xC0, 0xC1)
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_METADATA: Final = frozenset({*range(0xE0, 0xF0), 0xFE})
_JPEG_END: Final = b"\xff\xd9"
# libjpeg reads 64 bits ahead.
_JPEG_READ_AHEAD: Final = bytes(8)


def jpeg(data: bytes) -> Contents:
    """
    Return the tables, the frame and its scans of a JPEG; raises Truncated, Damaged.

    The end marker of a single-scan picture is left out on purpose: the decoder then raises an error where the scan ends early, instead
    of filling the rest with grey, and does not need the marker where the scan is complete.
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
        if len(kept) > _JPEG_MAX_SEGMENTS:
            raise Damaged(detail="it has only segments without a picture")
    else:
        raise truncated("the data ends before the first scan")
    single = frame in _JPEG_SEQUENTIAL and len(body) > 0 and body[0] == components
    drawing = b"".join([*kept, *_jpeg_scans(data, start, single=single)])
    return Contents(drawing, exif, b"".join(part[2:] for part in sorted(profile)))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment up to the first scan."""
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
    # Searched from the end, where it is in nearly every file. The end marker of a later picture (panoramas, live photos) works too:
    # the decoder reads its own one first.
    end = data.rfind(_JPEG_END, start)
    whole = memoryview(data)
    if end < 0:
        # An interrupted copy to a file of full size leaves zeros at the end, which decode to noise.
        if data.endswith(bytes(8)):
            raise truncated("its end is filled with zeros")
        return (whole[start:],)
    return (whole[start:end], _JPEG_READ_AHEAD) if single else (whole[start:],)


_PNG_DRAWING: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_MAX_PROFILE_BYTES: Final = 65536


def png(data: bytes) -> Contents:
    """Return the chunks of the still picture, without text, profiles and further frames; raises Truncated."""
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
        profile = zlib.decompressobj().decompress(compressed, _MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= _MAX_PROFILE_BYTES else b""


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    start = 8
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        yield kind, start, min(end, len(data))
        if kind == b"IEND":
            return
        start = end
    raise truncated("the data ends before the last chunk")


def webp(data: bytes) -> Contents:
    """Return the metadata, after checking the length of the file against its header; raises Truncated."""
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise truncated(f"{len(data)} bytes of {length + 8}")
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
    """Return the header, the first frame and its transparency; raises Truncated, Damaged."""
    if len(data) < 13:
        raise truncated()
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
            # A frame may extend beyond the canvas. The canvas is enlarged here, because Pillow would warn.
            head = head[:6] + struct.pack("<HH", *size) + head[10:]
            return Contents(b"".join([head, *kept, data[start:place], b";"]), size=size)
        elif block == 0x3B:
            raise Damaged(detail="it has no frame")
        else:
            place += 1
    raise truncated()


def _gif_colours(flags: int) -> int:
    """Return the size in bytes of the colour table, from the flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_after(data: bytes, place: int) -> int:
    """Return the offset after a chain of sub-blocks; raises Truncated."""
    while place < len(data):
        length = data[place]
        place += 1 + length
        if length == 0:
            return place
    raise truncated()


_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)


def bmp(data: bytes) -> Contents:
    """Check the length of the header too, because the two letters of the signature are weak evidence; raises NotAnImage."""
    if len(data) < 26 or int.from_bytes(data[14:18], "little") not in _BMP_HEADERS:
        raise NotAnImage
    return Contents(data)


_JP2_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_JP2_END: Final = b"\xff\xd9"


def jpeg2000(data: bytes) -> Contents:
    """Check that the code stream has its end marker, whose bytes cannot occur inside it; raises Truncated."""
    start = data.find(_JP2_CODESTREAM)
    if start < 0 or data.find(_JP2_END, start) < 0:
        raise truncated()
    return Contents(data)


def heif(data: bytes) -> Contents:
    """Check that every box is complete; raises Truncated."""
    for _ in boxes(data):
        pass
    return Contents(data)


_TIFF_IN_BOXES: Final = re.compile(rb"(?:\0\0\0\0|Exif\0\0)(II\*\0|MM\0\*)")


def avif(data: bytes) -> Contents:
    """
    Hide the EXIF block from the decoder, which would raise on a damaged one; raises Truncated.

    Its orientation is not valid in this format: boxes contain it.
    """
    drawing = data
    for kind, start, end in boxes(data):
        if kind == b"meta":
            drawing = data[:start] + data[start:end].replace(b"Exif", b"skip") + data[end:]
    found = _TIFF_IN_BOXES.search(data)
    return Contents(drawing, data[found.start(1) :] if found else b"")


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each outermost box; raises Truncated."""
    start = 0
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if length == 1 and start + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, start + 8)
        end = start + length if length else len(data)
        if end > len(data):
            raise truncated(f"{len(data)} bytes of {end}")
        yield kind, start, end
        start = max(end, start + 8)
    if start < len(data):
        raise truncated()


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG in pixels, from its frame header; raises Truncated."""
    for marker, start, _ in _jpeg_segments(data):
        if marker in _JPEG_FRAMES and start + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
    raise truncated("the data ends before the frame")
