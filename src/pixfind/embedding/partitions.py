"""
The images that wait to be assigned: one partition of the catalogue's pending images for each worker, and those that are tried again.

Owns the order in which images are handed out. Must not know what becomes of them.
"""

import collections
from collections.abc import Iterable

from pixfind.embedding.passes import Pass
from pixfind.types import ImageRef


class Partition:
    """One part of the images that wait, read from the catalogue a chunk at a time."""

    def __init__(self, images: Pass, number: int, partitions: int) -> None:
        self.left = images.count(number, partitions)
        """images not taken yet"""
        self._chunks = images.chunks(number, partitions)
        self._chunk: collections.deque[ImageRef] = collections.deque()

    def take(self, count: int) -> list[ImageRef]:
        """Return up to `count` images, fewer at the end of a chunk, and none when nothing is left."""
        if not self._chunk and self.left:
            chunk = next(self._chunks, [])
            self._chunk.extend(chunk)
            self.left = self.left if chunk else 0
        taken = [self._chunk.popleft() for _ in range(min(count, len(self._chunk)))]
        self.left = max(0, self.left - len(taken))
        return taken


class PendingImages:
    """All images of a run that no worker has been assigned."""

    def __init__(self, images: Pass, partitions: int) -> None:
        self._partitions = [Partition(images, number, partitions) for number in range(partitions)]
        self._retries: collections.deque[ImageRef] = collections.deque()

    def __len__(self) -> int:
        return len(self._retries) + sum(partition.left for partition in self._partitions)

    def retry(self, images: Iterable[ImageRef]) -> None:
        """Hand these out again, before all others."""
        self._retries.extend(images)

    def take(self, worker: int, count: int) -> list[ImageRef]:
        """Return up to `count` images: those to retry, then the worker's own partition, then what is left in the largest others. Workers may share a partition."""
        images = [self._retries.popleft() for _ in range(min(count, len(self._retries)))]
        own = self._partitions[worker % len(self._partitions)]
        others = sorted((other for other in self._partitions if other is not own), key=lambda other: -other.left)
        for partition in (own, *others):
            while partition.left and len(images) < count:
                taken = partition.take(count - len(images))
                images += taken
                if not taken:
                    break
        return images
