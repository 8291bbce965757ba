"""
Build the index: choose a kind, make or extend its codes, measure their recall, and publish only what reaches the floor.

Owns the choice and the measurement. Recall is measured on the library's own embeddings, against the exact scan.
Must not know where queries come from or what a row stands for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy import bool_, float16, float32, int64
from numpy.typing import NDArray

from pixfind import machine
from pixfind.errors import IndexFloorMissed
from pixfind.index import faiss_codes
from pixfind.index.exact import TopK, scan
from pixfind.index.header import IndexHeader, IndexKind, misfit, publish, read_header
from pixfind.index.preconditioning import preconditioner
from pixfind.types import numbered

FLOOR = 0.99
"""A file whose recall@10 is below this is never published."""

TARGET = 0.9995
"""The recall@10 for which the number of candidates is chosen."""

EXACT_NUMBERS = 30_000 * 768
"""Rows times dimensions up to which the exact scan takes some 5 ms on one core, so codes are not worth their errors."""

_MIN_ROWS = 1_024
_RERANKS = (100, 200, 350, 500, 700, 1_000, 1_500, 2_500, 5_000)
_DEPTHS = (1_000, 5_000)
"""Candidates that are fetched to choose from _RERANKS: mostly the first number is enough."""
_PROBES = (16, 64, 256, 1_024)
_TRAINING_ROWS = 50_000
_TEXT_QUERIES = 200
_IMAGE_QUERIES = 100
_RETRAIN_GROWTH = 4
_DRIFT = 0.05
"""Share of new rows above which the recall is measured again."""

Progress = Callable[[int, int], None]
"""Called with rows done and rows in total."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The result of `build`."""

    header: IndexHeader
    bytes: int
    seconds: float
    measured_seconds: float
    """of these, spent on measuring the recall"""
    extended: bool
    """whether rows were added to the codes of the previous file"""
    refused: tuple[str, ...]
    """kinds whose recall missed the floor, with that recall"""


@machine.all_blas_threads()
def build(
    embeddings: NDArray[float16],
    path: Path,
    *,
    live: NDArray[bool_] | None = None,
    queries: NDArray[float32] | None = None,
    kind: IndexKind | None = None,
    extend: bool = True,
    progress: Progress | None = None,
) -> IndexReport:
    """
    Make or extend the file for these embeddings ([N, d] float16 unit rows) and publish it by rename.

    `live` (a mask [N]) excludes rows without an image from the samples. `queries` ([q, d] float32 unit rows from the text encoder) are used
    for the preconditioner and to measure the recall. `kind` overrides the choice, `extend=False` trains new codes.
    Raises IndexFloorMissed when the recall of the requested `kind` is below FLOOR. Without `kind` the next kind is tried then; the last one,
    the exact scan, always reaches it. Raises what `header.publish` raises.
    """
    started = time.perf_counter()
    sample = _Sample(embeddings, live, queries)
    refused: list[str] = []
    for each, reason in kinds_to_try(len(embeddings), embeddings.shape[1], kind):
        before = _previous(embeddings, path, each) if extend and not refused else None
        codes, trained_on = _codes_of(embeddings, each, sample, before, progress)
        made = IndexHeader(
            each, "; ".join([reason, *refused]), len(embeddings), embeddings.shape[1], trained_on=trained_on
        )
        made = _measured(made, before and before[1], sample, codes)
        recall = made.recall
        if recall >= FLOOR:
            made, size = publish(path, made, embeddings, lambda to, codes=codes: faiss_codes.write(codes, to))  # type: ignore[misc]
            extended = trained_on < len(embeddings)
            return IndexReport(made, size, time.perf_counter() - started, sample.seconds, extended, tuple(refused))
        refused.append(f"{each} found {recall:.4f} of the best ten, below the floor of {FLOOR}")
    raise IndexFloorMissed(kind=each, recall=recall, floor=FLOOR)


def _measured(made: IndexHeader, before: IndexHeader | None, sample: "_Sample", codes: Any) -> IndexHeader:
    """Return the header with its recall: measured now, or taken from the extended file while few rows are new."""
    if (
        before is None
        or made.rows > before.measured_on * (1 + _DRIFT)
        or (before.recall_text is None and sample.has_texts)
    ):
        return replace(sample.tuned(made, codes), measured_on=made.rows)
    kept = ("rerank", "probes", "recall_text", "recall_image", "measured_on")
    return replace(made, **{name: getattr(before, name) for name in kept})


def kinds_to_try(rows: int, dimension: int, kind: IndexKind | None) -> list[tuple[IndexKind, str]]:
    """Return the kinds to try, each with its reason; the first that reaches the floor is published."""
    if kind is IndexKind.EXACT or rows < _MIN_ROWS or (kind is None and rows * dimension <= EXACT_NUMBERS):
        return [
            (IndexKind.EXACT, f"{numbered(rows, 'row')}: scored in a few milliseconds" if kind is None else "as asked")
        ]
    if kind is not None:
        return [(kind, "as asked")]
    # Lists only where they are asked for: queries of words lie far from all images, so many lists hold some of the best rows.
    return [
        (IndexKind.PQ2, f"{numbered(rows, 'row')}: all codes are scanned in {rows / 150_000 + 1:.0f} ms or so"),
        (IndexKind.PQ4, "twice the bits"),
        (IndexKind.EXACT, "every row is scored"),
    ]


