"""
The prefetcher: threads that read and decode images ahead of the model.

Owns the order of their work and its bounds: bytes of files in memory, decodes at a time, threads. Everything that happens is
put into one queue for the thread that runs the model. Must not know what becomes of a loaded image.
"""

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pixfind.images import decode, source
from pixfind.types import ImageRef
from pixfind.worker import embed
from pixfind.worker.files import Files, FilesHere

_READ_AHEAD = 2
"""threads beyond those that decode: files lie ready when a decode ends"""

_UNKNOWN_BYTES = 16 << 20
"""counted for a file of which nobody knows the size before it is read"""

MAX_THREADS = 24
"""more reads at a time help no disk"""

MAX_NETWORK_THREADS = 64
"""requests to other machines spend their time waiting; each costs memory for one file"""


@dataclass(frozen=True, slots=True)
class Failed:
    """An image could not be read or decoded."""

    image: ImageRef
    problem: BaseException


Event = embed.Read | embed.Loaded | Failed
"""what became of an image: read and waiting for an answer, ready for the model, or failed"""


class Events(Protocol):
    """Where the threads put what happens; `queue.SimpleQueue` is one."""

    def put(self, event: Event, /) -> None:
        """Take an event, from any thread."""


class Prefetcher:
    """
    A few threads that turn assigned images into images ready for the model, in the order in which they were assigned.

    An image that may be a duplicate is only read, its file kept until `load` or `forget` is called for it. At most `byte_budget` bytes
    of files are held at once, except for a single file that is larger; at most `decoders` images are decoded at a time.
    """

    def __init__(
        self,
        encoder: embed.Preparer,
        limits: decode.Limits,
        events: Events,
        *,
        decoders: int,
        byte_budget: int,
        files: Files | None = None,
    ) -> None:
        self.threads = decoders + _READ_AHEAD
        self.began: dict[int, float] = {}
        """image id -> when a thread began to read or to decode it, monotonic seconds; read it from any thread"""
        self._files = files or FilesHere()
        self._encoder = encoder
        self._limits = limits
        self._events = events
        self._byte_budget = byte_budget
        self._held: dict[int, int] = {}
        self._unread: collections.deque[ImageRef] = collections.deque()
        self._granted: collections.deque[embed.Read] = collections.deque()
        self._changed = threading.Condition()
        self._decoding = threading.BoundedSemaphore(decoders)
        self._running: list[threading.Thread] = []
        self._closed = False
        self.grow(0)

    def grow(self, by: int, most: int = MAX_THREADS) -> None:
        """Add threads, up to `most` in all: many disks answer several reads at a time sooner than one after the other."""
        self.threads = min(self.threads + by, most)
        while len(self._running) < self.threads:
            thread = threading.Thread(target=self._work, name=f"loader {len(self._running)}", daemon=True)
            self._running.append(thread)
            thread.start()

    def take(self, image: ImageRef) -> None:
        """Read this image, and decode it unless it may be a duplicate."""
        with self._changed:
            self._unread.append(image)
            self._changed.notify()

    def load(self, file: embed.Read) -> None:
        """Decode a file that was only read; it goes before what is not read yet."""
        with self._changed:
            self._granted.append(file)
            self._changed.notify()

    def forget(self, image_id: int) -> None:
        """Give back the bytes that the file of this image takes of the budget."""
        with self._changed:
            self._held.pop(image_id, None)
            self.began.pop(image_id, None)
            self._changed.notify_all()

    def close(self) -> None:
        """End the threads; what they have not begun is dropped. A thread that hangs in an image stays behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- the threads ------------------------------------------------------------------------------

    def _work(self) -> None:
        while (found := self._next()) is not None:
            work, image = found
            try:
                work()
            except BaseException as problem:  # noqa: BLE001 - border: the run continues, whatever an image does
                self._events.put(Failed(image, problem))

    def _next(self) -> tuple[Callable[[], None], ImageRef] | None:
        """Wait for work that fits; None: there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._granted or self._fits())
            if self._closed:
                return None
            if self._granted:
                file = self._granted.popleft()
                self.began[file.image.image_id] = time.monotonic()
                return (lambda: self._load(file)), file.image
            image = self._unread.popleft()
            self._held[image.image_id] = _bytes(image)
            return (lambda: self._read(image)), image

    def _fits(self) -> bool:
        if not self._unread:
            return False
        return not self._held or sum(self._held.values()) + _bytes(self._unread[0]) <= self._byte_budget

    def _read(self, image: ImageRef) -> None:
        # Before the time of this image begins: all images of an archive wait until it has been looked into.
        self._files.prepare(image)
        if not source.is_address(image.path):
            # A source on another machine has its own limits of time, and a slow one is not the fault of the image.
            self.began[image.image_id] = time.monotonic()
        file = self._files.read(image)
        if file is None:
            # Nor is a slow network between here and the library's machine.
            self.began.pop(image.image_id, None)
            file = self._files.fetch(image)
        if image.same_size:
            # Not a thread's time any more: the answer of the coordinator may take a while.
            self.began.pop(image.image_id, None)
            self._events.put(file)
        else:
            self._load(file)

    def _load(self, file: embed.Read) -> None:
        # Waiting for one's turn is not hanging, even if all that decode now hang.
        self.began.pop(file.image.image_id, None)
        with self._decoding:
            self.began[file.image.image_id] = time.monotonic()
            loaded = embed.load(file, self._encoder, self._limits)
        self.forget(loaded.image_id)
        self._events.put(loaded)


def _bytes(image: ImageRef) -> int:
    return _UNKNOWN_BYTES if image.size < 0 else image.size
