"""
Decoding: the bytes of one picture to upright RGB pixels and the facts in its header.

Owns what counts as a picture, the limits against decompression bombs, and the promise that a picture is decoded whole
or not at all; the only package that knows Pillow's decoders and pillow-heif.
Must not know files, models or the library. The pixels go on to `encoders`, the facts to the catalogue.

A picture is recognised by its content, never by its name. Nothing here touches a process-wide switch at run time, so any
number of threads may decode at once.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pixfind.errors import EmptyFile, ImageProblem, NotAnImage
from pixfind.images.decode import containers, exif, netpbm
from pixfind.images.decode.colour import to_rgb
from pixfind.images.decode.containers import Contents
from pixfind.images.decode.problems import check_size, from_decoder
from pixfind.images.decode.tiff import tiff
from pixfind.types import Choice, Facts

__all__ = [
    "DRAFT_MARGIN",
    "KNOWN_UNREAD",
    "SUFFIXES",
    "Decoded",
    "Limits",
    "decode",
    "is_image_name",
    "limits_for",
    "suffix",
    "use_one_thread_per_picture",
]

SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".heic", ".heif", ".hif"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm"),
    }
)
"""What a scan registers: lower case, with the dot. Icons are left out: they are not pictures that anyone looks for."""

KNOWN_UNREAD: Final = frozenset(
    {
        # as cameras store them
        *(
            ".3fr",
            ".arw",
            ".cr2",
            ".cr3",
            ".crw",
            ".dcr",
            ".dng",
            ".erf",
            ".fff",
            ".iiq",
            ".kdc",
            ".mef",
            ".mos",
            ".mrw",
        ),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        # videos
        *(
            ".3gp",
            ".avi",
            ".flv",
            ".m2ts",
            ".m4v",
            ".mkv",
            ".mov",
            ".mp4",
            ".mpeg",
            ".mpg",
            ".mts",
            ".ogv",
            ".webm",
            ".wmv",
        ),
        # layers, drawings, and formats without a decoder here
        *(
            ".ai",
            ".eps",
            ".exr",
            ".hdr",
            ".jxl",
            ".jxr",
            ".kra",
            ".psb",
            ".psd",
            ".svg",
            ".svgz",
            ".tga",
            ".wdp",
            ".xcf",
        ),
    }
)
"""What a person may expect to find and a scan leaves out; it counts them. Lower case, with the dot."""

DRAFT_MARGIN: Final = 2
"""A JPEG scaled while decoding keeps at least this many times the pixels that are asked for (docs/explanation/performance.md)."""

DEFAULT_MEGAPIXELS: Final = 200.0
_BYTES_PER_PIXEL: Final = 24  # the worst of the usual formats (docs/explanation/performance.md)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one picture may ask for."""

    max_pixels: int
    max_scaled_pixels: int = 0
    """the same for a JPEG that is scaled while decoding, which takes a fraction of the memory; 0: `max_pixels`"""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture, whole."""

    image: Image.Image
    """RGB, upright; smaller than the file says where it was scaled while decoding. Its `info` holds at most the
    "icc_profile" of the file, for those who show it: the pixels are as stored."""
    facts: Facts


def is_image_name(name: str) -> bool:
    """Whether a scan takes this file for a picture: its extension, in any case."""
    return suffix(name) in SUFFIXES


def suffix(name: str) -> str:
    """Return the extension in lower case with its dot; empty where there is none, or nothing before it."""
    stem, dot, end = name.rpartition(".")
    return f"{dot}{end}".lower() if stem else ""


def recognises(head: bytes) -> bool:
    """Whether a file that begins like this (64 bytes are enough) is of a kind that is decoded."""
    try:
        _kind(head)
    except NotAnImage:
        return netpbm.recognises(head)
    return True


def limits_for(memory_bytes: int, megapixels: float = DEFAULT_MEGAPIXELS) -> Choice[Limits]:
    """The megapixel limit, lowered to what `memory_bytes` can hold while one picture is decoded."""
    fitting = memory_bytes / _BYTES_PER_PIXEL / 1e6
    if fitting >= megapixels:
        return Choice(Limits(int(megapixels * 1e6)), f"{megapixels:g} MP, as set")
    reason = (
        f"{fitting:.0f} MP: {memory_bytes / 1e6:.0f} MB of memory at {_BYTES_PER_PIXEL} bytes per pixel;"
        f" {megapixels:g} MP for JPEGs that are scaled while decoding"
    )
    return Choice(Limits(max(1, int(fitting * 1e6)), int(megapixels * 1e6)), reason)


def decode(data: bytes, *, limits: Limits, shortest_side: int | None = None) -> Decoded:
    """
    Decode one picture. Raises `ImageProblem` and nothing else.

    The limits are checked against the header, before anything is allocated. `shortest_side` is what the caller will
    scale the shorter side to: a JPEG is then scaled while it is decoded, to no less than `DRAFT_MARGIN` times that.
    """
    try:
        return _decode(data, limits, shortest_side)
    except ImageProblem:
        raise
    except Exception as error:
        # The border of one image: decoders raise whatever they like.
        raise from_decoder(error) from error


def _decode(data: bytes, limits: Limits, shortest_side: int | None) -> Decoded:
    if not data:
        raise EmptyFile
    if netpbm.recognises(data):
        return _decode_netpbm(data, limits)
    kind = _kind(data)
    contents = kind.take_apart(data)
    if contents.size is not None:
        check_size(contents.size, limits.max_pixels)
    image = kind.open(io.BytesIO(contents.drawing))
    width, height = image.size
    _prepare(image, limits, shortest_side)
    image.load()
    known = exif.read(contents.exif or _exif_of(image))
    orientation = known.orientation if kind.turned_by == "exif" else 1
    if kind.turned_by == "boxes":
        orientation = exif.read(_exif_of(image)).orientation
    if orientation >= _FIRST_SIDEWAYS:
        width, height = height, width
    upright = to_rgb(image)
    if orientation != 1:
        upright = upright.transpose(_TURNS[orientation])
    upright.info = _profile(contents, image)
    return Decoded(upright, known.facts(width, height))


def _decode_netpbm(data: bytes, limits: Limits) -> Decoded:
    pixels = netpbm.read(data, limits.max_pixels)
    height, width, channels = pixels.shape
    image = Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels)
    return Decoded(to_rgb(image), Facts(width, height))


def _prepare(image: ImageFile.ImageFile, limits: Limits, shortest_side: int | None) -> None:
    if isinstance(image, JpegImageFile) and shortest_side is not None:
        size, side = image.size, shortest_side * DRAFT_MARGIN
        image.draft(None, (side, side))
        # A progressive one is held in full whatever its scale.
        if image.size != size and "progressive" not in image.info:
            check_size(size, max(limits.max_pixels, limits.max_scaled_pixels))
            size = image.size
        check_size(size, limits.max_pixels)
        return
    check_size(image.size, limits.max_pixels)
    if isinstance(image, TiffImageFile) and image.size == getattr(image, "_tile_size", image.size):
        # Space set aside here spares Pillow's own bomb check, which warns about sizes within our limits.
        image.im = Image.new(image.mode, image.size).im


def _exif_of(image: ImageFile.ImageFile) -> bytes:
    block = image.info.get("exif")
    return block if isinstance(block, bytes) else b""


def _profile(contents: Contents, image: ImageFile.ImageFile) -> dict[str | tuple[int, int], Any]:
    profile = contents.profile or image.info.get("icc_profile")
    # One for ink or grey says nothing about the RGB that we have made.
    fits = isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST_PROFILE and profile[16:20] == b"RGB "
    return {"icc_profile": profile} if fits else {}


_LARGEST_PROFILE: Final = 65536
_FIRST_SIDEWAYS: Final = 5
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def use_one_thread_per_picture() -> None:
    """
    Keep the decoders of AVIF and HEIC from starting threads of their own.

    For a process that decodes many pictures at once: it has its threads already, and a budget. A switch of the
    libraries for the whole process, so only `worker` calls it, never a program that uses pixfind.
    """
    from PIL import AvifImagePlugin
    from pillow_heif import options

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    options.DECODE_THREADS = 1


def _open_avif(file: io.BytesIO) -> ImageFile.ImageFile:
    from PIL.AvifImagePlugin import AvifImageFile

    return AvifImageFile(file)


def _open_heif(file: io.BytesIO) -> ImageFile.ImageFile:
    from pillow_heif import HeifImageFile

    image: ImageFile.ImageFile = HeifImageFile(file)
    return image


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one format is read."""

    take_apart: Callable[[bytes], Contents]
    open: Callable[[io.BytesIO], ImageFile.ImageFile]
    turned_by: Literal["exif", "boxes", "decoder"] = "exif"
    """where the orientation stands: in the file's EXIF block, in the container (the decoder passes it on as an EXIF
    block of its own), or nowhere any more because the decoder has applied it"""


def _kind(data: bytes) -> _Kind:
    for kind, magics in _MAGIC:
        if data.startswith(magics):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _Kind(containers.webp, WebPImageFile)
    if data[4:8] == b"ftyp":
        brands = data[8 : min(64, int.from_bytes(data[:4], "big"))]
        if b"avif" in brands or b"avis" in brands:
            return _Kind(containers.avif, _open_avif, turned_by="boxes")
        return _Kind(containers.heif, _open_heif, turned_by="decoder")
    raise NotAnImage


_MAGIC: Final = (
    (_Kind(containers.jpeg, JpegImageFile), (b"\xff\xd8\xff",)),
    (_Kind(containers.png, PngImageFile), (b"\x89PNG\r\n\x1a\n",)),
    (_Kind(containers.gif, GifImageFile), (b"GIF87a", b"GIF89a")),
    (_Kind(tiff, TiffImageFile), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (_Kind(containers.bmp, BmpImageFile), (b"BM",)),
    (_Kind(containers.jpeg2000, Jpeg2KImageFile), (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
)
