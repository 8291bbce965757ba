"""
Videos: key frames of them, at most one in some seconds, each a picture.

A frame's location is the path of the video, "#t=" and its time in seconds as players count it: the form that browsers take
(https://www.w3.org/TR/media-frags/). A video in which no frame can be found is registered by its path alone, which is read as its first key frame:
so its outcome and its reason are in the ledger, as those of a damaged picture are.

A frame's size is that of its compressed bytes, its time that of the file to the second; the digits below come from the version of the file and the
time of the frame. So a frame that was renamed with its video is found again, and whether it has changed is known without opening the video.
"""

import contextlib
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.key_frame import KeyFrame
from pixfind.images.source import files, folders, sampling, video_finder
from pixfind.images.source.files import ClosedFile, content_hash, mtime_ns
from pixfind.images.source.protocol import File, Order, Original, Presence
from pixfind.images.source.sampling import Sampling
from pixfind.images.source.video_file import VideoFile
from pixfind.images.source.walk import ContainerWalk
from pixfind.types import Fingerprint

KIND: Final = "video"

SETTINGS: Final = sampling.SETTINGS

MARK: Final = suffixes.FRAME_MARK

SUFFIXES: Final = suffixes.VIDEOS

_MAX_OPEN: Final = 4
_BELOW_A_SECOND: Final = 10**9

listed = 0
"""videos that were opened in this process"""


# --- a source -------------------------------------------------------------------------------------


def has_root(root: str) -> bool:
    """Tell whether a root is a video: by its extension, unless a folder is named like that."""
    return _is_video_name(root) and not os.path.isdir(root)


def has(location: str) -> bool:
    """Tell whether a location is that of a frame, or of a whole video."""
    return _is_video_name(location)


def as_root(given: str) -> str:
    """Return the absolute path."""
    return os.path.abspath(os.path.expanduser(given))


