"""
Finding the key frames of videos in a process of its own: one that crashes or hangs on a file is replaced.

Owns the process; what it does: `video_process`. Workers open videos themselves: the end of a worker is an outcome of the image that it had.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Final, TextIO, cast

from pixfind.images.source.video_file import Found

_COMMAND: Final = (sys.executable, "-m", "pixfind.images.source.video_process")

SECONDS: Final = 300
"""for one video: a container without an index is read as a whole"""

_REST_SECONDS: Final = 20.0
"""after which a process that is asked nothing ends"""


def key_frames(path: str, every: float, limit: int) -> list[Found]:
    """Return the key frames of a video as `VideoFile.key_frames` does; none where that fails, crashes or takes too long."""
    with _guard:
        return _finder.ask(path, every, limit)


class _Finder:
    """The process, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._rest = threading.Timer(0, self.end)

    def ask(self, path: str, every: float, limit: int) -> list[Found]:
        self._rest.cancel()
        process = self._running()
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([path, every, limit]) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            return [] if isinstance(answer, str) else [Found(int(at), int(size)) for at, size in answer]
        except (OSError, ValueError, TypeError):
            # It has ended, or what has taken it over writes something else.
            self.end()
            return []
        finally:
            late.cancel()
            self._rest_later()

    def end(self) -> None:
        self._rest.cancel()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    cast("TextIO", pipe).close()

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # Ctrl-C in the terminal is for the scan.
                process_group=0 if os.name == "posix" else None,
            )
        return self._process

    def _rest_later(self) -> None:
        def end() -> None:
            with _guard:
                if self._rest is timer:
                    self.end()

        timer = self._rest = threading.Timer(_REST_SECONDS, end)
        timer.daemon = True
        timer.start()


_guard = threading.Lock()
_finder = _Finder()
atexit.register(_finder.end)
