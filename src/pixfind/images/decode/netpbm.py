"""
The PNM family: PBM, PGM, PPM (plain and raw), PAM and PFM.

Owns these formats (https://netpbm.sourceforge.net/doc/), because Pillow supports neither PAM nor colour PFM, and decodes the others with
a Python loop over pixels when the maximum is not 255. Must not know Pillow; `decode` converts the array.
"""

# ruff: noqa: PLR2004 - pixel formats are made of numbers

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixfind.errors import Damaged
from pixfind.images.decode.colour import to_bytes
from pixfind.images.decode.problems import check_size, truncated
from pixfind.images.pixels import Pixels

_MAGIC: Final = re.compile(rb"P[1-7Ff][\s#]")
_TOKEN: Final = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]{1,16})")
_CHANNELS: Final = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"PF": 3, b"Pf": 1}
_MAX_MAXVAL: Final = 65535
_MAX_HEADER_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file."""

    magic: bytes
    width: int
    height: int
    channels: int
    maximum: float
    """the value of white; for PFM its sign is the byte order"""
    start: int
    """offset of the pixels"""

    @property
    def numbers(self) -> int:
        """The number of values in the pixels."""
        return self.width * self.height * self.channels


def recognises(data: bytes) -> bool:
    """Tell whether these bytes begin with the signature of one of these formats."""
    return _MAGIC.match(data) is not None


def read(data: bytes, max_pixels: int) -> Pixels:
    """Return the first picture of the file, uint8 [height, width, 1 to 4 channels]; raises Truncated, Damaged, TooLarge."""
    header = _pam_header(data) if data.startswith(b"P7") else _header(data)
    check_size((header.width, header.height), max_pixels)
    if not 1 <= header.channels <= 4:
        raise Damaged(detail=f"{header.channels} channels")
    if not 0 < abs(header.maximum) <= _MAX_MAXVAL and header.magic not in {b"PF", b"Pf"}:
        raise Damaged(detail=f"a maximum of {header.maximum:g}")
    return _pixels(data, header).reshape(header.height, header.width, header.channels)


def _header(data: bytes) -> Header:
    magic = data[:2]
    width, place = _integer(data, 2)
    height, place = _integer(data, place)
    maximum = 1.0
    if magic not in {b"P1", b"P4"}:
        token, place = _token(data, place)
        maximum = _real(token)
    # Exactly one white space ends the header: further ones would be pixels.
    return Header(magic, width, height, _CHANNELS[magic], maximum, place + 1)


def _pam_header(data: bytes) -> Header:
    head, end, _ = data[:_MAX_HEADER_BYTES].partition(b"ENDHDR\n")
    if not end:
        raise truncated("the data ends before the header does")
    lines = (line.split() for line in head.splitlines()[1:] if not line.startswith(b"#"))
    fields = {words[0]: words[1] for words in lines if len(words) > 1}
    width, height, depth, maximum = (
        int(_real(fields.get(name, b"0"))) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    return Header(b"P7", width, height, depth, maximum, len(head) + len(end))


def _token(data: bytes, place: int) -> tuple[bytes, int]:
    found = _TOKEN.match(data, place, place + _MAX_HEADER_BYTES)
    if found is None:
        raise truncated("the data ends before the header does")
    return found[1], found.end()


def _integer(data: bytes, place: int) -> tuple[int, int]:
    token, place = _token(data, place)
    if not token.isdigit():
        raise Damaged(detail=f"{token!r} is not a size")
    return int(token), place


def _real(token: bytes) -> float:
    try:
        number = float(token)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise Damaged(detail=f"{token!r} is not a number")
    return number


def _pixels(data: bytes, header: Header) -> NDArray[np.uint8]:
    if header.magic in {b"PF", b"Pf"}:
        return _floats(data, header)
    if header.magic == b"P4":
        return _packed_bits(data, header)
    if header.magic == b"P1":
        return _plain_bits(data, header)
    if header.magic in {b"P2", b"P3"}:
        return _scaled(_plain(data, header), header.maximum)
    kind = np.dtype(">u2" if header.maximum > 255 else "u1")
    return _scaled(_raw(data, header, kind, header.numbers), header.maximum)


def _raw(data: bytes, header: Header, kind: np.dtype[np.generic], count: int) -> NDArray[np.generic]:
    if len(data) - header.start < count * kind.itemsize:
        raise truncated(f"{len(data) - header.start} bytes of {count * kind.itemsize}")
    return np.frombuffer(data, kind, count, header.start)


def _scaled(values: NDArray[np.generic], maximum: float) -> NDArray[np.uint8]:
    if maximum == 255:
        return values.astype(np.uint8)
    clipped = np.minimum(values.astype(np.float32), maximum)
    return (clipped * np.float32(255 / maximum) + np.float32(0.5)).astype(np.uint8)


def _floats(data: bytes, header: Header) -> NDArray[np.uint8]:
    kind = np.dtype("<f4" if header.maximum < 0 else ">f4")
    values = _raw(data, header, kind, header.numbers).reshape(header.height, -1)
    # PFM stores rows from bottom to top.
    return to_bytes(values[::-1])


def _packed_bits(data: bytes, header: Header) -> NDArray[np.uint8]:
    row = (header.width + 7) // 8
    packed = _raw(data, header, np.dtype("u1"), row * header.height).reshape(header.height, row)
    bits = np.unpackbits(packed.astype(np.uint8), axis=1, count=header.width)
    return (1 - bits) * np.uint8(255)


def _plain_bits(data: bytes, header: Header) -> NDArray[np.uint8]:
    digits = np.frombuffer(_without_comments(data[header.start - 1 :]), np.uint8)
    digits = digits[(digits == ord("0")) | (digits == ord("1"))][: header.numbers]
    if len(digits) < header.numbers:
        raise truncated(f"{len(digits)} pixels of {header.numbers}")
    return np.where(digits == ord("0"), np.uint8(255), np.uint8(0))


def _plain(data: bytes, header: Header) -> NDArray[np.generic]:
    tokens = _without_comments(data[header.start - 1 :]).split(None, header.numbers)[: header.numbers]
    if len(tokens) < header.numbers:
        raise truncated(f"{len(tokens)} numbers of {header.numbers}")
    try:
        return np.array(tokens, dtype="S6").astype(np.uint32)
    except ValueError as error:
        raise Damaged(detail="the pixels are not numbers") from error


def _without_comments(text: bytes) -> bytes:
    return re.sub(rb"#[^\r\n]*", b"", text) if b"#" in text else text
