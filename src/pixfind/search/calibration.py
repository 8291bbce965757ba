"""
Score calibration: the distribution of one model's scores on one library.

Owns the built-in queries (calibration_queries.txt: reference queries for everyday things, and negative queries that match no picture) and
the measurements made with them, data/background.npz. Derived; rebuilt with the index. Must not know files of models or SQLite.

A cosine of 0.27 is high for one text and low for another, and its meaning depends on the model and the pictures. So a score is expressed
as two z-scores (standard deviations above a mean), after subtracting the score that any text has on the image:

- `query_z`: among the scores of this query over the library. Mean and variance follow from the mean m and the covariance C of the embeddings,
  without a scan: mean = q.m, variance = q'Cq.
- `image_z`: among the scores of the reference queries on this image. Where nearly every picture shows a beach, the query "beach" has a low
  `query_z` on all of them, although they are right.

The best hits of negative queries have positive z-scores too, which grow with the library; the cut-offs are slightly above them. A hit is
shown if either z-score exceeds its cut-off.
"""

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy import float16, float32
from numpy.typing import NDArray

from pixfind.storage import disk, npz

_SAMPLE_ROWS = 50_000
_QUICK_ROWS = 2_000
_REJECTED_SHARE = 0.9
"""At least this share of the negative queries has no hit above either cut-off."""

_MIN_ROWS = 50
_MIN_QUERIES = 20
_FORMAT = 2

#: key in the file -> field
_FACTS = {
    "cutoff": "query_cutoff",
    "cutoff_fitting": "image_cutoff",
    "clear": "clear_z",
    "model": "model",
    "rows": "rows",
    "text_encoder": "text_encoder",
}
_ARRAYS = ("mean", "covariance", "text", "text_covariance")
_NEGATIVE = "negative_"
"""prefix of the arrays of `NegativeHits` in the file"""


@cache
def queries(section: str) -> list[str]:
    """Return the built-in queries: "reference" (everyday things) or "negative" (phrases that match no picture)."""
    text = Path(__file__).with_name("calibration_queries.txt").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"[{section}]\n")
    return rest.partition("\n\n")[0].splitlines()


