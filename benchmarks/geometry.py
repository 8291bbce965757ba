"""
Embeddings with the geometry of real ones, made from a seed, in blocks, at any size.

What real image-text models have and independent noise has not, and why it decides what an index is worth:

- images share a direction and lie in clusters: cosines of about 0.5 between images, 0.75 and more within a cluster;
- texts lie far off: a text and the image it describes have a cosine of about 0.3, any other image about 0.2, and
  thousands of images lie within 0.02 of the tenth best;
- variance falls off over the directions of images, and texts are long in directions where images hardly vary.

Knows nothing about pixfind. `python -m benchmarks.geometry` prints these figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import float16, float32
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

_BLOCK = 20_000


@dataclass(frozen=True, slots=True)
class Geometry:
    """One made-up model: its directions and its clusters. Equal seeds give equal embeddings."""

    seed: int
    image_centre: NDArray[float32]
    text_centre: NDArray[float32]
    spectrum: NDArray[float32]
    basis: NDArray[float32]
    clusters: NDArray[float32]

    def images(self, count: int, block: int = 0) -> NDArray[float32]:
        """Unit rows [count, d]; each block number gives other images."""
        random = np.random.default_rng((self.seed, 1, block))
        members = self.clusters[self._members(random, count)]
        return _unit(0.68 * self.image_centre + 0.42 * members + 0.60 * self._directions(random, count))

    def texts(self, count: int, block: int = 0) -> NDArray[float32]:
        """Unit rows [count, d] that describe images of some cluster."""
        random = np.random.default_rng((self.seed, 2, block))
        members = self.clusters[self._members(random, count)]
        return self._text(random, 0.13 * members + 0.18 * self._directions(random, count))

    def texts_of_nothing(self, count: int, block: int = 0) -> NDArray[float32]:
        """Unit rows [count, d] of texts that no image shows."""
        random = np.random.default_rng((self.seed, 3, block))
        return self._text(random, 0.05 * self._directions(random, count))

    def blocks(self, count: int, part: int = 0) -> Iterator[NDArray[float16]]:
        """`count` images as they would be stored, a block at a time; each part has other images."""
        for number, start in enumerate(range(0, count, _BLOCK)):
            yield self.images(min(_BLOCK, count - start), number + 1_000 * (1 + 1_000 * part)).astype(float16)

    def _text(self, random: np.random.Generator, meaning: NDArray[float32]) -> NDArray[float32]:
        private = random.standard_normal(meaning.shape, dtype=float32) / np.sqrt(float32(meaning.shape[1]))
        return _unit(0.70 * self.text_centre + 0.24 * self.image_centre + meaning + 0.60 * private)

    def _directions(self, random: np.random.Generator, count: int) -> NDArray[float32]:
        rows = random.standard_normal((count, len(self.spectrum)), dtype=float32) * self.spectrum
        return _unit(rows) @ self.basis

    def _members(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        weights = 1 / np.arange(1, len(self.clusters) + 1) ** 0.7
        return random.choice(len(self.clusters), count, p=weights / weights.sum())


def geometry(dimension: int = 512, clusters: int = 4_000, seed: int = 0) -> Geometry:
    """Draw a model: directions whose variance falls as 1/i, and clusters, a few large and many small."""
    random = np.random.default_rng((seed, 0))
    basis, _ = np.linalg.qr(random.standard_normal((dimension, dimension)))
    spectrum = (np.arange(1, dimension + 1) ** -0.5).astype(float32)
    centres = _unit(random.standard_normal((2, dimension)).astype(float32))
    rows = random.standard_normal((clusters, dimension), dtype=float32) * spectrum
    return Geometry(seed, centres[0], centres[1], spectrum, basis.astype(float32), _unit(rows) @ basis.astype(float32))


def save(made: Geometry, count: int, path: Path) -> NDArray[float16]:
    """Write `count` images to an .npy file and return it as a memory map."""
    array = open_memmap(path, mode="w+", dtype=float16, shape=(count, len(made.spectrum)))
    start = 0
    for block in made.blocks(count):
        array[start : start + len(block)] = block
        start += len(block)
    array.flush()
    loaded: NDArray[float16] = np.load(path, mmap_mode="r")
    return loaded


def _unit(rows: NDArray[float32]) -> NDArray[float32]:
    unit: NDArray[float32] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit.astype(float32)


def main() -> None:
    made = geometry()
    rows = np.concatenate([made.images(_BLOCK, block) for block in range(5)])
    queries = {"image": made.images(100, 99), "text": made.texts(100), "text of nothing": made.texts_of_nothing(100)}
    for name, vectors in queries.items():
        scores = np.sort(vectors @ rows.T, axis=1)
        print(
            f"{name:16} to {len(rows):,} images: mean {scores.mean():.3f}, spread {scores.std(axis=1).mean():.3f}, "
            f"best {scores[:, -1].mean():.3f}, tenth {scores[:, -10].mean():.3f}, 500th {scores[:, -500].mean():.3f}"
        )


if __name__ == "__main__":
    main()
