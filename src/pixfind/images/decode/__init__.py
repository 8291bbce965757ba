"""
Decode one picture: from the bytes of a file to upright RGB pixels and metadata.

Owns what counts as a picture, the limits against decompression bombs, and the promise that a picture is decoded completely
or not at all; the only package that uses Pillow's decoders and pillow-heif.
Must not know files, models or the library. The pixels go to the encoders, the metadata to the catalogue.

A picture is recognised by its content, never by its name. Decoding changes no process-wide setting, so any number of threads may decode
at the same time.
"""

import contextlib
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
from pixfind.images import key_frame
from pixfind.images.decode import containers, exif, netpbm, raw, video
from pixfind.images.decode.colour import to_rgb
from pixfind.images.decode.containers import Contents
from pixfind.images.decode.problems import check_size, from_decoder
from pixfind.images.decode.tiff import tiff
from pixfind.images.limits import DEFAULT_MEGAPIXELS, Limits, limits_for
from pixfind.types import ImageMetadata

__all__ = [
    "DEFAULT_MEGAPIXELS",
    "DRAFT_MARGIN",
    "Decoded",
    "Limits",
    "decode",
    "limits_for",
    "use_one_thread_per_picture",
]

DRAFT_MARGIN: Final = 2
"""A JPEG that is scaled while decoding keeps sides of at least this many times the requested ones (docs/explanation/performance.md)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One completely decoded picture."""

    image: Image.Image
    """RGB, upright; smaller than in the file where it was scaled while decoding. The pixels are not colour-managed; `info` contains the
    "icc_profile" of the file, if any, for programs that display the picture"""
    metadata: ImageMetadata


def recognises(head: bytes) -> bool:
    """Tell whether a file with these first bytes (64 are enough) has a supported format."""
    try:
        _kind(head)
    except NotAnImage:
        return netpbm.recognises(head) or raw.recognises(head) or key_frame.recognises(head)
    return True


def decode(data: bytes, *, limits: Limits, shortest_side: int | None = None) -> Decoded:
    """
    Decode one picture. Raises `ImageProblem` and nothing else.

    The limits are checked against the header, before memory is allocated. `shortest_side` is the size in pixels to which the caller will
    scale the shorter side: a JPEG is then scaled while it is decoded, to at least `DRAFT_MARGIN` times that.
    """
    try:
        return _decode(data, limits, shortest_side)
    except ImageProblem:
        raise
    except Exception as error:
        # Decoders raise errors of any type; each concerns this picture only.
        raise from_decoder(error) from error


def _decode(data: bytes, limits: Limits, shortest_side: int | None) -> Decoded:
    if not data:
        raise EmptyFile
    if netpbm.recognises(data):
        return _decode_netpbm(data, limits)
    if key_frame.recognises(data):
        return _decode_key_frame(data, limits, shortest_side)
    # Before the others: many RAW files begin as TIFF, or as HEIC.
    if raw.recognises(data):
        return _decode_raw(data, limits, shortest_side)
    return _decode_file(data, limits, shortest_side)


def _decode_file(
    data: bytes, limits: Limits, shortest_side: int | None, known_orientation: int | None = None
) -> Decoded:
    """Decode with Pillow; `known_orientation` is used in place of what the file says."""
    kind = _kind(data)
    contents = kind.split(data)
    if contents.size is not None:
        check_size(contents.size, limits.max_pixels)
    image = kind.open(io.BytesIO(contents.drawing))
    width, height = image.size
    _prepare(image, limits, shortest_side)
    image.load()
    known = exif.read(contents.exif or _exif_of(image))
    orientation = known.orientation if kind.orientation_from == "exif" else 1
    if kind.orientation_from == "boxes":
        orientation = exif.read(_exif_of(image)).orientation
    orientation = known_orientation or orientation
    if orientation >= _FIRST_SIDEWAYS:
        width, height = height, width
    upright = _upright(to_rgb(image), orientation)
    upright.info = _profile(contents, image)
    return Decoded(upright, known.metadata(width, height))


def _decode_netpbm(data: bytes, limits: Limits) -> Decoded:
    pixels = netpbm.read(data, limits.max_pixels)
    height, width, channels = pixels.shape
    image = Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels)
    return Decoded(to_rgb(image), ImageMetadata(width, height))


