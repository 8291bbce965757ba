"""
Embeddings of queries for many requests at the same time.

Owns batching and the cache: texts that arrive while the model is busy are encoded together, and recent ones are not encoded again.
"""

import asyncio
import collections
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import source
from pixfind.search.encoders import Encoders, ModelOwner
from pixfind.worker.decoders import DecoderPool

_MAX_TEXTS = 4_096
_MAX_FILES = 64
"""Cached, because each further page of hits for an uploaded picture needs its embedding again."""

_MAX_BATCH = 32
"""Texts in a batch: small, so that a large model on a small machine does not delay a query by seconds."""


class BatchedEncoder(Encoders):
    """The encoders of a library, shared by its searchers. Call `ready` and `file_ready` on the event loop, the rest from any thread."""

    def __init__(self, library: ModelOwner, decoders: DecoderPool) -> None:
        super().__init__(library)
        self._decoders = decoders
        self.batches = 0
        self.encoded = 0
        """texts that the model has encoded"""
        self._texts: collections.OrderedDict[str, NDArray[float32]] = collections.OrderedDict()
        self._text_lock = threading.Lock()
        self._files: collections.OrderedDict[bytes, NDArray[float32]] = collections.OrderedDict()
        self._file_lock = threading.Lock()
        self._file_threads = ThreadPoolExecutor(decoders.count, thread_name_prefix="pictures")
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="texts")

    @property
    def waiting(self) -> int:
        """Texts that are queued or being encoded."""
        return len(self._waiting)

    async def ready(self, texts: Sequence[str]) -> None:
        """Return once all these texts are in the cache; raises what the model raises."""
        missing = [text for text in texts if text not in self._texts]
        if not missing:
            return
        loop = asyncio.get_running_loop()
        waiting = [self._waiting.setdefault(text, loop.create_future()) for text in missing]
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._encode_pending())
        # Shielded: a client that disconnects must not cancel a text that others wait for.
        await asyncio.gather(*(asyncio.shield(future) for future in waiting))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[float32]:
        """Return unit rows [n, d], from the cache where they are in it; raises what the model raises."""
        with self._text_lock:
            known = {text: self._texts[text] for text in texts if text in self._texts}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(zip(missing, super().encode_texts(missing), strict=True))
            self.batches += 1
            self.encoded += len(missing)
        with self._text_lock:
            for text, vector in known.items():
                self._texts[text] = vector
                self._texts.move_to_end(text)
            while len(self._texts) > _MAX_TEXTS:
                self._texts.popitem(last=False)
        return np.array([known[text] for text in texts], dtype=float32)

    async def file_ready(self, data: bytes) -> NDArray[float32]:
        """Return the unit row [d] of an image file's bytes, and cache it for `encode_file`; raises as that."""
        return await asyncio.get_running_loop().run_in_executor(self._file_threads, self.encode_file, data)

    def encode_file(self, data: bytes) -> NDArray[float32]:
        """
        Return the unit row [d] of an image file's bytes, from the cache where it is in it; another process decodes them.

        Raises ImageProblem, UploadTooLarge, DecodingFailed.
        """
        content = source.content_hash(data)
        with self._file_lock:
            if (vector := self._files.get(content)) is not None:
                return vector
        # Without the lock: a picture that hangs its decoder must not hold up others.
        try:
            prepared = self._decoders.prepare(data, self.image().preprocessing)
        except errors.TooLarge as error:
            raise errors.UploadTooLarge(**error.fields) from error
        # With it, because an encoder is not thread-safe.
        with self._file_lock:
            encoded: NDArray[float32] = self.encode_prepared([prepared])[0]
            self._files[content] = encoded
            while len(self._files) > _MAX_FILES:
                self._files.popitem(last=False)
        return encoded

    def close(self) -> None:
        """End the threads; queued texts are cancelled."""
        self._thread.shutdown(cancel_futures=True)
        self._file_threads.shutdown(cancel_futures=True)
        super().close()

    async def _encode_pending(self) -> None:
        """Encode queued texts in batches until the queue is empty."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = list(self._waiting)[:_MAX_BATCH]
            failed: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self.encode_texts, batch)
            except Exception as error:  # noqa: BLE001  raised again in each request that waits for one of these texts
                failed = error
            for text in batch:
                _settle(self._waiting.pop(text), failed)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
