"""
What a worker does to an image: embed it, or read the text in it.

Owns both kinds of work behind one interface. `pipeline` carries them: it assigns, throttles, reports, and knows neither embeddings nor text.
Must not know messages to or from the coordinator, but for the texts that travel in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models.encoders import ImageEncoder
from pixfind.models.readers import TextReader
from pixfind.types import EmbeddedImage, ReadText
from pixfind.worker import embed
from pixfind.worker.sink import Sink


@dataclass(slots=True)
class Results:
    """What images have become since the last save."""

    images: list[EmbeddedImage] = field(default_factory=list)
    embeddings: list[NDArray[np.float16]] = field(default_factory=list)
    """[n, d] for each batch; the rows are those of `images`"""
    texts: list[ReadText] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images) + len(self.texts)


class Work(Protocol):
    """What becomes of prepared images."""

    device: str
    precision: str
    preparer: embed.Preparer
    """what makes pictures ready for it, in any thread"""

    def do(self, batch: Sequence[embed.Loaded], results: Results) -> dict[int, errors.ImageProblem]:
        """Add what becomes of a batch to `results`; return for each position of the batch that has none its problem."""

    def save(self, results: Results) -> None:
        """Make durable what the worker itself has to keep; raises OperationError."""


class EmbedWork:
    """Embeds images, and appends their rows to a sink."""

    def __init__(self, encoder: ImageEncoder, sink: Sink) -> None:
        self.device, self.precision = encoder.device, encoder.precision
        self.preparer: embed.Preparer = encoder
        self._encoder, self._sink = encoder, sink

    def do(self, batch: Sequence[embed.Loaded], results: Results) -> dict[int, errors.ImageProblem]:
        embeddings, without = embed.embed(self._encoder, [loaded.pixels for loaded in batch])
        results.embeddings.append(embeddings)
        results.images += [
            EmbeddedImage(loaded.image_id, loaded.fingerprint, loaded.metadata)
            for position, loaded in enumerate(batch)
            if position not in without
        ]
        return {position: errors.NoEmbedding() for position in without}

    def save(self, results: Results) -> None:
        if results.images:
            self._sink.append(results.images, np.concatenate(results.embeddings))


class ReadWork:
    """Reads the text in images. A text is a few hundred bytes: it travels to the coordinator, who makes it durable."""

    device, precision = "cpu", "fp32"

    def __init__(self, reader: TextReader) -> None:
        self.preparer: embed.Preparer = reader
        self._reader = reader

    def do(self, batch: Sequence[embed.Loaded], results: Results) -> dict[int, errors.ImageProblem]:
        results.texts += [
            ReadText(loaded.image_id, loaded.fingerprint.hash, self._reader.read(loaded.pixels)) for loaded in batch
        ]
        return {}

    def save(self, results: Results) -> None:
        """Nothing: what is not adopted yet is read again."""