def prefix(root: str) -> str:
    """Return the path: what all locations begin with, the one without a time included."""
    return root


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise ExtraNotInstalled, and FolderNotReadable for what is no file."""
    check_extra()
    if not os.path.isfile(root):
        folders.check(root, settings)


def check_extra() -> None:
    """Raise ExtraNotInstalled where videos cannot be read."""
    if not suffixes.reads_videos():
        raise errors.ExtraNotInstalled(what="Reading videos", package="av", extra="video")


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:  # noqa: ARG001  `protocol.Source`
    """Tell whether the file is there."""
    return files.presence(root)


def walk(order: Order) -> "_VideoWalk":
    """Return a walk that finds the video to look into, and no more."""
    return _VideoWalk(order, prefix(order.root))


class _VideoWalk(ContainerWalk):
    def files(self) -> Iterator[File]:
        if suffixes.reads_videos():
            return super().files()
        self.left_out[suffixes.suffix(os.path.basename(self.order.root))] += 1
        return iter(())


def members(path: str, settings: Mapping[str, Any]) -> Iterator[File]:
    """
    Yield the frames of a video, or the video itself where none can be found: `read` says why.

    They are found by a process of its own, so that a file that crashes or hangs FFmpeg costs the scan nothing else.
    """
    global listed
    wanted = Sampling.of(settings) or Sampling()
    try:
        version = files.version(path)
    except OSError as error:
        raise errors.ArchiveUnreadable(path=path, detail=error.strerror or str(error)) from error
    frames = video_finder.key_frames(path, wanted.every, wanted.frames)
    listed += 1
    if not frames:
        yield File(path, *version)
    for at, size in frames:
        yield File(location(path, at), size, _frame_time(version, at))


def location(path: str, at: int) -> str:
    """Return the location of the frame at `at` milliseconds."""
    return f"{path}{MARK}{at / 1000:.3f}".rstrip("0").removesuffix(".")


def split(location: str) -> tuple[str, int | None]:
    """Return the path of a video and the time of the frame in milliseconds; None for the whole video."""
    path = suffixes.without_time(location)
    if path == location:
        return path, None
    return path, round(float(location[len(path) + len(MARK) :]) * 1000)


def file_of(location: str) -> str:
    """Return the path of the video."""
    return suffixes.without_time(location)


def prepare(location: str) -> None:
    """Open the video; what is wrong with it is for `read` to say."""
    with contextlib.suppress(OSError, errors.ImageProblem):
        _opened(file_of(location))


def exists(location: str) -> bool:
    """Tell whether the video is there."""
    return os.path.lexists(file_of(location))


def version(location: str) -> tuple[int, int] | None:
    """Return (size, mtime_ns) of a frame or a whole video; None where the video or the frame is not there."""
    path, at = split(location)
    with contextlib.suppress(OSError, errors.ImageProblem):
        known = files.version(path)
        if at is None:
            return known
        opened = _opened(path)
        with opened.lock:
            frame = opened.video.frame(at)
        return None if frame is None else (len(frame.packet), _frame_time(known, at))
    return None


def read(location: str) -> Original:
    """
    Take one compressed key frame out of its video: the bytes of a `KeyFrame`.

    Raises FileMissing, Unreadable, Damaged, NoVideo, EncryptedVideo, VideoSupportMissing, and ModifiedDuringRead.
    """
    path, at = split(location)
    try:
        opened = _opened(path)
        with opened.lock:
            frame = opened.video.frame(at)
        if files.version(path) != opened.version:
            raise errors.ModifiedDuringRead
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except OSError as error:
        raise errors.Unreadable(detail=error.strerror or str(error)) from error
    if frame is None:
        raise errors.FileMissing
    return _original(frame, opened.version, at)


def read_frame(file: BinaryIO, location: str) -> Original:
    """Take a frame out of a video that is open, whatever lies at its path by now; raises as `read` does."""
    _, at = split(location)
    try:
        status = os.fstat(file.fileno())
        frame = VideoFile(file).frame(at)
    except OSError as error:
        raise errors.Unreadable(detail=error.strerror or str(error)) from error
    return _original(frame, (status.st_size, mtime_ns(status)), at)


def _original(frame: KeyFrame | None, version: tuple[int, int], at: int | None) -> Original:
    if frame is None:
        raise errors.FileMissing
    data = frame.pack()
    size, modified = version if at is None else (len(frame.packet), _frame_time(version, at))
    return Original(data, Fingerprint(size, modified, content_hash(data)))


def is_unchanged(location: str, registered_mtime_ns: int, status: os.stat_result) -> bool:
    """Tell whether a frame that was registered with this mtime_ns is still that of the file with this status; without opening it."""
    known = status.st_size, mtime_ns(status)
    _, at = split(location)
    return registered_mtime_ns == (known[1] if at is None else _frame_time(known, at))


def _is_video_name(name: str) -> bool:
    return suffixes.suffix(os.path.basename(name)) in SUFFIXES


def _frame_time(version: tuple[int, int], at: int) -> int:
    size, modified = version
    digits = zlib.crc32(f"{size} {modified} {at}".encode()) % _BELOW_A_SECOND
    return modified // _BELOW_A_SECOND * _BELOW_A_SECOND + digits


# --- videos that are open -------------------------------------------------------------------------


@dataclass(slots=True)
class _Opened:
    version: tuple[int, int]
    video: VideoFile
    lock: threading.Lock


_guard = threading.Lock()
_open: OrderedDict[str, _Opened] = OrderedDict()
"""path -> video, the latest used last: frames of one video follow each other"""


def _opened(path: str) -> _Opened:
    """Return a video, opened again when the file has changed. Raises OSError and ImageProblem."""
    global listed
    version = files.version(path)
    with _guard:
        known = _open.get(path)
        if known is None or known.version != version:
            if not version[0]:
                raise errors.EmptyFile
            # Nothing of it stays open between two reads, so that a drive can be unmounted.
            file = cast("BinaryIO", ClosedFile(path))
            _open[path] = known = _Opened(version, VideoFile(file), threading.Lock())
            listed += 1
        _open.move_to_end(path)
        while len(_open) > _MAX_OPEN:
            _open.popitem(last=False)
        return known
