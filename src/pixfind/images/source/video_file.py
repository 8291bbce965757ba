"""
One video file, and the key frames in it: found by hopping from one to a later one, without decoding what lies between.

Owns how a container is opened (PyAV, the extra `video`) and what of it goes into a `KeyFrame`. Whatever a file claims, nothing but this
file is opened: playlists and references to other files and hosts are not followed. Must not know locations or the scan.
"""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, NoReturn

from pixfind.errors import Damaged, EncryptedVideo, ImageProblem, NoVideo, VideoSupportMissing
from pixfind.images.key_frame import TAGS, KeyFrame

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_FORMATS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,mxf,dv"
"""FFmpeg's names of the containers that are read: none of those that lead to other files, as playlists do"""

_BUFFER_BYTES: Final = 128 << 10
_MAX_TAG_CHARACTERS: Final = 200
_MAX_PACKET_BYTES: Final = 256 << 20
"""A larger frame is none that anybody records: a frame of 8K without compression has 100 MB."""

_MAX_PIXELS: Final = 100_000_000
"""of the frame that is decoded to learn how a video is turned"""

_EARLIER: Final = (0, 1, 10)
"""Seconds before a frame to which is sought: containers without an index of frames are only hit by chance."""

_TURNED: Final = frozenset({"mov", "matroska"})
"""Formats that can say that a video is turned."""


class Found(NamedTuple):
    """A key frame as it lies in a video."""

    at: int
    """milliseconds from the start, as players count"""
    size: int
    """bytes"""


