"""
Embeddings of the built-in queries: made once for each model, then read from the cache.

A full-size text encoder needs some 20 s of processor time for them, and each new index needs them.
"""

import contextlib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.models import cache, files, text_source
from pixfind.models.encoders import TextEncoder
from pixfind.search import calibration
from pixfind.search.encoders import Encoders
from pixfind.storage import disk, npz


@dataclass(frozen=True, slots=True)
class ReferenceEmbeddings:
    """The built-in queries of which the model knows a word, as its text encoder embeds them."""

    reference: NDArray[float32]
    """[r, d] unit rows: everyday things"""
    negative: NDArray[float32]
    """[n, d] unit rows: phrases that match no picture"""
    key: str = ""
    """changes with the text encoder and with the queries"""


def get(encoders: Encoders) -> ReferenceEmbeddings:
    """Return the embeddings from the cache, else encode the queries; raises what fetching or loading the model raises."""
    found = encoders.text_files()
    key = _key(found)
    path = cache.folder("reference-embeddings", key + ".npz")
    known = _load(path, found.dimension)
    if known is None:
        known = _encode(encoders.text())
        # Where the cache is full or read-only they are made again next time.
        with contextlib.suppress(*disk.FAILURES):
            _save(path, known)
    return replace(known, key=key)


def key_on_this_machine(model: str) -> str | None:
    """Return the `key` of a model whose text encoder is on this machine; None where it is not. Uses no network."""
    try:
        return _key(text_source.resolve(model, offline=True).value)
    except errors.OperationError:
        return None


def _key(found: files.ModelFiles) -> str:
    """Return a name that changes with the text encoder and with the queries."""
    digest = hashlib.sha256(files.text_hash(found).encode())
    for section in ("reference", "negative"):
        digest.update("\n".join(["", section, *calibration.queries(section)]).encode())
    return digest.hexdigest()[:32]


def _encode(encoder: TextEncoder) -> ReferenceEmbeddings:
    # Phrases of which the model knows no word are reported to the user, so their scores never matter.
    reference, negative = (
        [text for text in calibration.queries(section) if not encoder.unknown(text)]
        for section in ("reference", "negative")
    )
    return ReferenceEmbeddings(encoder.encode(reference), encoder.encode(negative))


def _save(path: Path, made: ReferenceEmbeddings) -> None:
    with cache.publishing(path) as temporary:
        np.savez(temporary / path.name, reference=made.reference, negative=made.negative)


def _load(path: Path, dimension: int) -> ReferenceEmbeddings | None:
    """Return what an earlier run saved; None when there is nothing usable."""
    try:
        with path.open("rb") as file:
            arrays = npz.read(file)
        made = ReferenceEmbeddings(arrays["reference"], arrays["negative"])
    except (OSError, KeyError, ValueError):
        return None
    rows = (made.reference, made.negative)
    fits = all(each.ndim == 2 and each.shape[1] == dimension and each.dtype == float32 for each in rows)  # noqa: PLR2004  [n, d]
    return made if fits and all(np.isfinite(each).all() for each in rows) else None