@dataclass(frozen=True, slots=True)
class NegativeHits:
    """The best hits of the negative queries: what the cut-offs are measured from, kept so that several libraries can be joined."""

    queries: NDArray[float32]
    """[q, d] unit rows"""
    scores: NDArray[float32]
    """[q, k] of the k best hits, best first; -inf where there are fewer"""
    lifted: NDArray[float32]
    """[q, k] the scores less that of any text on the image; -inf where there are fewer"""
    image_z: NDArray[float32]
    """[q, k]; -inf where there are fewer"""


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """The moments of the scores of one model on one library."""

    mean: NDArray[float32]
    """[d] of the embeddings"""
    covariance: NDArray[float32]
    """[d, d] of the embeddings"""
    text: NDArray[float32]
    """[d] mean of the reference queries; zero when there was no text encoder"""
    text_covariance: NDArray[float32]
    """[d, d] of the reference queries; zero when there was no text encoder"""
    query_cutoff: float | None = None
    """`query_z` from which a hit for a text is shown; None when it was never measured"""
    image_cutoff: float | None = None
    """... or its `image_z`; None when it was never measured"""
    clear_z: float | None = None
    """z-score of the plain scores of a query that the best hit of few negative queries exceeds; None when it was never measured, or by an older version"""
    model: str = ""
    """hash of the model's files; empty when no texts were measured"""
    rows: int = 0
    """of the embeddings, when this was measured"""
    text_encoder: str = ""
    """key of the text encoder and the built-in queries; empty when no texts were measured, or by an older version"""
    negative: NegativeHits | None = None
    """None when no texts were measured, or by an older version"""

    def standard_deviation(self, query: NDArray[float32]) -> float:
        """Return the standard deviation of the scores of a unit query [d] over the library; never 0."""
        return float(np.sqrt(max(float(query @ self.covariance @ query), 1e-12)))

    def clear_score(self, query: NDArray[float32]) -> float:
        """
        Return the score from which an image looks like a unit query [d] beyond doubt: few queries that no picture answers have so high a best hit.

        Where that was not measured it is the best of as many scores as there are rows, if these were normally distributed.
        """
        above = math.sqrt(2 * math.log(max(self.rows, 2))) if self.clear_z is None else self.clear_z
        return float(query @ self.mean) + above * self.standard_deviation(query)

    def query_z(
        self, query: NDArray[float32], scores: NDArray[float32], rows: NDArray[float16], *, texts: float = 1.0
    ) -> NDArray[float32]:
        """
        Return the z-score [k] of each hit among the scores of this query over the library; comparable between queries.

        `scores` [k] are the cosines of `rows` [k, d] with the unit `query` [d]. What any text scores on a row is subtracted first, as some
        images are near to all texts; `texts` is how many texts the query amounts to (0 for "this but not that").
        """
        return self.z_of_lifted(query, scores - float32(texts) * (rows.astype(float32) @ self.text), texts=texts)

    def z_of_lifted(self, query: NDArray[float32], lifted: NDArray[float32], *, texts: float = 1.0) -> NDArray[float32]:
        """Return the z-score of scores from which what any text scores on the image was subtracted; else as `query_z`."""
        own = query - float32(texts) * self.text
        z: NDArray[float32] = (lifted - float(own @ self.mean)) / self.standard_deviation(own)
        return z.astype(float32)

    def image_z(self, scores: NDArray[float32], rows: NDArray[float16], *, texts: float = 1.0) -> NDArray[float32]:
        """
        Return the z-score [k] of each hit among the scores of the reference queries on that image; arguments as in `query_z`.

        The deviation is that of single texts: for a query of several texts the z-score is slightly too low, never too high.
        """
        wide = rows.astype(float32)
        variance = np.einsum("ij,ij->i", wide @ self.text_covariance, wide)
        lifted: NDArray[float32] = scores - float32(texts) * (wide @ self.text)
        z: NDArray[float32] = lifted / np.sqrt(np.maximum(variance, 1e-12))
        return z.astype(float32)

    def z_scores(
        self, queries: NDArray[float32], texts: NDArray[float32], rows: NDArray[float32]
    ) -> tuple[NDArray[float32], NDArray[float32]]:
        """Return `query_z` and `image_z` [n, q] of unit rows [n, d] for several unit queries [q, d], which amount to so many texts [q]."""
        lifted = rows @ queries.T - np.outer(rows @ self.text, texts)
        own = queries - np.outer(texts, self.text)
        spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", own @ self.covariance, own), 1e-12))
        of_images = np.sqrt(np.maximum(np.einsum("ij,ij->i", rows @ self.text_covariance, rows), 1e-12))
        query_z, image_z = (lifted - own @ self.mean) / spread, lifted / of_images[:, None]
        return query_z.astype(float32), image_z.astype(float32)

    def alignment(self) -> float | None:
        """
        Return how much more the images differ along the directions in which texts differ than along any other; None where it cannot be told.

        trace(C T) d / (trace C trace T), of the covariances of images and texts: about 1 where the two encoders have nothing to do with
        each other, several times as much where they were trained together.
        """
        spread = float(np.trace(self.covariance)) * float(np.trace(self.text_covariance))
        if self.rows < _MIN_ROWS or not spread > 0:
            return None
        return float(np.sum(self.covariance * self.text_covariance)) * len(self.mean) / spread

    def above_cutoff(self, query_z: float, image_z: float) -> bool:
        """Tell whether a hit is to be shown; True for all hits while no cut-off was measured."""
        if self.query_cutoff is None:
            return True
        return query_z >= self.query_cutoff or (self.image_cutoff is not None and image_z >= self.image_cutoff)


SearchTop = Callable[[NDArray[float32]], tuple[NDArray[np.int64], NDArray[float32]]]
"""Maps unit queries [q, d] to their best rows [q, k] and scores [q, k]."""


def moments(embeddings: NDArray[float16], *, rows: int = _QUICK_ROWS) -> ScoreCalibration:
    """Return a calibration without texts for unit rows [n, d], from at most `rows` evenly spaced ones."""
    places = np.unique(np.linspace(0, len(embeddings) - 1, min(rows, len(embeddings))).astype(np.int64))
    sample: NDArray[float32] = embeddings[places].astype(float32)
    sample = sample[np.isfinite(sample).all(axis=1)]
    mean: NDArray[float32] = np.zeros(embeddings.shape[1], dtype=float32)
    if len(sample):
        mean = sample.mean(axis=0, dtype=float32)
    centred = sample - mean
    covariance: NDArray[float32] = (centred.T @ centred / max(len(sample), 1)).astype(float32)
    return ScoreCalibration(mean, covariance, np.zeros_like(mean), np.zeros_like(covariance), rows=len(embeddings))