def _decode_key_frame(data: bytes, limits: Limits, shortest_side: int | None) -> Decoded:
    side = None if shortest_side is None else shortest_side * DRAFT_MARGIN
    image, (width, height), known = video.read(data, limits.max_pixels, side)
    return Decoded(image, known.metadata(width, height))


def _decode_raw(data: bytes, limits: Limits, shortest_side: int | None) -> Decoded:
    """Decode the camera's own preview where it is whole and large enough, else what the sensor saw."""
    with raw.RawFile(data) as file:
        preview = file.preview(shortest_side)
        metadata = file.facts(preview).metadata(*file.upright_size)
        # A preview that is damaged, for which decoders raise errors of any type, says nothing about the sensor's data.
        with contextlib.suppress(Exception):
            if preview is not None:
                shown = _decode_file(preview.jpeg, limits, shortest_side, preview.orientation)
                return Decoded(shown.image, metadata)
        image = Image.fromarray(file.develop(limits.max_pixels))
        return Decoded(_upright(image, file.orientation), metadata)


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def _prepare(image: ImageFile.ImageFile, limits: Limits, shortest_side: int | None) -> None:
    if isinstance(image, JpegImageFile) and shortest_side is not None:
        size, side = image.size, shortest_side * DRAFT_MARGIN
        image.draft(None, (side, side))
        # A progressive JPEG is in memory in full, whatever its scale.
        if image.size != size and "progressive" not in image.info:
            check_size(size, max(limits.max_pixels, limits.max_scaled_pixels))
            size = image.size
        check_size(size, limits.max_pixels)
        return
    check_size(image.size, limits.max_pixels)
    if isinstance(image, TiffImageFile) and image.size == getattr(image, "_tile_size", image.size):
        # Allocating the image here avoids Pillow's own check, which warns about sizes within our limits.
        image.im = Image.new(image.mode, image.size).im


def _exif_of(image: ImageFile.ImageFile) -> bytes:
    block = image.info.get("exif")
    return block if isinstance(block, bytes) else b""


def _profile(contents: Contents, image: ImageFile.ImageFile) -> dict[str | tuple[int, int], Any]:
    profile = contents.profile or image.info.get("icc_profile")
    # A profile for CMYK or grey does not describe the RGB pixels that we made.
    fits = isinstance(profile, bytes) and 0 < len(profile) <= _MAX_PROFILE_BYTES and profile[16:20] == b"RGB "
    return {"icc_profile": profile} if fits else {}


_MAX_PROFILE_BYTES: Final = 65536
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
    Prevent the decoders of AVIF and HEIC from starting threads of their own.

    For a process that decodes many pictures at the same time in its own threads. This changes the libraries for the whole process, so only
    `worker` calls it, never a program that uses pixfind.
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
    """How one format is decoded."""

    split: Callable[[bytes], Contents]
    open: Callable[[io.BytesIO], ImageFile.ImageFile]
    orientation_from: Literal["exif", "boxes", "decoder"] = "exif"
    """where the orientation is: in the file's EXIF block, in the container (the decoder returns it in an EXIF block of its own), or
    already applied by the decoder"""


def _kind(data: bytes) -> _Kind:
    for kind, magics in _MAGIC:
        if data.startswith(magics):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _Kind(containers.webp, WebPImageFile)
    if data[4:8] == b"ftyp":
        brands = data[8 : min(64, int.from_bytes(data[:4], "big"))]
        if b"avif" in brands or b"avis" in brands:
            return _Kind(containers.avif, _open_avif, orientation_from="boxes")
        return _Kind(containers.heif, _open_heif, orientation_from="decoder")
    raise NotAnImage


_MAGIC: Final = (
    (_Kind(containers.jpeg, JpegImageFile), (b"\xff\xd8\xff",)),
    (_Kind(containers.png, PngImageFile), (b"\x89PNG\r\n\x1a\n",)),
    (_Kind(containers.gif, GifImageFile), (b"GIF87a", b"GIF89a")),
    (_Kind(tiff, TiffImageFile), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (_Kind(containers.bmp, BmpImageFile), (b"BM",)),
    (_Kind(containers.jpeg2000, Jpeg2KImageFile), (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
)
