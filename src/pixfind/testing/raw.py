"""
RAW files to test with: DNG as cameras write it (Adobe's DNG specification 1.7.1), with and without the camera's own preview.

Owns the layout of the file, and how a picture becomes what a sensor would have seen. Must not know how RAW files are read.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixfind.images.decode import ifd

_BYTE, _TEXT, _SHORT, _LONG, _RATIONAL, _SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10

_SUB_DIRECTORIES, _EXIF, _GPS = 330, 34665, 34853
_MAIN: Final = {271, 272, 274}
_DETAILS: Final = {0x9003, 0x9011}
_GPS_TAGS: Final = {1, 2, 3, 4}
_WHITE: Final = 16383
_XYZ_TO_SRGB: Final = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)
"""for D65, times 10,000: the made camera sees in sRGB"""


def encode_dng(
    image: Image.Image,
    *,
    preview: Image.Image | None = None,
    exif: bytes = b"",
    preview_exif: bytes = b"",
    quality: int = 90,
) -> bytes:
    """
    Return a DNG of a picture (RGB, sides even), as its sensor lies: 14 bits in 16, RGGB, not compressed.

    `preview` is the camera's JPEG, which lies before the sensor's data. `exif` is a block from `images.exif_block`; orientation, make and model
    go into the first directory. `preview_exif` is one that the preview has itself.
    """
    jpeg = b"" if preview is None else _jpeg(preview, quality, preview_exif)
    sensor = _mosaic(image).tobytes()
    head = bytearray(b"II*\0\0\0\0\0" + jpeg)
    head += bytes(len(head) % 2)
    at_sensor = len(head)
    body = head + sensor
    links = []
    for tag, directory in _linked(exif):
        links.append(_entry(tag, _LONG, len(body)))
        body += ifd.write(directory, "<", len(body))
    raw = _raw_directory(image.size, at_sensor, len(sensor))
    camera = _camera_directory(exif)
    if preview is None:
        first = [*raw, *camera, *links]
    else:
        links.append(_entry(_SUB_DIRECTORIES, _LONG, len(body)))
        body += ifd.write(raw, "<", len(body))
        first = [*_preview_directory(preview.size, len(jpeg)), *camera, *links]
    body[4:8] = len(body).to_bytes(4, "little")
    return bytes(body + ifd.write(first, "<", len(body)))


def make_dng(path: Path | str, image: Image.Image, **options: Any) -> Path:
    """Write what `encode_dng` returns and return where it lies."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_dng(image, **options))
    return path


def _jpeg(image: Image.Image, quality: int, exif: bytes) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def _mosaic(image: Image.Image) -> NDArray[np.uint16]:
    """Return what the sensor saw, [height, width]: one colour of each pixel, linear."""
    values = np.asarray(image.convert("RGB"), np.float32) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004  sRGB, IEC 61966-2-1
    sensor = linear[..., 1].copy()
    sensor[::2, ::2] = linear[::2, ::2, 0]
    sensor[1::2, 1::2] = linear[1::2, 1::2, 2]
    return (sensor * _WHITE + 0.5).astype("<u2")


def _entry(tag: int, kind: int, *values: int) -> ifd.Entry:
    if kind == _BYTE:
        return ifd.Entry(tag, kind, len(values), values)
    count = len(values) // 2 if kind in {_RATIONAL, _SIGNED_RATIONAL} else len(values)
    return ifd.Entry(tag, kind, count, values)


def _text(tag: int, text: str) -> ifd.Entry:
    value = text.encode() + b"\0"
    return ifd.Entry(tag, _TEXT, len(value), value)


def _raw_directory(size: tuple[int, int], offset: int, length: int) -> list[ifd.Entry]:
    width, height = size
    return [
        _entry(254, _LONG, 0),
        _entry(256, _LONG, width),
        _entry(257, _LONG, height),
        _entry(258, _SHORT, 16),
        _entry(259, _SHORT, 1),
        _entry(262, _SHORT, 32803),
        _entry(273, _LONG, offset),
        _entry(277, _SHORT, 1),
        _entry(278, _LONG, height),
        _entry(279, _LONG, length),
        _entry(33421, _SHORT, 2, 2),
        _entry(33422, _BYTE, 0, 1, 1, 2),
        _entry(50714, _LONG, 0),
        _entry(50717, _LONG, _WHITE),
    ]


def _preview_directory(size: tuple[int, int], length: int) -> list[ifd.Entry]:
    width, height = size
    return [
        _entry(254, _LONG, 1),
        _entry(256, _LONG, width),
        _entry(257, _LONG, height),
        _entry(258, _SHORT, 8, 8, 8),
        _entry(259, _SHORT, 7),
        _entry(262, _SHORT, 6),
        _entry(273, _LONG, 8),
        _entry(277, _SHORT, 3),
        _entry(278, _LONG, height),
        _entry(279, _LONG, length),
    ]


def _camera_directory(exif: bytes) -> list[ifd.Entry]:
    known = _of_block(exif, _MAIN)
    defaults = [_text(271, "Made"), _text(272, "Made for tests"), _entry(274, _SHORT, 1)]
    colours = [factor for value in _XYZ_TO_SRGB for factor in (value, 10_000)]
    return [
        *(known.get(default.tag, default) for default in defaults),
        _entry(50706, _BYTE, 1, 4, 0, 0),
        _text(50708, "Made for tests"),
        _entry(50721, _SIGNED_RATIONAL, *colours),
        _entry(50728, _RATIONAL, 1, 1, 1, 1, 1, 1),
        _entry(50778, _SHORT, 21),
    ]


def _of_block(exif: bytes, tags: set[int], link: int | None = None) -> dict[int, ifd.Entry]:
    """Return the entries of the first directory of a block, or of the one that its tag `link` leads to."""
    block = exif.removeprefix(b"Exif\0\0")
    form = ifd.layout(block)
    if form is None:
        return {}
    offset = ifd.first_offset(block, form)
    if link is not None:
        found = ifd.read(block, offset, form, {link}).get(link)
        if found is None:
            return {}
        offset = int(found.value[0])
    return ifd.read(block, offset, form, tags)


def _linked(exif: bytes) -> Iterable[tuple[int, list[ifd.Entry]]]:
    for link, tags in ((_EXIF, _DETAILS), (_GPS, _GPS_TAGS)):
        if entries := _of_block(exif, tags, link):
            yield link, list(entries.values())
