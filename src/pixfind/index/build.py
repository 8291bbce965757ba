"""
Building: choose a kind, make or extend its codes, measure what they find, publish only what holds the floor.

Owns the choice and the measurement. Recall is measured on these very embeddings, against the exact scan.
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

from pixfind.errors import IndexFloorMissed
from pixfind.index import faiss_codes as coding
from pixfind.index.exact import Found, scan
from pixfind.index.header import IndexHeader, IndexKind, misfit, publish, read_header
from pixfind.index.preconditioning import shape

FLOOR = 0.99
"""A file whose recall@10 is below this is never published."""

TARGET = 0.9995
"""The recall@10 that the number of rows to score again is chosen for."""

EXACT_ROWS = 30_000
"""Up to here the exact scan takes some 10 ms: codes would only add a way to be wrong."""

LISTS_ROWS = 10_000_000
"""From here a scan of all codes takes longer than 100 ms."""

_MIN_ROWS = 1_024
_RERANKS = (100, 200, 350, 500, 700, 1_000, 1_500, 2_500, 5_000)
_DEPTHS = (1_000, 5_000)
"""Candidates that are looked at to choose from _RERANKS: mostly the first is deep enough."""
_PROBES = (16, 64, 256, 1_024)
_TRAINING_ROWS = 50_000
_TEXT_QUERIES = 200
_IMAGE_QUERIES = 100
_RETRAIN_GROWTH = 4
_DRIFT = 0.05
"""Share of new rows from which the recall is measured again."""

Progress = Callable[[int, int], None]
"""Called with rows done and rows in all."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What `build` did."""

    header: IndexHeader
    bytes: int
    seconds: float
    measured_seconds: float
    """of these, measuring the recall"""
    extended: bool
    """rows were added to the previous file's codes"""
    refused: tuple[str, ...]
    """kinds that missed the floor, with their recall"""


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

    `live` keeps rows that no image points to out of the samples; `queries` ([q, d] float32 unit rows, as the text
    tower makes them) shape the codes and measure the recall. `kind` overrides the choice. `extend=False` starts afresh.
    Raises IndexFloorMissed when `kind` was given and its recall stays below FLOOR; otherwise the next kind is tried,
    and the exact scan, the last, cannot miss it.
    """
    began = time.perf_counter()
    sample = _Sample(embeddings, live, queries)
    refused: list[str] = []
    for each, reason in _ladder(len(embeddings), kind):
        before = _previous(embeddings, path, each) if extend and not refused else None
        codes, trained_on = _made(embeddings, each, sample, before, progress)
        made = IndexHeader(
            each, "; ".join([reason, *refused]), len(embeddings), embeddings.shape[1], trained_on=trained_on
        )
        made = _measured(made, before and before[1], sample, codes)
        recall = made.recall
        if recall >= FLOOR:
            made, size = publish(path, made, embeddings, lambda to, codes=codes: coding.write(codes, to))  # type: ignore[misc]
            extended = trained_on < len(embeddings)
            return IndexReport(made, size, time.perf_counter() - began, sample.seconds, extended, tuple(refused))
        refused.append(f"{each} found {recall:.4f} of the best ten, under the floor of {FLOOR}")
    raise IndexFloorMissed(kind=each, recall=recall, floor=FLOOR)


def _measured(made: IndexHeader, before: IndexHeader | None, sample: "_Sample", codes: Any) -> IndexHeader:
    """Return the header with its recall: that of the file that was extended, where few rows have come since it was measured."""
    if (
        before is None
        or made.rows > before.measured_on * (1 + _DRIFT)
        or (before.recall_text is None and sample.has_texts)
    ):
        return replace(sample.tuned(made, codes), measured_on=made.rows)
    kept = ("rerank", "probes", "recall_text", "recall_image", "measured_on")
    return replace(made, **{name: getattr(before, name) for name in kept})


def _ladder(rows: int, kind: IndexKind | None) -> list[tuple[IndexKind, str]]:
    """The kinds to try, each with its reason; the first that holds the floor is published."""
    if kind is IndexKind.EXACT or rows < _MIN_ROWS or (kind is None and rows <= EXACT_ROWS):
        return [(IndexKind.EXACT, f"{rows:,} rows are scored in a few milliseconds" if kind is None else "as asked")]
    if kind is not None:
        return [(kind, "as asked")]
    flat = [
        (IndexKind.CODES, f"{rows:,} rows: all codes are scanned in {rows / 150_000 + 1:.0f} ms or so"),
        (IndexKind.WIDE, "twice the bits"),
        (IndexKind.EXACT, "every row is scored"),
    ]
    lists = (IndexKind.LISTS, f"{rows:,} rows: a scan of all codes would take {rows / 150_000 + 1:.0f} ms")
    return flat if rows <= LISTS_ROWS else [lists, *flat]


def _made(
    embeddings: NDArray[float16],
    kind: IndexKind,
    sample: "_Sample",
    before: tuple[Any, IndexHeader] | None,
    progress: Progress | None,
) -> tuple[Any, int]:
    """Return codes of all rows, and how many rows there were when they were trained."""
    if kind is IndexKind.EXACT:
        codes = coding.empty(embeddings.shape[1])
        # A copy of millions of rows would serve nobody: we scan the embeddings themselves.
        coding.add(codes, embeddings[:EXACT_ROWS], 0, None)
        return codes, len(embeddings)
    if before is not None:
        codes, header = before
        coding.add(codes, embeddings, header.rows, progress)
        return codes, header.trained_on
    codes = coding.train(kind, sample.rows, shape(sample.rows, sample.texts), len(embeddings))
    coding.add(codes, embeddings, 0, progress)
    return codes, len(embeddings)


def _previous(embeddings: NDArray[float16], path: Path, kind: IndexKind) -> tuple[Any, IndexHeader] | None:
    """The codes to extend; None when there are none, or when they were trained on far fewer rows."""
    header, problem = read_header(path)
    if header is None or problem or misfit(header, embeddings) or header.kind is not kind:
        return None
    if len(embeddings) > _RETRAIN_GROWTH * header.trained_on:
        return None
    codes = coding.load(path, header)
    return None if codes is None else (codes, header)


class _Sample:
    """What codes are trained on, what they are measured with, and the right answers; drawn when it is first needed."""

    def __init__(
        self, embeddings: NDArray[float16], live: NDArray[bool_] | None, queries: NDArray[float32] | None
    ) -> None:
        self.embeddings = embeddings
        self.texts = None if queries is None else _spread(queries.astype(float32), _TEXT_QUERIES)
        """[q, d] unit rows"""
        self.seconds = 0.0
        """spent measuring"""
        self._live = live
        self._truth: dict[str, Found] = {}

    @property
    def has_texts(self) -> bool:
        return self.texts is not None

    @cached_property
    def rows(self) -> NDArray[float32]:
        """Some [n, d] of the embeddings, for training."""
        live = self._live
        places = np.arange(len(self.embeddings)) if live is None else np.flatnonzero(live[: len(self.embeddings)])
        random = np.random.default_rng(0)
        places = np.sort(random.choice(places, min(len(places), _TRAINING_ROWS), replace=False))
        rows: NDArray[float32] = self.embeddings[places].astype(float32)
        return rows[np.isfinite(rows).all(axis=1)]

    @cached_property
    def images(self) -> NDArray[float32]:
        """[q, d] of the rows, as queries."""
        return _spread(self.rows, _IMAGE_QUERIES)

    def queries(self) -> dict[str, NDArray[float32]]:
        kinds = {"image": self.images} if self.texts is None else {"text": self.texts, "image": self.images}
        return {name: queries for name, queries in kinds.items() if len(queries)}

    def tuned(self, header: IndexHeader, codes: Any) -> IndexHeader:
        """Choose how much to look at, and say what that finds."""
        if header.kind is IndexKind.EXACT:
            return replace(header, recall_image=1.0, recall_text=None if self.texts is None else 1.0)
        began = time.perf_counter()
        for probes in _PROBES if header.kind is IndexKind.LISTS else (0,):
            header = self._reranked(replace(header, probes=probes), codes)
            if header.recall >= TARGET:
                break
        self.seconds += time.perf_counter() - began
        return header

    def _reranked(self, header: IndexHeader, codes: Any) -> IndexHeader:
        coding.probe(codes, header.probes)
        for depth in _DEPTHS:
            right = {
                name: self._right(name, coding.search(codes, queries, min(depth, header.rows)))
                for name, queries in self.queries().items()
            }
            for rerank in (each for each in _RERANKS if each <= depth):
                recalls = {name: self._recall(name, places[:, :rerank]) for name, places in right.items()}
                # Half as many again as the sample needed: the queries of tomorrow are others.
                recall_text, recall_image = recalls.get("text"), recalls.get("image")
                header = replace(header, rerank=rerank * 3 // 2, recall_text=recall_text, recall_image=recall_image)
                if header.recall >= TARGET:
                    return header
        return header

    def _right(self, name: str, candidates: NDArray[int64]) -> NDArray[bool_]:
        """
        Which of the candidates [q, n] are among the ten best of their query.

        By score, not by row: among equal rows any is right.
        """
        queries = self.queries()[name]
        if name not in self._truth:
            self._truth[name] = scan(self.embeddings, queries, 10)
        worst = self._truth[name][1][:, -1]
        right = np.zeros(candidates.shape, bool_)
        for place, (query, rows) in enumerate(zip(queries, candidates, strict=True)):
            # In the order of the file: neighbours come from one page.
            order = np.argsort(rows)
            order = order[rows[order] >= 0]
            right[place, order] = self.embeddings[rows[order]].astype(float32) @ query >= worst[place] - 1e-6
        return right

    def _recall(self, name: str, right: NDArray[bool_]) -> float:
        """Share of the ten best that scoring these candidates again brings back."""
        best = self._truth[name][1]
        return float(np.minimum(right.sum(axis=1), best.shape[1]).sum() / best.size)


def _spread(rows: NDArray[float32], count: int) -> NDArray[float32]:
    """At most `count` of the rows, evenly."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(int64)]
