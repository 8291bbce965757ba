"""
TIFF: the first page of a file (TIFF 6.0, BigTIFF).

Owns the choice of tags that the decoder needs. The file is passed on with a new directory that contains only these, so that
later pages, damaged metadata and invalid EXIF blocks never reach the decoder. Must not know Pillow; `decode` opens the result.
"""

import struct
from typing import Final

from pixfind.errors import NotAnImage
from pixfind.images.decode import ifd
from pixfind.images.decode.containers import Contents
from pixfind.images.decode.problems import truncated

_WIDTH, _HEIGHT = 256, 257
_PROFILE: Final = 34675
_HEADS: Final = {"<": b"II*\0", ">": b"MM\0*"}
_OFFSETS_AND_LENGTHS: Final = ((273, 279), (324, 325))
_DRAWING: Final = frozenset(
    {
        *(_WIDTH, _HEIGHT, 258, 259, 262, 266),  # size, depth, compression, meaning of the numbers, bit order
        *(273, 277, 278, 279, 284),  # strips, channels, planes
        *(292, 293, 317, 320, 322, 323, 324, 325),  # fax options, predictor, colour map, tiles
        *(332, 338, 339, 347),  # inks, alpha, number format, JPEG tables
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),  # JPEG of 1992, YCbCr
    }
)


def tiff(data: bytes) -> Contents:
    """Return the first page, as a classic TIFF for a BigTIFF too; raises NotAnImage, Truncated."""
    form = ifd.layout(data)
    if form is None:
        raise NotAnImage
    offset = ifd.first_offset(data, form)
    page = ifd.read(data, offset, form, _DRAWING | {_PROFILE})
    # The value of a listed tag that cannot be read is beyond the end; libtiff would print a warning.
    if ifd.is_cut(data, offset, form) or ifd.listed_tags(data, offset, form) & _DRAWING - page.keys():
        raise truncated("the data ends before the directory does")
    _check_strips(page, len(data))
    place = len(data) + len(data) % 2
    directory = ifd.write((entry for tag, entry in page.items() if tag in _DRAWING), form.order, place)
    head = _HEADS[form.order] + struct.pack(form.order + "I", place)
    drawing = b"".join([head, data[8:], b"\0" * (len(data) % 2), directory])
    return Contents(drawing, data, _bytes(page, _PROFILE), _size(page))


def _check_strips(page: dict[int, ifd.Entry], length: int) -> None:
    for offsets, lengths in _OFFSETS_AND_LENGTHS:
        pieces = zip(_numbers(page, offsets), _numbers(page, lengths), strict=False)
        if any(start + count > length for start, count in pieces):
            raise truncated("its strips are beyond the end of the file")


def _numbers(page: dict[int, ifd.Entry], tag: int) -> tuple[int, ...]:
    entry = page.get(tag)
    return () if entry is None or isinstance(entry.value, bytes) else tuple(int(number) for number in entry.value)


def _bytes(page: dict[int, ifd.Entry], tag: int) -> bytes:
    entry = page.get(tag)
    return entry.value if entry is not None and isinstance(entry.value, bytes) else b""


def _size(page: dict[int, ifd.Entry]) -> tuple[int, int] | None:
    width, height = _numbers(page, _WIDTH), _numbers(page, _HEIGHT)
    return (width[0], height[0]) if width and height else None
