"""
Loaded encoders: from pictures and texts to embeddings of unit length.

Owns the interface. Must not know the hub, batching, or the library on disk; `engines` chooses what runs a model.
An image encoder has three steps: `prepare` (CPU, any thread), `forward` (device, one thread) and `finish` (CPU).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import engines, preprocess, vocabulary
from pixfind.models import tokenizer as texts
from pixfind.models.files import ModelFiles
from pixfind.models.preprocess import Preprocessing
from pixfind.types import Choice

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageEncoder", "TextEncoder", "open_image_encoder", "open_text_encoder"]


class ImageEncoder(Protocol):
    """A loaded image encoder with its preprocessing."""

    dimension: int
    device: str
    """the device that runs it: cpu, cuda, ...; never auto"""
    precision: str
    """fp32, int8, bf16, or the name of one quantisation for OpenVINO; never auto"""
    engine: Choice[str]
    """the library that runs it, and why it was chosen in this precision"""
    preprocessing: Preprocessing
    """what `prepare` does: another process can do it too"""
    decode_side: int
    """shortest side, pixels, to which pictures need to be decoded at least; larger ones give the same embedding"""

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        """Return [h, w, 3] of an upright picture, resized and cropped. Thread-safe."""

    def forward(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return [n, dimension] raw embeddings of prepared pictures. One thread at a time."""

    def finish(self, raw: NDArray[np.float32]) -> NDArray[np.float16]:
        """Return float16 rows [n, dimension] of unit length; raises NotFinite, with the invalid rows in `fields["rows"]`."""


class TextEncoder(Protocol):
    """A loaded text encoder and its tokenizer."""

    dimension: int
    device: str
    precision: str
    engine: Choice[str]
    lists_words: bool
    """whether it has a list of the words that the model knows; only the starter has"""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, dimension] rows of unit length."""

    def unknown(self, text: str) -> bool:
        """Tell whether no word of the text is known to the model; False for all models but the starter."""

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words of the text that the model does not know; none for all models but the starter."""


def open_image_encoder(
    files: ModelFiles, *, threads: int = 0, precision: str = "auto", device: str = "auto"
) -> ImageEncoder:
    """
    Load the image encoder.

    `threads` 0 lets the engine choose. Raises InvalidModelFile, DeviceUnavailable, PrecisionUnavailable, ExtraNotInstalled.
    """
    return _Images(files, threads=threads, precision=precision, device=device)


def open_text_encoder(
    files: ModelFiles, *, threads: int = 0, precision: str = "auto", device: str = "auto"
) -> TextEncoder:
    """Load the text encoder and the tokenizer; raises as open_image_encoder."""
    return _Texts(files, threads=threads, precision=precision, device=device)


class _Images:
    def __init__(self, files: ModelFiles, *, threads: int, precision: str, device: str) -> None:
        self._name = files.name
        self.preprocessing = preprocess.load(files)
        self._tower, self.engine = engines.open_image(
            files, self.preprocessing, threads=threads, precision=precision, device=device
        )
        self.dimension = files.dimension
        self.device = self._tower.device
        self.precision = self._tower.precision
        self.decode_side = self.preprocessing.decode_side
        side = self.preprocessing.side
        _check_rows(self.forward([np.zeros((side, side, 3), dtype=np.uint8)]), files, files.names.vision)

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        return self.preprocessing.apply(image)

    def forward(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self._tower.run(np.stack(batch))

    def finish(self, raw: NDArray[np.float32]) -> NDArray[np.float16]:
        return _unit(raw, self._name, self.precision).astype(np.float16)


class _Texts:
    def __init__(self, files: ModelFiles, *, threads: int, precision: str, device: str) -> None:
        self._name = files.name
        self._tower, self.engine = engines.open_text(files, threads=threads, precision=precision, device=device)
        self._tokens = texts.load(files, self._tower.context)
        self._vocabulary = vocabulary.load(files.directory)
        self.lists_words = self._vocabulary is not None
        self.dimension = files.dimension
        self.device = self._tower.device
        self.precision = self._tower.precision
        self._check(files)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return _unit(self._tower.run(self._tokens.encode(texts)), self._name, self.precision)

    def unknown(self, text: str) -> bool:
        return self._vocabulary is not None and not self._vocabulary.knows(text)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return () if self._vocabulary is None else self._vocabulary.unknown_words(text)

    def _check(self, files: ModelFiles) -> None:
        """Run the encoder once on the tokenizer's last token, to detect the tokenizer of another model here and not in a search."""
        ids = np.full((1, self._tokens.context), self._tokens.largest_id, dtype=np.int64)
        try:
            rows = self._tower.run(texts.Tokens(ids=ids, mask=np.ones_like(ids)))
        except errors.InvalidModelFile as error:
            detail = f"its token {self._tokens.largest_id} does not fit {files.names.text} ({error.fields['detail']})"
            raise errors.InvalidModelFile(path=files.path(files.names.tokenizer), detail=detail) from error
        _check_rows(rows, files, files.names.text)


def _check_rows(rows: NDArray[np.float32], files: ModelFiles, file: str) -> None:
    if rows.shape != (1, files.dimension):
        detail = f"it gives {list(rows.shape)} for one input, but the configuration says [1, {files.dimension}]"
        raise errors.InvalidModelFile(path=files.path(file), detail=detail)


def _unit(raw: NDArray[np.float32], name: str, precision: str) -> NDArray[np.float32]:
    norms: NDArray[np.float64] = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
    good = np.isfinite(norms) & (norms > 0)
    if not good.all():
        raise errors.NotFinite(name=name, precision=precision, rows=np.flatnonzero(~good).tolist())
    rows: NDArray[np.float32] = (raw / norms).astype(np.float32)
    return rows
