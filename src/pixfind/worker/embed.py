"""
One batch: from files to unit rows.

`read`, `load` and `embed` are plain functions; threads, processes and clusters only carry them.
Must not know of the catalogue, of messages, or where the rows go next (`pipeline` saves them).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import decode, source
from pixfind.images.pixels import Pixels
from pixfind.models.encoders import ImageEncoder
from pixfind.types import Fingerprint, ImageMetadata, ImageRef

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image, ready for the model."""

    image_id: int
    pixels: Pixels
    fingerprint: Fingerprint
    metadata: ImageMetadata
    seconds: tuple[float, float]
    """(reading, decoding)"""
    fetched: bool = False
    """its file came from the library's machine"""


@dataclass(frozen=True, slots=True)
class Read:
    """One image's bytes, not decoded yet."""

    image: ImageRef
    original: source.Original
    seconds: float
    """that reading took"""
    side: ImageMetadata | None = None
    """date and place that a file beside it tells; None: nobody has looked yet"""


class Preparer(Protocol):
    """What makes decoded pictures ready: an image encoder, or a reader of text."""

    decode_side: int
    """shortest side, pixels, to which pictures need to be decoded at least"""

    def prepare(self, image: "Image.Image") -> NDArray[np.uint8]:
        """Return pixels [h, w, 3] of an upright picture. Thread-safe."""


def read(image: ImageRef) -> Read:
    """Read the file of an image; raises ImageProblem, among them ModifiedSinceScan when it is not what was registered."""
    began = time.perf_counter()
    original = source.read(image.path)
    check_version(image, original.fingerprint)
    return Read(image, original, time.perf_counter() - began)


def check_version(image: ImageRef, found: Fingerprint) -> None:
    """Raise ModifiedSinceScan when what was read of an image is not what was registered."""
    if (image.size, image.mtime_ns) not in ((found.size, found.mtime_ns), source.UNKNOWN):
        raise errors.ModifiedSinceScan(size=found.size, mtime_ns=found.mtime_ns)


def load(file: Read, encoder: Preparer, limits: decode.Limits) -> Loaded:
    """Decode what was read and prepare it with `encoder`: pixels [h, w, 3] uint8; raises ImageProblem."""
    began = time.perf_counter()
    decoded = decode.decode(file.original.data, limits=limits, shortest_side=encoder.decode_side)
    pixels = encoder.prepare(decoded.image)
    seconds = (file.seconds, time.perf_counter() - began)
    if file.side is None:
        metadata = source.completed(file.image.path, decoded.metadata)
    else:
        metadata = decoded.metadata.with_facts_of(file.side)
    fetched = file.side is not None
    return Loaded(file.image.image_id, pixels, file.original.fingerprint, metadata, seconds, fetched)


def embed(encoder: ImageEncoder, batch: Sequence[Pixels]) -> tuple[NDArray[np.float16], set[int]]:
    """
    Return the unit-length rows [m, d] float16 of n prepared images [h, w, 3] uint8, and the positions in the batch that got none.

    An image for which the model gives something other than numbers is left out; raises NotFinite when that is so for all of several.
    """
    # A picture alone goes through the model beside itself: ONNX Runtime multiplies a single row in another order than several, and the last bit would
    # depend on how many pictures were left.
    raw = encoder.forward(batch) if len(batch) > 1 else encoder.forward([*batch, *batch])[:1]
    try:
        return encoder.finish(raw), set()
    except errors.NotFinite as error:
        bad = set(error.fields["rows"])
        if len(bad) == len(batch) > 1:
            raise
        good = [position for position in range(len(batch)) if position not in bad]
        return encoder.finish(raw[good]), bad
