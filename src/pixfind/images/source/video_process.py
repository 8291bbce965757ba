"""
`python -m pixfind.images.source.video_process`: finds the key frames of one video after the other.

Answers each line of JSON [path, every, limit] with one: a list of [milliseconds, bytes], or a text that says why there is none. It ends with its
standard input.
"""

import json
import os
import signal
import sys
from typing import BinaryIO, Final, cast

from pixfind import errors
from pixfind.images.source import video_finder
from pixfind.images.source.files import ClosedFile
from pixfind.images.source.video_file import Found, VideoFile

_GRACE_SECONDS: Final = 10
"""The scan ends a process that is late; this one only ends one that has lost its scan."""


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    # Nothing that a library prints may get between the answers.
    os.dup2(2, 1)
    for line in sys.stdin:
        if hasattr(signal, "alarm"):
            signal.alarm(video_finder.SECONDS + _GRACE_SECONDS)
        answers.write(json.dumps(_answer(*json.loads(line))) + "\n")
        answers.flush()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _answer(path: str, every: float, limit: int) -> list[Found] | str:
    try:
        video = VideoFile(cast("BinaryIO", ClosedFile(path)))
        try:
            return video.key_frames(every, limit)
        finally:
            video.close()
    except (errors.ImageProblem, OSError, MemoryError) as error:
        return str(error)


if __name__ == "__main__":
    main()
