"""
One batch: from files to unit rows.

`read`, `load` and `embed` are plain functions; threads, processes and clusters only carry them.
Must not know of the catalogue, of workers, or where the rows go next (`worker` saves them, `search` asks with them).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixfind import errors
from pixfind.images import decode, source
from pixfind.models.encoders import ImageEncoder
from pixfind.types import Facts, Fingerprint, Pixels


@dataclass(frozen=True, slots=True)
class Task:
    """One image to embed, as the catalogue knows it."""

    image_id: int
    path: str
    size: int
    mtime_ns: int
    twins: bool = False
    """another file has the same size: ask before embedding it"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image, ready for the model."""

    image_id: int
    pixels: Pixels
    fingerprint: Fingerprint
    facts: Facts
    seconds: tuple[float, float]
    """(reading, decoding)"""


@dataclass(frozen=True, slots=True)
class Read:
    """One image's bytes, not decoded yet."""

    task: Task
    original: source.Original
    seconds: float


def read(task: Task) -> Read:
    """Read the file of a task; raises ImageProblem, among them ChangedSince when it is not what was registered."""
    began = time.perf_counter()
    original = source.read(task.path)
    fingerprint = original.fingerprint
    if (fingerprint.size, fingerprint.mtime_ns) != (task.size, task.mtime_ns):
        raise errors.ChangedSince(size=fingerprint.size, mtime_ns=fingerprint.mtime_ns)
    return Read(task, original, time.perf_counter() - began)


def load(file: Read, encoder: ImageEncoder, limits: decode.Limits) -> Loaded:
    """Decode and prepare what was read; raises ImageProblem."""
    began = time.perf_counter()
    decoded = decode.decode(file.original.data, limits=limits, shortest_side=encoder.decode_side)
    pixels = encoder.prepare(decoded.image)
    seconds = (file.seconds, time.perf_counter() - began)
    return Loaded(file.task.image_id, pixels, file.original.fingerprint, decoded.facts, seconds)


def embed(encoder: ImageEncoder, batch: Sequence[Pixels]) -> tuple[NDArray[np.float16], set[int]]:
    """
    Return the unit rows [m, d] of n prepared pictures [h, w, 3] uint8, and the places in the batch that got none.

    A picture for which the model gives no numbers is left out; raises NotFinite when it gives none for any of several.
    """
    raw = encoder.forward(batch)
    try:
        return encoder.finish(raw), set()
    except errors.NotFinite as error:
        bad = set(error.fields["rows"])
        if len(bad) == len(batch) > 1:
            raise
        good = [place for place in range(len(batch)) if place not in bad]
        return encoder.finish(raw[good]), bad
