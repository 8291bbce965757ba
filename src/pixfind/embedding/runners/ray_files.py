"""
Files for nodes that cannot see them: read on the library's machine and sent, within a bound of memory.

Owns that bound and the threads that read. Must not know Ray, or how a message is sent.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from pixfind.types import ImageRef
from pixfind.worker import files
from pixfind.worker.protocol import Content, ToWorker

BOUND = 64 * 2**20
"""bytes of files that have been read here and have not arrived at their nodes; a single larger one goes alone"""

_READERS = 4
_UNKNOWN_BYTES = 16 * 2**20


class FileSender:
    """Reads files for workers elsewhere."""

    def __init__(self, bound: int = BOUND) -> None:
        """`bound`: bytes that are on their way at most."""
        self._bound = bound
        self._on_the_way = 0
        self._changed = threading.Condition()
        self._closed = False
        self._threads = ThreadPoolExecutor(_READERS, "files")

    def ask(self, image: ImageRef, send: Callable[[Content], bool]) -> None:
        """Read the file of an image once there is room for it, and `send` it, which returns whether it is on its way."""
        self._threads.submit(self._read, image, send)

    def arrived(self, messages: Iterable[ToWorker]) -> None:
        """Take note that these messages take no memory here any more."""
        self._give_back(sum(len(message.data) for message in messages if isinstance(message, Content)))

    def close(self) -> None:
        """Read nothing any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._threads.shutdown(cancel_futures=True)

    def _read(self, image: ImageRef, send: Callable[[Content], bool]) -> None:
        expected = _UNKNOWN_BYTES if image.size < 0 else image.size
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._fits(expected))
            if self._closed:
                return
            self._on_the_way += expected
        content = files.content_of(image)
        self._give_back(expected - len(content.data))
        if not send(content):
            self.arrived([content])

    def _fits(self, size: int) -> bool:
        return not self._on_the_way or self._on_the_way + size <= self._bound

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._on_the_way -= size
            self._changed.notify_all()
