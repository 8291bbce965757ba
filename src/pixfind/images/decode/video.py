"""
Key frames of videos: one compressed frame becomes one picture.

Owns how FFmpeg decodes it (PyAV, the extra `video`), and what the tags of its container mean. Must not know files: `source` takes the
frame out of its video. Dates are in ISO 8601, places in ISO 6709, as FFmpeg and Apple's QuickTime metadata keys have them.
"""

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from PIL import Image

from pixfind.errors import Damaged, VideoSupportMissing
from pixfind.images import key_frame
from pixfind.images.decode import exif
from pixfind.images.decode.exif import Exif
from pixfind.images.decode.problems import check_size
from pixfind.images.key_frame import KeyFrame

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_UNSPECIFIED: Final = 2
_HD_HEIGHT: Final = 720
"""Videos that do not say how their colours are meant follow BT.709 from here on, BT.601 below, as players assume."""

_MAX_ASPECT: Final = 4.0
"""A pixel that is more times as wide as it is high, or the other way round, is a mistake of the container."""

_TURNS: Final = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}

_PLACE: Final = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)(?:[+-][\d.]+)?/?")
_FIRST_YEAR: Final = 1971
"""MP4 counts from 1904, other programs from 1970: a date before this is one that was never set."""


def read(data: bytes, max_pixels: int, shortest_side: int | None) -> tuple[Image.Image, tuple[int, int], Exif]:
    """
    Return the upright picture (RGB), the size that it has in the video, upright, and what its container says of it.

    The picture is scaled to sides of at least `shortest_side` while its colours are converted; None: it keeps its size. Raises TooLarge, Damaged,
    VideoSupportMissing, and FFmpeg's errors.
    """
    try:
        frame = key_frame.unpack(data)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise Damaged(detail="it is no key frame of a video") from error
    if frame.width or frame.height:
        check_size((frame.width, frame.height), max_pixels)
    decoded = _decode(frame, max_pixels)
    check_size((decoded.width, decoded.height), max_pixels)
    width, height = _shown_size(decoded.width, decoded.height, frame.aspect)
    scale = 1.0 if shortest_side is None else min(1.0, shortest_side / min(width, height))
    image = _image(decoded, max(1, round(width * scale)), max(1, round(height * scale)))
    if turn := _TURNS.get(frame.turn % 360):
        image = image.transpose(turn)
    size = (height, width) if frame.turn % 180 else (width, height)
    return image, size, facts(frame.tags)


def _decode(frame: KeyFrame, max_pixels: int) -> "VideoFrame":
    try:
        import av
    except ImportError as error:
        raise VideoSupportMissing from error
    codec = av.CodecContext.create(frame.codec, "r")
    assert isinstance(codec, av.VideoCodecContext)
    # A frame of its own needs no second thread, and one that hangs would leave it behind.
    codec.thread_count = 1
    # The frame itself may say another size than its container: FFmpeg refuses before it allocates.
    codec.options = {"max_pixels": str(max_pixels)}
    codec.extradata = frame.extradata or None
    if frame.width and frame.height:
        codec.width, codec.height = frame.width, frame.height
    if frame.tag:
        codec.codec_tag = frame.tag
    if frame.bits:
        codec.bits_per_coded_sample = frame.bits
    frames = [*codec.decode(av.Packet(frame.packet)), *codec.decode(None)]
    if not frames:
        raise Damaged(detail="its key frame gives no picture")
    return frames[0]


def _shown_size(width: int, height: int, aspect: tuple[int, int]) -> tuple[int, int]:
    across, down = aspect
    wide = across / down if across > 0 and down > 0 else 1.0
    return (max(1, round(width * wide)), height) if 1 / _MAX_ASPECT <= wide <= _MAX_ASPECT else (width, height)


def _image(frame: "VideoFrame", width: int, height: int) -> Image.Image:
    from av.video.reformatter import Colorspace, Interpolation

    space = None
    if frame.colorspace == _UNSPECIFIED:
        space = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
    smooth = Interpolation.AREA if width < frame.width else Interpolation.BICUBIC
    return Image.fromarray(
        frame.reformat(width, height, "rgb24", src_colorspace=space, interpolation=smooth).to_ndarray()
    )


def facts(tags: Mapping[str, str]) -> Exif:
    """Return what the tags of a container say, in the form of an EXIF block; nothing here raises."""
    latitude, longitude = next(
        (place for name in key_frame.PLACES if (place := _place(tags.get(name, "")))), (None, None)
    )
    cameras = (exif.camera(_text(tags, make), _text(tags, model)) for make, model in key_frame.CAMERAS)
    return Exif(
        taken_at=next((taken for name in key_frame.DATES if (taken := _seconds(tags.get(name, "")))), None),
        camera=next((camera for camera in cameras if camera), ""),
        latitude=latitude,
        longitude=longitude,
    )


def _seconds(text: str) -> int | None:
    with contextlib.suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return int(found.timestamp()) if found.year >= _FIRST_YEAR else None
    return None


def _place(text: str) -> tuple[float, float] | None:
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        return None
    latitude, longitude = float(found[1]), float(found[2])
    inside = abs(latitude) <= 90 and abs(longitude) <= 180  # noqa: PLR2004  degrees
    return (latitude, longitude) if inside and (latitude, longitude) != (0, 0) else None


def _text(tags: Mapping[str, str], name: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in tags.get(name, "")).split())
