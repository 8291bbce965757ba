"""
One batch: from files to unit rows.

`read`, `load` and `embed` are plain functions; threads, processes and clusters only carry them.
Must not know of the catalogue, of messages, or where the rows go next (`pipeline` saves them).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import decode, source
from pixfind.images.pixels import Pixels
from pixfind.models.encoders import ImageEncoder
from pixfind.types import Fingerprint, ImageMetadata, ImageRef


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image, ready for the model."""

    image_id: int
    pixels: Pixels
    fingerprint: Fingerprint
    metadata: ImageMetadata
    seconds: tuple[float, float]
    """(reading, decoding)"""


@dataclass(frozen=True, slots=True)
class Read:
    """One image's bytes, not decoded yet."""

    image: ImageRef
    original: source.Original
    seconds: float
    """that reading took"""


def read(image: ImageRef) -> Read:
    """Read the file of an image; raises ImageProblem, among them ModifiedSinceScan when it is not what was registered."""
    began = time.perf_counter()
    original = source.read(image.path)
    fingerprint = original.fingerprint
    if (fingerprint.size, fingerprint.mtime_ns) != (image.size, image.mtime_ns):
        raise errors.ModifiedSinceScan(size=fingerprint.size, mtime_ns=fingerprint.mtime_ns)
    return Read(image, original, time.perf_counter() - began)


def load(file: Read, encoder: ImageEncoder, limits: decode.Limits) -> Loaded:
    """Decode what was read and prepare it for `encoder`: pixels [h, w, 3] uint8; raises ImageProblem."""
    began = time.perf_counter()
    decoded = decode.decode(file.original.data, limits=limits, shortest_side=encoder.decode_side)
    pixels = encoder.prepare(decoded.image)
    seconds = (file.seconds, time.perf_counter() - began)
    metadata = source.completed(file.image.path, decoded.metadata)
    return Loaded(file.image.image_id, pixels, file.original.fingerprint, metadata, seconds)


def embed(encoder: ImageEncoder, batch: Sequence[Pixels]) -> tuple[NDArray[np.float16], set[int]]:
    """
    Return the unit-length rows [m, d] float16 of n prepared images [h, w, 3] uint8, and the positions in the batch that got none.

    An image for which the model gives something other than numbers is left out; raises NotFinite when that is so for all of several.
    """
    raw = encoder.forward(batch)
    try:
        return encoder.finish(raw), set()
    except errors.NotFinite as error:
        bad = set(error.fields["rows"])
        if len(bad) == len(batch) > 1:
            raise
        good = [position for position in range(len(batch)) if position not in bad]
        return encoder.finish(raw[good]), bad
