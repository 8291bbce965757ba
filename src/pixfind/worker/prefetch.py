"""
Loaders: threads that read and decode pictures ahead of the model.

Owns the order of their work and its bounds: bytes of files in memory, decodes at a time, threads. Everything that happens is
put into one queue for the thread that runs the model. Must not know what becomes of a loaded picture.
"""

import collections
import threading
import time
from collections.abc import Callable
from typing import Protocol

from pixfind.images import decode
from pixfind.models.encoders import ImageEncoder
from pixfind.worker import embed

READ_AHEAD = 2
"""loaders beyond those that decode: files lie ready when a decode ends"""

MOST = 24
"""loaders: more reads at a time help no disk"""


class Events(Protocol):
    """Where loaders put what happens."""

    def put(self, event: "tuple[str, object]") -> None:
        """Take ("read", embed.Read), ("loaded", embed.Loaded) or ("problem", (embed.Task, exception))."""


class Loaders:
    """
    A few threads that turn tasks into pictures ready for the model, in the order of the tasks.

    A task that may have a twin is only read, its file kept until `load` or `forget` is called for it. At most `room` bytes of files
    are held at once, but for one file, which may be larger; at most `decoders` pictures are decoded at a time.
    """

    def __init__(
        self, encoder: ImageEncoder, limits: decode.Limits, events: Events, *, decoders: int, room: int
    ) -> None:
        self.width = decoders + READ_AHEAD
        """threads"""
        self.began: dict[int, float] = {}
        """image id -> when a thread took it up, monotonic seconds; read it from any thread"""
        self._encoder = encoder
        self._limits = limits
        self._events = events
        self._room = room
        self._held: dict[int, int] = {}
        self._tasks: collections.deque[embed.Task] = collections.deque()
        self._granted: collections.deque[embed.Read] = collections.deque()
        self._changed = threading.Condition()
        self._decoding = threading.BoundedSemaphore(decoders)
        self._threads: list[threading.Thread] = []
        self.grow(0)

    def grow(self, by: int) -> None:
        """Add threads, for a disk that answers many reads sooner than one after the other."""
        self.width = min(self.width + by, MOST)
        while len(self._threads) < self.width:
            thread = threading.Thread(target=self._work, name=f"loader {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self, task: embed.Task) -> None:
        """Read this one, and decode it unless it may have a twin."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify()

    def load(self, file: embed.Read) -> None:
        """Decode a file that was only read; it goes before what is not read yet."""
        with self._changed:
            self._granted.append(file)
            self._changed.notify()

    def forget(self, image_id: int) -> None:
        """The bytes of this one are needed no more."""
        with self._changed:
            self._held.pop(image_id, None)
            self.began.pop(image_id, None)
            self._changed.notify_all()

    # --- the threads ------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            work, task = self._next()
            try:
                work()
            except BaseException as problem:  # noqa: BLE001 - border: the run goes on, whatever a picture does
                self._events.put(("problem", (task, problem)))

    def _next(self) -> tuple[Callable[[], None], embed.Task]:
        """Wait for work that fits."""
        with self._changed:
            self._changed.wait_for(lambda: self._granted or self._fits())
            if self._granted:
                file = self._granted.popleft()
                self.began[file.task.image_id] = time.monotonic()
                return (lambda: self._load(file)), file.task
            task = self._tasks.popleft()
            self._held[task.image_id] = task.size
            self.began[task.image_id] = time.monotonic()
            return (lambda: self._read(task)), task

    def _fits(self) -> bool:
        return bool(self._tasks) and (not self._held or sum(self._held.values()) + self._tasks[0].size <= self._room)

    def _read(self, task: embed.Task) -> None:
        file = embed.read(task)
        if task.twins:
            # Not a thread's time any more: the answer of the coordinator may take a while.
            self.began.pop(task.image_id, None)
            self._events.put(("read", file))
        else:
            self._load(file)

    def _load(self, file: embed.Read) -> None:
        with self._decoding:
            # Waiting for one's turn is not hanging.
            self.began[file.task.image_id] = time.monotonic()
            loaded = embed.load(file, self._encoder, self._limits)
        self.forget(loaded.image_id)
        self._events.put(("loaded", loaded))
