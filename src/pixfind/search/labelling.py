"""
Labelling: which rows of the embeddings have which label.

Owns the rule, that a label marks what a search for its words shows: whatever passes the cut-offs of `calibration`, or the label's own. Why:
docs/decisions/0034-a-label-is-a-search.md. Must not know files of labels or how they are shown.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy import bool_, float32
from numpy.typing import NDArray

from pixfind import errors, machine
from pixfind.library import labels
from pixfind.library.labels import Label, Marked
from pixfind.library.library import Library
from pixfind.search import calibration, query, query_vector
from pixfind.search.calibration import ScoreCalibration
from pixfind.search.encoders import Encoders
from pixfind.search.query_vector import LibraryImages
from pixfind.search.snapshot import SnapshotCache
from pixfind.types import Progress, no_progress

_BATCH_ROWS: Final = 8_192


@dataclass(frozen=True, slots=True)
class LabelReport:
    """The result of `update`."""

    labels: int
    rows: int
    """of the embeddings that were looked at now; 0 where all were marked already"""
    problem: str | None = None
    """why no row could be looked at"""
    unknown: tuple[str, ...] = ()
    """names of labels of which the model knows no word"""
    undecided: tuple[str, ...] = ()
    """names of labels that have no threshold of their own, in a library in which no cut-off could be measured"""


@machine.all_blas_threads()
def update(
    library: Library, progress: Progress = no_progress, *, encoders: Encoders | None = None
) -> LabelReport | None:
    """
    Mark the rows that are not marked yet, or all where labels or calibration are others than before; None for a library without labels.

    Call it in the lock of the library, after the index was built. The text encoder is loaded only for labels that are new to it. What cannot be done is the
    `problem` of the report: then all labels stay as they are.
    """
    defined = labels.all_labels(library.catalogue)
    if not defined:
        return None
    known = _measured(library)
    if known is None:
        return LabelReport(len(defined), 0, "scores mean nothing here yet: that takes an index and the text encoder")
    try:
        defined = _with_vectors(library, defined, known, encoders)
    except errors.OperationError as error:
        return LabelReport(len(defined), 0, str(error).partition("\n")[0])
    embeddings, before = library.embeddings(), labels.marked(library.catalogue)
    now = Marked(_key(library, defined), len(embeddings))
    first = before.rows if before is not None and before.key == now.key and before.rows <= now.rows else 0
    unknown = tuple(label.definition.name for label in defined if label.vector is None)
    undecided = tuple(label.definition.name for label in defined if not _is_decided(label, known))
    if before != now:
        used = [label for label in defined if label.vector is not None and _is_decided(label, known)]
        pairs = list(_pairs(embeddings, first, used, known, progress))
        labels.mark(library.catalogue, pairs, now, afresh=first == 0)
    return LabelReport(len(defined), now.rows - first, unknown=unknown, undecided=undecided)


def marks(known: ScoreCalibration, used: Sequence[Label], rows: NDArray[float32]) -> NDArray[bool_]:
    """Return [n, l] which of these unit rows [n, d] have which of the labels, all of which have an embedding."""
    vectors = np.array([label.vector for label in used], dtype=float32)
    texts = np.array([label.texts for label in used], dtype=float32)
    query_z, image_z = known.z_scores(vectors, texts, rows)
    shown = np.zeros(query_z.shape, dtype=bool_)
    for z, cutoff in ((query_z, known.query_cutoff), (image_z, known.image_cutoff)):
        if cutoff is not None:
            shown |= z >= cutoff
    own = np.array([np.nan if label.definition.min_z is None else label.definition.min_z for label in used])
    return np.where(np.isnan(own), shown, query_z >= own)


def _is_decided(label: Label, known: ScoreCalibration) -> bool:
    return label.definition.min_z is not None or known.query_cutoff is not None


def _measured(library: Library) -> ScoreCalibration | None:
    model = library.model()
    if model is None or not library.merged_rows:
        return None
    return calibration.load(calibration.path(library.data), model.hash, model.dimension)


def _with_vectors(
    library: Library, defined: list[Label], known: ScoreCalibration, encoders: Encoders | None
) -> list[Label]:
    """Return the labels with the embeddings of their queries by the text encoder that the calibration was measured with."""
    encoder = f"{known.model} {known.text_encoder}"
    missing = [label for label in defined if label.encoder != encoder]
    if not missing:
        return defined
    images, used = LibraryImages(library, SnapshotCache().get(library)), encoders or Encoders(library)
    made = [query_vector.encode(images, used, known, query.parse(label.definition.query)) for label in missing]
    with library.catalogue.transaction():
        for label, one in zip(missing, made, strict=True):
            vector, texts = (None, 1.0) if one.noise or one.texts is None else (one.vector, one.texts)
            labels.set_vector(library.catalogue, label, encoder, vector, texts)
    return labels.all_labels(library.catalogue)


def _key(library: Library, defined: Sequence[Label]) -> str:
    """Return a text that differs where any row may have other labels."""
    measured = calibration.path(library.data).read_bytes()
    written = [[label.id, label.definition.query, label.definition.min_z, label.encoder] for label in defined]
    return hashlib.blake2b(json.dumps(written).encode() + measured, digest_size=16).hexdigest()


def _pairs(
    embeddings: NDArray[np.float16], first: int, used: Sequence[Label], known: ScoreCalibration, progress: Progress
) -> Iterator[tuple[int, int]]:
    """Yield (row, id of the label) for the rows from `first` on."""
    for start in range(first, len(embeddings) if used else first, _BATCH_ROWS):
        stop = min(start + _BATCH_ROWS, len(embeddings))
        having = marks(known, used, embeddings[start:stop].astype(float32))
        for row, place in np.argwhere(having).tolist():
            yield start + row, used[place].id
        progress(stop - first, len(embeddings) - first)
