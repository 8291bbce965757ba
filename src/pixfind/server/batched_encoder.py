"""
Queries to embeddings, for many requests at a time.

Owns the batch and the memory: texts that arrive while the model is at work go through it together, and what was asked for before
costs nothing.
"""

import asyncio
import collections
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy import float32
from numpy.typing import NDArray

from pixfind.images import source
from pixfind.library.library import Library
from pixfind.search.encoders import Encoders

_MAX_TEXTS = 4_096
_MAX_FILES = 64
"""Remembered: somebody scrolls through the hits of one that was uploaded."""

_MAX_BATCH = 32
"""Texts in a batch: a large model on a small machine should not keep anybody waiting for seconds."""


class BatchedEncoder(Encoders):
    """The encoders of a library for all its searchers. `ready` belongs to the event loop, all else to any thread."""

    def __init__(self, library: Library) -> None:
        super().__init__(library)
        self.batches = 0
        self.encoded = 0
        """texts that went through the model"""
        self._remembered: collections.OrderedDict[str, NDArray[float32]] = collections.OrderedDict()
        self._memory_lock = threading.Lock()
        self._pictures: collections.OrderedDict[bytes, NDArray[float32]] = collections.OrderedDict()
        self._picture_lock = threading.Lock()
        self._picture_thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="texts")

    @property
    def waiting(self) -> int:
        """Texts that wait for the model or are in it"""
        return len(self._waiting)

    async def ready(self, texts: Sequence[str]) -> None:
        """Return when all these texts are remembered; raises what the model raises."""
        missing = [text for text in texts if text not in self._remembered]
        if not missing:
            return
        loop = asyncio.get_running_loop()
        waiting = [self._waiting.setdefault(text, loop.create_future()) for text in missing]
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        # Shielded: one client that leaves must not take the others' text with it.
        await asyncio.gather(*(asyncio.shield(future) for future in waiting))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[float32]:
        with self._memory_lock:
            known = {text: self._remembered[text] for text in texts if text in self._remembered}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(zip(missing, super().encode_texts(missing), strict=True))
            self.batches += 1
            self.encoded += len(missing)
        with self._memory_lock:
            for text, vector in known.items():
                self._remembered[text] = vector
                self._remembered.move_to_end(text)
            while len(self._remembered) > _MAX_TEXTS:
                self._remembered.popitem(last=False)
        return np.array([known[text] for text in texts], dtype=float32)

    async def file_ready(self, data: bytes) -> NDArray[float32]:
        """The unit row [d] of one image file, remembered for `encode_file`; raises ImageProblem."""
        return await asyncio.get_running_loop().run_in_executor(self._picture_thread, self.encode_file, data)

    def encode_file(self, data: bytes) -> NDArray[float32]:
        content = source.content_hash(data)
        # One at a time: an encoder takes no two, and two large pictures would take twice the memory.
        with self._picture_lock:
            vector = self._pictures.get(content)
            if vector is None:
                vector = self._pictures[content] = super().encode_file(data)
                while len(self._pictures) > _MAX_FILES:
                    self._pictures.popitem(last=False)
            return vector

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._picture_thread.shutdown(cancel_futures=True)

    async def _work(self) -> None:
        """Encode what waits, until nothing does."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = list(self._waiting)[:_MAX_BATCH]
            failed: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self.encode_texts, batch)
            except Exception as error:  # noqa: BLE001  each request that waits meets it at its own border
                failed = error
            for text in batch:
                _settle(self._waiting.pop(text), failed)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
