"""
The background: what scores mean on one library with one model.

Owns the built-in queries (background.txt: everyday things, and phrases that no picture shows) and the calibration made
from them, data/background.npz. Derived; rebuilt with the index. Must not know files of models or SQLite.

A cosine of 0.27 is much for one text and little for another, and its meaning changes with the model and the pictures. So
a score is told in other words: by how many spreads it lies above what this text scores on this library, after taking
away what every text scores. Both follow from the mean and the covariance of the embeddings, without a scan.

Where nearly every picture shows a beach, "beach" is not unusual, and right all the same. So a score is also compared along the other axis:
by how many spreads it lies above what everyday texts score on that very picture.

The best hit of a phrase that no picture shows is unusual and fitting to some degree too, and the more so the larger the library: those
degrees are the cut-offs. A hit that exceeds either is worth showing.
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy import float16, float32
from numpy.typing import NDArray

from pixfind.storage import disk

_SAMPLE_ROWS = 50_000
_QUICK_ROWS = 2_000
_TRUSTED = 0.9
"""Share of the phrases that no picture shows whose best hits stay under both cut-offs, at least."""

_FEWEST_ROWS = 50
_FEWEST_PHRASES = 20
_FORMAT = 2
_ARRAYS = ("mean", "covariance", "text", "text_covariance")


@cache
def queries(section: str) -> list[str]:
    """The built-in queries: "everyday" things, or phrases that show "nothing"."""
    text = resources.files("pixfind.search").joinpath("background.txt").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"[{section}]\n")
    return rest.partition("\n\n")[0].splitlines()


@dataclass(frozen=True, slots=True)
class Background:
    """How scores of one model spread over one library."""

    mean: NDArray[float32]
    """[d] of the embeddings"""
    covariance: NDArray[float32]
    """[d, d] of the embeddings"""
    text: NDArray[float32]
    """[d] mean of the everyday texts; zero when there was no text tower"""
    text_covariance: NDArray[float32]
    """[d, d] of the everyday texts; zero when there was no text tower"""
    cutoff: float | None = None
    """how unusual a hit for a text must be to be shown; None when it was never measured"""
    cutoff_fitting: float | None = None
    """... or how fitting; None when it was never measured"""
    model: str = ""
    """hash of the model's files; empty when no texts were measured"""
    rows: int = 0
    """of the embeddings, when this was measured"""

    def spread(self, query: NDArray[float32]) -> float:
        """Standard deviation of a query's scores over the library; never 0."""
        return float(np.sqrt(max(float(query @ self.covariance @ query), 1e-12)))

    def unusual(
        self, query: NDArray[float32], scores: NDArray[float32], rows: NDArray[float16], *, texts: float = 1.0
    ) -> NDArray[float32]:
        """
        How many spreads each hit lies above what this query scores here; comparable between queries.

        `scores` [k] are the cosines of `rows` [k, d]. What any text scores on a row is taken away first, as some
        pictures are near to all texts; `texts` is how many texts the query amounts to (0 for "this but not that").
        """
        own = query - float32(texts) * self.text
        lifted: NDArray[float32] = scores - float32(texts) * (rows.astype(float32) @ self.text)
        unusual: NDArray[float32] = (lifted - float(own @ self.mean)) / self.spread(own)
        return unusual.astype(float32)

    def fitting(self, scores: NDArray[float32], rows: NDArray[float16], *, texts: float = 1.0) -> NDArray[float32]:
        """
        How many spreads each hit lies above what everyday texts score on that very picture; arguments as in `unusual`.

        The spread is that of single texts: a query of several is judged a little too severely, never too mildly.
        """
        wide = rows.astype(float32)
        variance = np.einsum("ij,ij->i", wide @ self.text_covariance, wide)
        lifted: NDArray[float32] = scores - float32(texts) * (wide @ self.text)
        fitting: NDArray[float32] = lifted / np.sqrt(np.maximum(variance, 1e-12))
        return fitting.astype(float32)

    def shows(self, unusual: float, fitting: float) -> bool:
        """Whether a hit is worth showing: as long as nothing was measured, every one is."""
        if self.cutoff is None:
            return True
        return unusual >= self.cutoff or (self.cutoff_fitting is not None and fitting >= self.cutoff_fitting)


Best = Callable[[NDArray[float32]], tuple[NDArray[np.int64], NDArray[float32]]]
"""Unit queries [q, d] to the best few rows [q, k] and scores [q, k]."""


def moments(embeddings: NDArray[float16], *, rows: int = _QUICK_ROWS) -> Background:
    """A background without texts: quick, from a few rows spread evenly."""
    places = np.unique(np.linspace(0, len(embeddings) - 1, min(rows, len(embeddings))).astype(np.int64))
    sample: NDArray[float32] = embeddings[places].astype(float32)
    sample = sample[np.isfinite(sample).all(axis=1)]
    mean: NDArray[float32] = np.zeros(embeddings.shape[1], dtype=float32)
    if len(sample):
        mean = sample.mean(axis=0, dtype=float32)
    centred = sample - mean
    covariance: NDArray[float32] = (centred.T @ centred / max(len(sample), 1)).astype(float32)
    return Background(mean, covariance, np.zeros_like(mean), np.zeros_like(covariance), rows=len(embeddings))


def measure(
    embeddings: NDArray[float16], everyday: NDArray[float32], nothing: NDArray[float32], best: Best, model: str
) -> Background:
    """Calibrate: `everyday` and `nothing` are the built-in queries as the text tower embeds them."""
    centred = everyday - everyday.mean(axis=0)
    made = replace(
        moments(embeddings, rows=_SAMPLE_ROWS),
        text=everyday.mean(axis=0),
        text_covariance=(centred.T @ centred / max(len(everyday), 1)).astype(float32),
        model=model,
    )
    if len(embeddings) < _FEWEST_ROWS or min(len(nothing), len(everyday)) < _FEWEST_PHRASES:
        return made
    tops = [
        _top(made, query, scores[rows >= 0], embeddings[rows[rows >= 0]])
        for query, rows, scores in zip(nothing, *best(nothing), strict=True)
    ]
    # Each cut-off lets half of the untrusted share pass, so that both together let no more pass than all of it.
    cutoffs = np.quantile(tops, (1 + _TRUSTED) / 2, axis=0).tolist()
    return replace(made, cutoff=cutoffs[0], cutoff_fitting=cutoffs[1])


def _top(
    made: Background, query: NDArray[float32], scores: NDArray[float32], rows: NDArray[float16]
) -> tuple[float, float]:
    """How unusual and how fitting the best hits are."""
    return float(made.unusual(query, scores, rows).max()), float(made.fitting(scores, rows).max())


def save(path: Path, made: Background) -> None:
    facts = {name: getattr(made, name) for name in ("cutoff", "cutoff_fitting", "model", "rows")}
    arrays = {name: getattr(made, name) for name in _ARRAYS}
    # In memory first: a failed write leaves NumPy's archive half open, and Python complains of that at its end.
    content = io.BytesIO()
    np.savez(content, facts=np.array(json.dumps({"format": _FORMAT, **facts})), **arrays)
    disk.publish(path, content.getvalue())


def load(path: Path, model: str, dimension: int) -> Background | None:
    """Return what was measured for this model; None when nothing usable is there."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            if facts.pop("format") != _FORMAT or facts["model"] != model:
                return None
            made = Background(**{name: arrays[name] for name in _ARRAYS}, **facts)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError):
        return None
    fits = made.mean.shape == made.text.shape == (dimension,)
    fits = fits and made.covariance.shape == made.text_covariance.shape == (dimension, dimension)
    return made if fits else None
