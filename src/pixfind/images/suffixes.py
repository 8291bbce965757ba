"""
File name extensions: which files a scan registers, and which it counts as not supported.

The one list of the package: `library.scan` and the query language use it, and a test compares the copy in the web page (page/suffixes.js).
Owns which extra reads which of them, too; only `images.decode` imports what the extra brings.
A file of another extension is never opened; what a file contains is decided by its bytes, in `images.decode`.
"""

import importlib.util
import re
from typing import Final

SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".heic", ".heif", ".hif"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm"),
    }
)
"""What a scan registers: lower case, with the dot. Icons are left out: they are not pictures that anyone looks for."""

RAW: Final = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"),
        *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    }
)
"""As cameras store them: what a scan registers as well where the extra `raw` is installed. Lower case, with the dot."""

VIDEOS: Final = frozenset(
    {
        *(
            ".3g2",
            ".3gp",
            ".asf",
            ".avi",
            ".dv",
            ".flv",
            ".m2ts",
            ".m4v",
            ".mkv",
            ".mod",
            ".mov",
            ".mp4",
            ".mpeg",
            ".mpg",
        ),
        *(".mts", ".mxf", ".ogv", ".tod", ".vob", ".webm", ".wmv"),
    }
)
"""Videos, whose frames a scan registers on request where the extra `video` is installed. Lower case, with the dot."""

FRAME_MARK: Final = "#t="
"""between the path of a video and the time of a frame, as in media fragments (https://www.w3.org/TR/media-frags/)"""

KNOWN_UNREAD: Final = frozenset(
    {
        # archives
        *(".7z", ".cb7", ".cbr", ".rar", ".tar.bz2", ".tar.xz", ".tar.zst", ".tbz2", ".txz", ".tzst"),
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

ARCHIVES: Final = frozenset({".zip", ".cbz", ".tar", ".tar.gz", ".tgz"})
"""Archives that can be looked into. Lower case, with the dot."""

COUNTED: Final = KNOWN_UNREAD | RAW | VIDEOS | ARCHIVES
"""What a scan counts where files of it are not registered."""

_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst"})

_RAW_LIBRARY: Final = "rawpy"
_VIDEO_LIBRARY: Final = "av"


def registered() -> frozenset[str]:
    """Return what a scan registers here: SUFFIXES, and RAW where the extra that reads it is installed."""
    return SUFFIXES | RAW if reads_raw() else SUFFIXES


def reads_raw() -> bool:
    """Tell whether the extra `raw` is installed."""
    return importlib.util.find_spec(_RAW_LIBRARY) is not None


def reads_videos() -> bool:
    """Tell whether the extra `video` is installed."""
    return importlib.util.find_spec(_VIDEO_LIBRARY) is not None


def is_image_name(name: str) -> bool:
    """Tell whether a scan registers a file of this name here: by its extension, in any case."""
    return suffix(name) in registered()


def suffix(name: str) -> str:
    """
    Return the extension in lower case with its dot; empty where there is none, or nothing before it.

    Of a compressed tar it has both parts, of a frame of a video it is that of the video.
    """
    if FRAME_MARK in name:
        name = without_time(name)
    dot = name.rfind(".")
    found = name[dot:].lower() if dot > 0 else ""
    return f".tar{found}" if found in _COMPRESSED and name[:dot].lower().endswith(".tar") else found


def without_time(name: str) -> str:
    """Return the name or the path of the video that a frame is of; any other name as it is."""
    video, mark, time = name.rpartition(FRAME_MARK)
    is_frame = bool(mark) and re.fullmatch(r"\d{1,9}(\.\d{1,3})?", time, re.ASCII) and suffix(video) in VIDEOS
    return video if is_frame else name


def frame_time(location: str) -> float | None:
    """Return the time of a frame in seconds from the start of its video; None for any other picture."""
    video = without_time(location)
    return None if video == location else float(location[len(video) + len(FRAME_MARK) :])
