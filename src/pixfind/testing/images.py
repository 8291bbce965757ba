"""
Pictures to test with: small, seeded, in every format, and the broken ones that real folders hold.

Owns how they are made; the same arguments give the same pixels on every machine. Must not know a library.
"""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "BROKEN",
    "FORMATS",
    "break_image",
    "encode",
    "exif_block",
    "make_broken",
    "make_image",
    "picture",
    "png_bomb",
]

FORMATS: Final = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".mpo": "MPO",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jp2": "JPEG2000",
    ".heic": "HEIF",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".pam": "PAM",
    ".pfm": "PFM",
}
"""Extensions that `make_image` can write, and the encoder of each."""

_SECONDS: Final = 60
_DATE_TAKEN: Final = "%Y:%m:%d %H:%M:%S"


def picture(seed: int = 0, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """A soft gradient with three shapes on it. Its corners differ, so that a turned one is seen."""
    random = np.random.default_rng(seed)
    width, height = size
    corners = random.integers(0, 256, (2, 2, 3))
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    rows = [corners[0, 0] * (1 - x[..., None]) + corners[0, 1] * x[..., None]]
    rows.append(corners[1, 0] * (1 - x[..., None]) + corners[1, 1] * x[..., None])
    image = Image.fromarray((rows[0] * (1 - y[..., None]) + rows[1] * y[..., None]).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        left, top = int(random.integers(0, width)), int(random.integers(0, height))
        across, down = int(random.integers(1, width // 2 + 2)), int(random.integers(1, height // 2 + 2))
        colour = tuple(int(part) for part in random.integers(0, 256, 3))
        draw.ellipse((left, top, left + across, top + down), fill=colour)
    return _in_mode(image, mode)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode in {"RGBA", "LA"}:
        clear = Image.new("L", image.size, 255)
        clear.paste(0, (0, 0, image.width // 2, image.height))
        image.putalpha(clear)
        return image.convert(mode)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) / 255)
    return image.quantize(256) if mode == "P" else image.convert(mode)


def make_image(
    path: Path | str,
    *,
    seed: int = 0,
    size: tuple[int, int] = (64, 48),
    mode: str = "RGB",
    exif: bytes = b"",
    **options: Any,
) -> Path:
    """
    Write one picture in the format that the extension names, in any case, and return where it lies.

    `exif` is a block from `exif_block`; `options` go to the encoder (`quality`, `compression`, `lossless` ...).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Thousands of tests begin with the same pictures.
    content = _small if size[0] * size[1] <= _SMALL_PIXELS else _content
    path.write_bytes(content(seed, size, mode, path.suffix, exif, **options))
    return path


def _content(seed: int, size: tuple[int, int], mode: str, suffix: str, exif: bytes, **options: Any) -> bytes:
    return encode(picture(seed, size, mode), suffix, exif=exif, **options)


_SMALL_PIXELS: Final = 40_000
_small = functools.lru_cache(1_000)(_content)


def draw_text(path: Path | str, text: str, *, size: tuple[int, int] = (800, 400), letters: int = 48) -> Path:
    """Write a picture with some lines of text, `letters` pixels high, and return where it lies; each text gives other bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (236, 232, 224))
    ImageDraw.Draw(image).multiline_text(
        (40, 60), text, fill=(24, 24, 40), font=ImageFont.load_default(letters), spacing=letters // 2
    )
    path.write_bytes(encode(image, path.suffix))
    return path


def encode(image: Image.Image, suffix: str, *, exif: bytes = b"", **options: Any) -> bytes:
    """The bytes of a file with this extension."""
    kind = FORMATS[suffix.lower()]
    if kind in {"PAM", "PFM"}:
        return _pam(image) if kind == "PAM" else _pfm(image)
    if kind == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    if suffix.lower() in {".pbm", ".pgm"}:
        image = image.convert("1" if suffix.lower() == ".pbm" else "L")
    if exif:
        options["exif"] = exif
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _pam(image: Image.Image) -> bytes:
    image = image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")
    depth = len(image.mode)
    head = f"P7\nWIDTH {image.width}\nHEIGHT {image.height}\nDEPTH {depth}\nMAXVAL 255\nENDHDR\n"
    return head.encode() + image.tobytes()


def _pfm(image: Image.Image) -> bytes:
    values: NDArray[np.float32] = (np.asarray(image.convert("RGB"))[::-1] / 255).astype("<f4")
    return f"PF\n{image.width} {image.height}\n-1.0\n".encode() + values.tobytes()


def exif_block(
    *,
    orientation: int | None = None,
    taken_at: datetime | str | None = None,
    offset: str = "",
    make: str = "",
    model: str = "",
    position: tuple[float, float] | None = None,
) -> bytes:
    """An EXIF block as a camera writes it. A `taken_at` in text is written as it is, however broken."""
    exif = Image.Exif()
    for tag, value in ((0x0112, orientation), (0x010F, make), (0x0110, model)):
        if value:
            exif[tag] = value
    details = exif.get_ifd(0x8769)
    if taken_at:
        details[0x9003] = taken_at if isinstance(taken_at, str) else taken_at.strftime(_DATE_TAKEN)
    if offset:
        details[0x9011] = offset
    if position is not None:
        latitude, longitude = position
        exif.get_ifd(0x8825).update(
            {
                1: "N" if latitude >= 0 else "S",
                2: _sexagesimal(abs(latitude)),
                3: "E" if longitude >= 0 else "W",
                4: _sexagesimal(abs(longitude)),
            }
        )
    return exif.tobytes()


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    whole, minutes = divmod(degrees, 1)
    minutes, seconds = divmod(minutes * _SECONDS, 1)
    return whole, minutes, round(seconds * _SECONDS, 4)


# --- what real folders hold besides ----------------------------------------------------------------


def png_bomb(width: int = 60000, height: int = 60000) -> bytes:
    """A picture whose header promises far more pixels than its bytes could ever hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk with its length and check sum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def break_image(data: bytes, how: str) -> bytes:
    """The bytes of a good picture, broken in one of the ways that `BROKEN` names."""
    return BROKEN[how](data)


BROKEN: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"This is not a picture, whatever its name says.\n" * 20,
    "noise": lambda data: np.random.default_rng(len(data)).bytes(2000),
    "bomb": lambda _: png_bomb(),
    "truncated": lambda data: data[: len(data) // 2],
    "zero-filled": lambda data: data[: len(data) // 2].ljust(len(data), b"\0"),
    "ends-early": lambda data: data[: len(data) // 2] + b"\xff\xd9",
    "web-page": lambda _: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
}
"""Ways to break a picture; the last three but one are about where a copy stopped."""


def make_broken(path: Path | str, how: str, *, seed: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
    """Write a broken picture under a name that looks well. `how` is one of `BROKEN`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(break_image(encode(picture(seed, size), path.suffix), how))
    return path