def _codes_of(
    embeddings: NDArray[float16],
    kind: IndexKind,
    sample: "_Sample",
    before: tuple[Any, IndexHeader] | None,
    progress: Progress | None,
) -> tuple[Any, int]:
    """Return codes of all rows, and how many rows there were when they were trained."""
    if kind is IndexKind.EXACT:
        codes = faiss_codes.empty(embeddings.shape[1])
        # A copy of millions of rows would only cost space: searches scan the embeddings themselves.
        faiss_codes.add(codes, embeddings[: EXACT_NUMBERS // embeddings.shape[1]], 0, None)
        return codes, len(embeddings)
    if before is not None:
        codes, header = before
        faiss_codes.add(codes, embeddings, header.rows, progress)
        return codes, header.trained_on
    codes = faiss_codes.train(kind, sample.rows, preconditioner(sample.rows, sample.texts), len(embeddings))
    faiss_codes.add(codes, embeddings, 0, progress)
    return codes, len(embeddings)


def _previous(embeddings: NDArray[float16], path: Path, kind: IndexKind) -> tuple[Any, IndexHeader] | None:
    """Return the codes to extend; None when there are none, or when they were trained on far fewer rows."""
    header, problem = read_header(path)
    if header is None or problem or misfit(header, embeddings) or header.kind is not kind:
        return None
    if len(embeddings) > _RETRAIN_GROWTH * header.trained_on:
        return None
    codes = faiss_codes.load(path, header)
    return None if codes is None else (codes, header)


class _Sample:
    """Rows to train on, queries to measure with, and their true neighbours; each computed when first needed."""

    def __init__(
        self, embeddings: NDArray[float16], live: NDArray[bool_] | None, queries: NDArray[float32] | None
    ) -> None:
        self.embeddings = embeddings
        self.texts = None if queries is None else _evenly(queries.astype(float32), _TEXT_QUERIES)
        """[q, d] unit rows"""
        self.seconds = 0.0
        """spent measuring"""
        self._live = live
        self._truth: dict[str, TopK] = {}

    @property
    def has_texts(self) -> bool:
        return self.texts is not None

    @cached_property
    def rows(self) -> NDArray[float32]:
        """A random sample [n, d] of the live embeddings, for training."""
        live = self._live
        places = np.arange(len(self.embeddings)) if live is None else np.flatnonzero(live[: len(self.embeddings)])
        random = np.random.default_rng(0)
        places = np.sort(random.choice(places, min(len(places), _TRAINING_ROWS), replace=False))
        rows: NDArray[float32] = self.embeddings[places].astype(float32)
        return rows[np.isfinite(rows).all(axis=1)]

    @cached_property
    def images(self) -> NDArray[float32]:
        """Some of the rows [q, d], as queries."""
        return _evenly(self.rows, _IMAGE_QUERIES)

    def queries(self) -> dict[str, NDArray[float32]]:
        kinds = {"image": self.images} if self.texts is None else {"text": self.texts, "image": self.images}
        return {name: queries for name, queries in kinds.items() if len(queries)}

    def tuned(self, header: IndexHeader, codes: Any) -> IndexHeader:
        """Return the header with the chosen numbers of lists and candidates, and the recall that they reach."""
        if header.kind is IndexKind.EXACT:
            return replace(header, recall_image=1.0, recall_text=None if self.texts is None else 1.0)
        started = time.perf_counter()
        for probes in _PROBES if header.kind is IndexKind.IVF_PQ else (0,):
            header = self._with_rerank(replace(header, probes=probes), codes)
            if header.recall >= TARGET:
                break
        self.seconds += time.perf_counter() - started
        return header

    def _with_rerank(self, header: IndexHeader, codes: Any) -> IndexHeader:
        faiss_codes.probe(codes, header.probes)
        for depth in _DEPTHS:
            right = {
                name: self._right(name, faiss_codes.search(codes, queries, min(depth, header.rows)))
                for name, queries in self.queries().items()
            }
            for rerank in (each for each in _RERANKS if each <= depth):
                recalls = {name: self._recall(name, places[:, :rerank]) for name, places in right.items()}
                # Half as many again as the sample needed, because other queries may need more.
                recall_text, recall_image = recalls.get("text"), recalls.get("image")
                header = replace(header, rerank=rerank * 3 // 2, recall_text=recall_text, recall_image=recall_image)
                if header.recall >= TARGET:
                    return header
        return header

    def _right(self, name: str, candidates: NDArray[int64]) -> NDArray[bool_]:
        """
        Return which of the candidates [q, n] are true neighbours: among the ten best of their query.

        Compared by score, not by row: any of several equal rows counts.
        """
        queries = self.queries()[name]
        if name not in self._truth:
            self._truth[name] = scan(self.embeddings, queries, 10)
        worst = self._truth[name][1][:, -1]
        right = np.zeros(candidates.shape, bool_)
        for place, (query, rows) in enumerate(zip(queries, candidates, strict=True)):
            # In the order of the file, because rows on one page are read together.
            order = np.argsort(rows)
            order = order[rows[order] >= 0]
            right[place, order] = self.embeddings[rows[order]].astype(float32) @ query >= worst[place] - 1e-6
        return right

    def _recall(self, name: str, right: NDArray[bool_]) -> float:
        """Return the share of the ten best that is among these candidates."""
        best = self._truth[name][1]
        return float(np.minimum(right.sum(axis=1), best.shape[1]).sum() / best.size)


def _evenly(rows: NDArray[float32], count: int) -> NDArray[float32]:
    """Return at most `count` of the rows, evenly spaced."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(int64)]