def measure(
    embeddings: NDArray[float16],
    reference: NDArray[float32],
    negative: NDArray[float32],
    best: SearchTop,
    model: str,
    text_encoder: str = "",
) -> ScoreCalibration:
    """Return the calibration for unit rows [n, d]: `reference` [r, d] and `negative` [q, d] are the built-in queries as the text encoder embeds them."""
    centred = reference - reference.mean(axis=0)
    made = replace(
        moments(embeddings, rows=_SAMPLE_ROWS),
        text=reference.mean(axis=0),
        text_covariance=(centred.T @ centred / max(len(reference), 1)).astype(float32),
        model=model,
        text_encoder=text_encoder,
    )
    if min(len(negative), len(reference)) < _MIN_QUERIES:
        return made
    return with_cutoffs(replace(made, negative=_negative_hits(made, negative, embeddings, *best(negative))))


def with_cutoffs(made: ScoreCalibration) -> ScoreCalibration:
    """Return a calibration with the cut-offs that follow from its negative hits; without any where there are too few rows or no such hits."""
    negative = made.negative
    if made.rows < _MIN_ROWS or negative is None:
        return made
    query_z = [made.z_of_lifted(query, row).max() for query, row in zip(negative.queries, negative.lifted, strict=True)]
    tops = np.array([query_z, negative.image_z.max(axis=1)], dtype=float32)
    # Each cut-off lets half of the remaining share pass, so that both together let pass at most all of it (union bound).
    query_cutoff, image_cutoff = np.quantile(tops, (1 + _REJECTED_SHARE) / 2, axis=1).tolist()
    spread = [made.standard_deviation(query) for query in negative.queries]
    clear_z = float(np.quantile((negative.scores[:, 0] - negative.queries @ made.mean) / spread, _REJECTED_SHARE))
    return replace(made, query_cutoff=query_cutoff, image_cutoff=image_cutoff, clear_z=clear_z)


def _negative_hits(
    made: ScoreCalibration,
    queries: NDArray[float32],
    embeddings: NDArray[float16],
    rows: NDArray[np.int64],
    scores: NDArray[float32],
) -> NegativeHits:
    """Return what `rows` and `scores` [q, k], the best hits of the queries [q, d], say about the cut-offs."""
    lifted, image_z = (np.full(scores.shape, -np.inf, dtype=float32) for _ in range(2))
    for place, found in enumerate(rows):
        there = found >= 0
        hits = embeddings[found[there]]
        lifted[place, there] = scores[place, there] - hits.astype(float32) @ made.text
        image_z[place, there] = made.image_z(scores[place, there], hits)
    return NegativeHits(queries, scores, lifted, image_z)


def path(data: Path) -> Path:
    """Return the path of the calibration in a library's data folder."""
    return data / "background.npz"


def save(path: Path, made: ScoreCalibration) -> None:
    """Publish a calibration atomically; raises what `disk.publishing` raises."""
    disk.publish(path, to_bytes(made))


def load(path: Path, model: str, dimension: int) -> ScoreCalibration | None:
    """Return what was measured for this model (hash, dimension); None when there is nothing usable."""
    try:
        made = from_bytes(path.read_bytes(), dimension)
    except OSError:
        return None
    return made if made is not None and made.model == model else None


def to_bytes(made: ScoreCalibration) -> bytes:
    """Return a calibration as an .npz archive."""
    facts = {key: getattr(made, name) for key, name in _FACTS.items()}
    arrays = {name: getattr(made, name) for name in _ARRAYS}
    if made.negative is not None:
        arrays |= {_NEGATIVE + field.name: getattr(made.negative, field.name) for field in fields(NegativeHits)}
    content = io.BytesIO()
    np.savez(content, facts=np.array(json.dumps({"format": _FORMAT, **facts})), **arrays)
    return content.getvalue()


def from_bytes(content: bytes, dimension: int) -> ScoreCalibration | None:
    """Return the calibration in an .npz archive, for embeddings of this dimension; None when it is none. Loads no pickles."""
    try:
        arrays: Mapping[str, Any] = npz.read(io.BytesIO(content))
        facts = json.loads(str(arrays["facts"]))
        if facts.pop("format") != _FORMAT:
            return None
        made = ScoreCalibration(
            **{name: arrays[name] for name in _ARRAYS},
            **{name: facts[key] for key, name in _FACTS.items() if key in facts},
            negative=_negative_in(arrays, dimension),
        )
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    fits = made.mean.shape == made.text.shape == (dimension,)
    fits = fits and made.covariance.shape == made.text_covariance.shape == (dimension, dimension)
    return made if fits else None


def _negative_in(arrays: Mapping[str, NDArray[float32]], dimension: int) -> NegativeHits | None:
    names = [field.name for field in fields(NegativeHits)]
    if any(_NEGATIVE + name not in arrays for name in names):
        return None
    found = NegativeHits(**{name: arrays[_NEGATIVE + name] for name in names})
    fits = found.queries.shape == (len(found.scores), dimension)
    return found if fits and found.scores.shape == found.lifted.shape == found.image_z.shape else None
