"""
A key frame of a video as bytes: what `source` takes out of a file, and `decode` makes a picture of.

Owns the layout: MAGIC, the lengths of the two parts that follow as big-endian 32 bits, a header in JSON with sorted keys, the codec's extra data,
and the compressed frame as it lies in the file. The same frame of two copies of a video has the same bytes, so it has the same content hash.
Must not know FFmpeg.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAGIC: Final = b"\x89pixfind key frame\r\n"

DATES: Final = ("com.apple.quicktime.creationdate", "creation_time", "date")
PLACES: Final = ("com.apple.quicktime.location.ISO6709", "location")
CAMERAS: Final = (
    ("com.apple.quicktime.make", "com.apple.quicktime.model"),
    ("com.android.manufacturer", "com.android.model"),
    ("make", "model"),
)
TAGS: Final = frozenset({*DATES, *PLACES, *(name for names in CAMERAS for name in names)})
"""by which containers say when, where and with what a video was made, as FFmpeg names them; the first that is there counts"""

_LENGTHS: Final = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """One compressed frame, and all that decoding it needs."""

    codec: str
    """FFmpeg's name of the decoder"""
    packet: bytes
    extradata: bytes = b""
    """what the container keeps for the decoder, such as the parameter sets of H.264"""
    tag: str = ""
    """four characters by which the container names the codec: for some it says what the pixels are"""
    bits: int = 0
    """of a pixel as the container has them; 0 when unknown"""
    width: int = 0
    """pixels, as the frame is stored; 0 when unknown"""
    height: int = 0
    turn: int = 0
    """degrees counter-clockwise by which a player turns the frame: 0, 90, 180 or 270"""
    aspect: tuple[int, int] = (1, 1)
    """width and height of a pixel"""
    tags: Mapping[str, str] = field(default_factory=dict)
    """those of TAGS that the container has"""

    def pack(self) -> bytes:
        """Return the bytes."""
        header = json.dumps(
            {
                "codec": self.codec,
                "tag": self.tag,
                "bits": self.bits,
                "size": [self.width, self.height],
                "turn": self.turn,
                "aspect": list(self.aspect),
                "tags": dict(self.tags),
            },
            sort_keys=True,
        ).encode()
        return b"".join((MAGIC, _LENGTHS.pack(len(header), len(self.extradata)), header, self.extradata, self.packet))


def recognises(data: bytes) -> bool:
    """Tell whether bytes are a key frame; the first 64 are enough."""
    return data.startswith(MAGIC)


def unpack(data: bytes) -> KeyFrame:
    """Return the key frame that `pack` wrote; raises ValueError, KeyError, TypeError, struct.error for other bytes."""
    at = len(MAGIC) + _LENGTHS.size
    header_bytes, extra_bytes = _LENGTHS.unpack_from(data, len(MAGIC))
    header = json.loads(data[at : at + header_bytes])
    at += header_bytes
    width, height = map(int, header["size"])
    across, down = map(int, header["aspect"])
    return KeyFrame(
        codec=str(header["codec"]),
        packet=data[at + extra_bytes :],
        extradata=data[at : at + extra_bytes],
        tag=str(header["tag"]),
        bits=int(header["bits"]),
        width=width,
        height=height,
        turn=int(header["turn"]),
        aspect=(across, down),
        tags=header["tags"],
    )
