"""
Videos to test with, made by PyAV: a few seconds in which each second shows another picture.

Must not know how videos are read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from pixfind.testing.images import picture

RATE = 10
"""frames in a second"""


def make_video(
    path: Path,
    pictures: Sequence[Image.Image] | int = 3,
    *,
    codec: str = "libx264",
    container: str | None = None,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (160, 120),
    turn: int = 0,
    tags: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    mux: Mapping[str, str] | None = None,
) -> Path:
    """
    Write a video of `pictures`, or of so many drawn ones: each for one second that begins with a key frame, the only one in it.

    `turn`: degrees counter-clockwise that players turn it by. `tags`: of the container; `options` of the encoder, `mux` of the container's writer.
    """
    shown = [picture(seed, size) for seed in range(pictures)] if isinstance(pictures, int) else list(pictures)
    with av.open(str(path), "w", format=container, options=dict(mux or {})) as file:
        file.metadata.update(dict(tags or {}))
        stream: Any = file.add_stream(codec, rate=RATE, options=dict(options or {}))
        stream.width, stream.height = shown[0].size
        stream.pix_fmt = pixels
        stream.codec_context.gop_size = RATE
        if codec == "libx264":
            stream.codec_context.options = {"sc_threshold": "0", **dict(options or {})}
        if turn:
            stream.set_display_rotation(turn)
        for image in shown:
            for _ in range(RATE):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), "rgb24")))
        file.mux(stream.encode())
    return path


def make_sound(path: Path) -> Path:
    """Write a file with a second of silence and no picture."""
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="flt", layout="mono")
        frame.rate = 44_100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
