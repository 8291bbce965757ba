"""
The encoders that queries of one library need, loaded when they are first used.

Must not know queries or the index.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy import float16, float32, uint8
from numpy.typing import NDArray

from pixfind import errors
from pixfind.library.library import ModelIdentity
from pixfind.models import hub, text_source
from pixfind.models.encoders import ImageEncoder, TextEncoder, open_image_encoder, open_text_encoder
from pixfind.models.files import ModelFiles

if TYPE_CHECKING:
    from PIL import Image

_MAX_PIXELS = 200_000_000


class ModelOwner(Protocol):
    """What a model belongs to: a library, or a collection of them."""

    @property
    def path(self) -> Path:
        """Where it lies, for messages."""

    def model(self) -> ModelIdentity | None:
        """Return the model; None before anything was embedded."""

    def remember_model(self, model: ModelIdentity) -> None:
        """Raise OtherModel where this is another model."""


class Encoders:
    """The text and the image encoder of a library's model. Thread-safe, but each encoder runs one call at a time."""

    def __init__(self, library: ModelOwner) -> None:
        self.owner = library
        self._text: TextEncoder | None = None
        self._image: ImageEncoder | None = None
        self._lock = threading.Lock()
        self.loading_seconds = 0.0
        """spent on loading encoders so far"""

    def close(self) -> None:
        """Give back what belongs to these encoders alone; they are not used any more."""
        with self._lock:
            self._text = self._image = None

    def text(self) -> TextEncoder:
        """Return the text encoder; raises NotEmbedded, and what fetching or loading the model raises."""
        with self._lock:
            if self._text is None:
                with self._measured():
                    self._text = self._open_text()
            return self._text

    def use_full_text(self) -> bool:
        """
        Replace the text encoder of this machine, where it is in half precision, by the full one; return whether it was.

        Downloads the full one. Raises as `text`.
        """
        # Where none is here, nothing is replaced: it would be downloaded for that alone, or refused to an offline machine.
        if not (text_source.is_here(self._model().name) and self.text_files().has_half_text):
            return False
        with self._lock:
            self._text = self._open_full_text()
        return True

    @contextlib.contextmanager
    def _measured(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.loading_seconds += time.perf_counter() - began

    def _open_text(self) -> TextEncoder:
        found = self.text_files()
        try:
            return open_text_encoder(found)
        except errors.InvalidModelFile:
            if not found.has_half_text:
                raise
            return self._open_full_text()

    def _open_full_text(self) -> TextEncoder:
        # Once it is here it is the one that `text_source` takes.
        return open_text_encoder(self._checked(text_source.resolve(self._model().name, precision="fp32").value))

    def image(self) -> ImageEncoder:
        """Return the image encoder in the precision of the library; raises as `text`."""
        with self._lock:
            if self._image is None:
                model = self.owner.model()
                precision = model.precision if model else "auto"
                with self._measured():
                    self._image = open_image_encoder(self.files(), precision=precision)
            return self._image

    @property
    def dimension(self) -> int:
        """Numbers in one embedding; raises NotEmbedded."""
        return self._model().dimension

    def encode_texts(self, texts: Sequence[str]) -> NDArray[float32]:
        """Return unit rows [n, d] of some texts; raises as `text`."""
        return self.text().encode(texts)

    def lists_words(self) -> bool:
        """Tell whether the model has a list of the words that it knows."""
        return self.text().lists_words

    def unknown(self, text: str) -> bool:
        """Tell whether the model knows no word of the text."""
        return self.text().unknown(text)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words of the text that the model does not know."""
        return self.text().unknown_words(text)

    def encode_file(self, data: bytes) -> NDArray[float32]:
        """Return the unit row [d] of the bytes of an image file; raises ImageProblem, and as `image`."""
        from pixfind.images import decode

        decoded = decode.decode(data, limits=decode.Limits(_MAX_PIXELS), shortest_side=self.image().decode_side)
        row: NDArray[float32] = self.encode_images([decoded.image])[0]
        return row

    def encode_images(self, images: "Sequence[Image.Image]") -> NDArray[float32]:
        """Return unit rows [n, d] of upright pictures; raises NotFinite, and as `image`."""
        return self.encode_prepared([self.image().prepare(image) for image in images])

    def encode_prepared(self, prepared: Sequence[NDArray[uint8]]) -> NDArray[float32]:
        """Return unit rows [n, d] of pictures that went through `ImageEncoder.prepare`; raises as `encode_images`."""
        encoder = self.image()
        return unit_rows(encoder.finish(encoder.forward(prepared)))

    def text_files(self) -> ModelFiles:
        """Return the files of the text encoder, downloaded where they are missing; raises as `files`."""
        return self._checked(text_source.resolve(self._model().name).value)

    def files(self) -> ModelFiles:
        """Return the files of the image encoder, downloaded where they are missing; raises NotEmbedded, and OtherModel when they differ from those of the library."""
        return self._checked(hub.resolve(self._model().name))

    def _model(self) -> ModelIdentity:
        model = self.owner.model()
        if model is None:
            raise errors.NotEmbedded(path=self.owner.path)
        return model

    def _checked(self, files: ModelFiles) -> ModelFiles:
        model = self._model()
        if files.hash and files.hash != model.hash:
            # The files of a model folder were replaced: texts of one model would be compared with images of another.
            self.owner.remember_model(ModelIdentity(files.name, files.hash, files.dimension, model.precision))
        return files


def unit_rows(rows: NDArray[float16] | NDArray[float32]) -> NDArray[float32]:
    """Return rows [..., d] as float32 of unit length: rounding to float16 changes the length, and a score should be a cosine."""
    wide: NDArray[float32] = rows.astype(float32)
    lengths: NDArray[float32] = np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), float32(1e-12))
    return wide / lengths
