"""
Crash attribution: which image ended a worker.

Owns the counts of crashes and the quarantine. An image that a worker was assigned when it crashed is tried again in isolation, by a worker that is
assigned nothing else: then a second crash names its image. Must not know how workers are started, or what becomes of an image that is found guilty.
"""

import collections
import signal
from collections.abc import Iterable
from pathlib import Path

from pixfind import errors
from pixfind.embedding.runners import Ended
from pixfind.types import ImageRef
from pixfind.worker.protocol import WorkerConfig

#: In a row, before any worker was ready: its model cannot be loaded, or somebody kills it again and again.
_MAX_CRASHES_AT_START = 5
_MAX_KILLS_AT_START = 100

#: A worker may be killed by anybody; only a crash inside it speaks against the image at once.
_CRASHES_TO_FAIL = 2
_KILLS_TO_FAIL = 4


class CrashAttribution:
    """What is known of the crashes of one run."""

    def __init__(self) -> None:
        self._quarantine: collections.deque[ImageRef] = collections.deque()
        self._crashes: collections.Counter[int] = collections.Counter()
        self._at_start = 0

    @property
    def quarantined(self) -> bool:
        """Whether images wait to be tried in isolation."""
        return bool(self._quarantine)

    def next_isolated(self) -> ImageRef:
        """Take the next image that is to be tried in isolation."""
        return self._quarantine.popleft()

    def worker_started(self) -> None:
        """Note that a worker became ready: workers can start."""
        self._at_start = 0

    def crashed_at_start(self, config: WorkerConfig, ended: Ended) -> None:
        """Note that a worker ended before it was ready; raises WorkerCrashLoop when that has happened too often in a row."""
        self._at_start += 1
        if self._at_start >= (_MAX_KILLS_AT_START if _was_killed(ended) else _MAX_CRASHES_AT_START):
            raise errors.WorkerCrashLoop(
                worker=config.worker,
                times=self._at_start,
                detail=ended.detail,
                log=Path(config.logs) / f"embed_worker_{config.worker}.log",
            )

    def attribute(self, unfinished: Iterable[ImageRef], isolated: int | None, ended: Ended) -> ImageRef | None:
        """
        Put what a crashed worker was assigned into quarantine; return the image that has crashed workers often enough to fail.

        `isolated` is the id of the image that the worker tried in isolation: only that one can be found guilty.
        """
        enough = _KILLS_TO_FAIL if _was_killed(ended) else _CRASHES_TO_FAIL
        guilty = None
        for image in unfinished:
            self._crashes[image.image_id] += 1
            if isolated == image.image_id and self._crashes[image.image_id] >= enough:
                guilty = image
            else:
                self._quarantine.append(image)
        return guilty


def _was_killed(ended: Ended) -> bool:
    return ended.code == -signal.SIGKILL