class VideoFile:
    """
    A video that is open. One thread at a time.

    `file` is read as long as this is used. Raises VideoSupportMissing, NoVideo, EncryptedVideo, Damaged, and OSError of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            import av
        except ImportError as error:
            raise VideoSupportMissing from error
        with problems():
            self._container: InputContainer = av.open(
                file,
                "r",
                container_options={"format_whitelist": _FORMATS},
                buffer_size=_BUFFER_BYTES,
                io_open=_refuse,
                metadata_errors="replace",
            )
            self._stream = self._moving()
        start = self._container.start_time or 0
        base = self._stream.time_base or Fraction(1, 1000)
        self._base = base
        self._start = round(Fraction(start, 1_000_000) / base)
        self._turn: int | None = None
        self._first: Packet[VideoStream] | None = None
        self._delay = 0

    def close(self) -> None:
        """Forget the container; the file is the caller's."""
        self._container.close()

    def key_frames(self, every: float, limit: int) -> list[Found]:
        """
        Return key frames that lie at least `every` seconds apart, at most `limit`, spread over the video.

        Where there would be more they lie further apart, so all parts of a long video are there. Raises NoVideo where there is none.
        """
        seconds = float(Fraction(self._container.duration or 0, 1_000_000))
        apart = max(1, round(max(every, seconds / limit) / float(self._base)))
        found: list[Found] = []
        packet = self._first_key_frame()
        while packet is not None:
            found.append(Found(self._milliseconds(packet), packet.size))
            if len(found) > limit:
                # The container says nothing of its length, or not the truth.
                found, apart = found[::2], apart * 2
            packet = self._next_after(_time(packet) + apart)
        return found

    def frame(self, at: int | None) -> KeyFrame | None:
        """Return the key frame at `at` milliseconds, the first one for None; None where no key frame lies there."""
        packet = self._first_key_frame() if at is None else self._at(at)
        if packet is None:
            return None
        if packet.size > _MAX_PACKET_BYTES:
            raise Damaged(detail=f"a frame of {packet.size / 1e6:,.0f} MB")
        codec = self._stream.codec_context
        aspect = self._stream.sample_aspect_ratio or codec.sample_aspect_ratio or Fraction(1)
        tag = codec.codec_tag
        return KeyFrame(
            codec=codec.codec.name,
            packet=bytes(packet),
            extradata=codec.extradata or b"",
            tag=tag if len(tag) == 4 and tag.isascii() and tag.isprintable() else "",  # noqa: PLR2004  a fourcc
            bits=codec.bits_per_coded_sample or 0,
            width=codec.width,
            height=codec.height,
            turn=self._turned(),
            aspect=(aspect.numerator, aspect.denominator),
            tags=self._tags(),
        )

    # --- packets ----------------------------------------------------------------------------------

    def _moving(self) -> "VideoStream":
        """Return the first stream that is no cover picture."""
        from av.stream import Disposition

        still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
        for stream in self._container.streams.video:
            if stream.disposition & still:
                continue
            if stream.codec_context is None:
                raise NoVideo(detail="FFmpeg has no decoder for its codec")
            return stream
        raise NoVideo(
            detail="there are only sound or cover pictures in it"
            if self._container.streams
            else "there is nothing in it"
        )

    def _first_key_frame(self) -> "Packet[VideoStream] | None":
        if self._first is None:
            with problems():
                self._first = self._next_key_frame(None)
            if self._first is None:
                raise NoVideo(detail="there is no key frame in it")
            if self._first.has_sidedata("encryption_info"):
                raise EncryptedVideo
            self._delay = max(0, _time(self._first) - (self._first.dts or 0)) if self._first.dts is not None else 0
        return self._first

    def _next_after(self, time: int) -> "Packet[VideoStream] | None":
        """Return the first key frame from a time on."""
        import av

        # Without an index, or at the end: what follows is read on.
        with contextlib.suppress(av.FFmpegError):
            self._container.seek(time - self._delay, backward=False, stream=self._stream)
        # Damage ends the video here: what comes before it can be read.
        with contextlib.suppress(av.FFmpegError):
            return self._next_key_frame(time)
        return None

    def _at(self, milliseconds: int) -> "Packet[VideoStream] | None":
        import av

        self._first_key_frame()
        around = self._start + round(Fraction(milliseconds, 1000) / self._base)
        with problems():
            for earlier in _EARLIER:
                time = around - self._delay - round(earlier / self._base)
                with contextlib.suppress(av.FFmpegError):
                    self._container.seek(time, backward=True, stream=self._stream)
                    packet = self._next_key_frame(around - round(Fraction(1, 1000) / self._base))
                    while packet is not None and self._milliseconds(packet) < milliseconds:
                        packet = self._next_key_frame(None)
                    if packet is not None and self._milliseconds(packet) == milliseconds:
                        return packet
        return None

    def _next_key_frame(self, time: int | None) -> "Packet[VideoStream] | None":
        """Read on to the next key frame, from a time on."""
        for packet in self._container.demux(self._stream):
            if packet.is_keyframe and packet.size and packet.pts is None:
                packet.pts = packet.dts
            if packet.is_keyframe and packet.size and packet.pts is not None and (time is None or packet.pts >= time):
                return packet
        return None

    def _milliseconds(self, packet: "Packet[VideoStream]") -> int:
        return max(0, round((_time(packet) - self._start) * self._base * 1000))

    # --- what the container says ------------------------------------------------------------------

    def _turned(self) -> int:
        if self._turn is None:
            self._turn = 0
            names = self._container.format.name.split(",")
            if not _TURNED.isdisjoint(names):
                self._turn = self._turn_of_a_frame()
        return self._turn

    def _turn_of_a_frame(self) -> int:
        """Return how frames are turned, which FFmpeg only says of a decoded one."""
        import av

        codec = self._stream.codec_context
        codec.thread_count = 1
        codec.options = {"max_pixels": str(_MAX_PIXELS)}
        first = self._first_key_frame()
        with contextlib.suppress(av.FFmpegError, MemoryError):
            frame = next(iter((*codec.decode(first), *codec.decode(None))), None)
            return 0 if frame is None else round(frame.rotation / 90) * 90 % 360
        return 0

    def _tags(self) -> dict[str, str]:
        found = {**self._stream.metadata, **self._container.metadata}
        return {name: found[name][:_MAX_TAG_CHARACTERS] for name in TAGS if found.get(name)}


def _time(packet: "Packet[VideoStream]") -> int:
    assert packet.pts is not None
    return packet.pts


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:  # noqa: ARG001  PyAV's signature
    message = "a video may not lead to other files"
    raise OSError(message)


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """Turn errors of FFmpeg into an ImageProblem; those of the file stay OSErrors."""
    import av

    try:
        yield
    except ImageProblem:
        raise
    except (av.FFmpegError, ValueError, IndexError, UnicodeError) as error:
        raise Damaged(detail=str(getattr(error, "strerror", None) or error)) from error
