"""
The images that wait to be assigned: one partition of the catalogue's pending images for each worker, and those that are tried again.

Owns the order in which images are handed out. Must not know what becomes of them.
"""

import collections
from collections.abc import Iterable

from pixfind.library.library import Library
from pixfind.types import ImageRef

_CHUNK = 1024
"""images read from the catalogue at a time"""


class Partition:
    """The pending images with `id % partitions == number`, read from the catalogue a chunk at a time."""

    def __init__(self, library: Library, number: int, partitions: int) -> None:
        self.left = library.catalogue.count_pending(part=number, parts=partitions)
        """images not taken yet"""
        self._library = library
        self._number = number
        self._partitions = partitions
        self._chunk: collections.deque[ImageRef] = collections.deque()
        self._after = 0

    def take(self, count: int) -> list[ImageRef]:
        """Return up to `count` images, fewer at the end of a chunk, and none when nothing is left."""
        if not self._chunk and self.left:
            chunk = self._library.catalogue.pending(
                part=self._number, parts=self._partitions, after=self._after, limit=_CHUNK
            )
            self._chunk.extend(chunk)
            self._after = chunk[-1].image_id if chunk else self._after
            self.left = self.left if chunk else 0
        taken = [self._chunk.popleft() for _ in range(min(count, len(self._chunk)))]
        self.left = max(0, self.left - len(taken))
        return taken


class PendingImages:
    """All images of a run that no worker has been assigned."""

    def __init__(self, library: Library, workers: int) -> None:
        self._partitions = [Partition(library, number, workers) for number in range(workers)]
        self._retries: collections.deque[ImageRef] = collections.deque()

    def __len__(self) -> int:
        return len(self._retries) + sum(partition.left for partition in self._partitions)

    def retry(self, images: Iterable[ImageRef]) -> None:
        """Hand these out again, before all others."""
        self._retries.extend(images)

    def take(self, worker: int, count: int) -> list[ImageRef]:
        """Return up to `count` images: those to retry, then the worker's own partition, then what is left in the largest others."""
        images = [self._retries.popleft() for _ in range(min(count, len(self._retries)))]
        own = self._partitions[worker]
        others = sorted((other for other in self._partitions if other is not own), key=lambda other: -other.left)
        for partition in (own, *others):
            while partition.left and len(images) < count:
                taken = partition.take(count - len(images))
                images += taken
                if not taken:
                    break
        return images
