"""
Building: choose a kind, make or extend its codes, measure what they find, publish only what holds the floor.

Owns the choice and the measurement. Recall is measured on these very embeddings, against the exact scan.
Must not know where queries come from or what a row stands for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import bool_, float16, float32, int64
from numpy.typing import NDArray

from pixfind.errors import IndexFloorMissed
from pixfind.index import faiss_codes as coding
from pixfind.index.exact import Found, scan
from pixfind.index.header import Facts, Kind, misfit, publish, read_facts
from pixfind.index.preconditioning import shape

FLOOR = 0.99
"""A file whose recall@10 is below this is never published."""

TARGET = 0.9995
"""The recall@10 that the number of rows to score again is chosen for."""

EXACT_ROWS = 30_000
"""Up to here the exact scan takes some 10 ms: codes would only add a way to be wrong."""

LISTS_ROWS = 10_000_000
"""From here a scan of all codes takes longer than 100 ms."""

_FEWEST_ROWS = 1_024
_RERANKS = (100, 200, 350, 500, 700, 1_000, 1_500, 2_500, 5_000)
_DEPTHS = (1_000, 5_000)
"""Candidates that are looked at to choose from _RERANKS: mostly the first is deep enough."""
_PROBES = (16, 64, 256, 1_024)
_TRAINING_ROWS = 50_000
_TEXT_QUERIES = 200
_IMAGE_QUERIES = 100
_RETRAIN_GROWTH = 4

Progress = Callable[[int, int], None]
"""Called with rows done and rows in all."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What `build` did."""

    facts: Facts
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
    kind: Kind | None = None,
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
    sample = _Sample.draw(embeddings, live, queries)
    refused: list[str] = []
    for each, reason in _ladder(len(embeddings), kind):
        codes, trained_on = _made(embeddings, path, each, sample, extend=extend and not refused, progress=progress)
        facts = Facts(each, "; ".join([reason, *refused]), len(embeddings), embeddings.shape[1], trained_on=trained_on)
        facts = sample.tuned(facts, codes)
        recall = facts.recall
        if recall >= FLOOR:
            facts, size = publish(path, facts, embeddings, lambda to, codes=codes: coding.write(codes, to))  # type: ignore[misc]
            extended = trained_on < len(embeddings)
            return IndexReport(facts, size, time.perf_counter() - began, sample.seconds, extended, tuple(refused))
        refused.append(f"{each} found {recall:.4f} of the best ten, under the floor of {FLOOR}")
    raise IndexFloorMissed(kind=each, recall=recall, floor=FLOOR)


def _ladder(rows: int, kind: Kind | None) -> list[tuple[Kind, str]]:
    """The kinds to try, each with its reason; the first that holds the floor is published."""
    if kind is Kind.EXACT or rows < _FEWEST_ROWS or (kind is None and rows <= EXACT_ROWS):
        return [(Kind.EXACT, f"{rows:,} rows are scored in a few milliseconds" if kind is None else "as asked")]
    if kind is not None:
        return [(kind, "as asked")]
    flat = [
        (Kind.CODES, f"{rows:,} rows: all codes are scanned in {rows / 150_000 + 1:.0f} ms or so"),
        (Kind.WIDE, "twice the bits"),
        (Kind.EXACT, "every row is scored"),
    ]
    lists = (Kind.LISTS, f"{rows:,} rows: a scan of all codes would take {rows / 150_000 + 1:.0f} ms")
    return flat if rows <= LISTS_ROWS else [lists, *flat]


def _made(
    embeddings: NDArray[float16], path: Path, kind: Kind, sample: "_Sample", *, extend: bool, progress: Progress | None
) -> tuple[Any, int]:
    """Codes of all rows, and how many rows there were when they were trained."""
    if kind is Kind.EXACT:
        codes = coding.empty(embeddings.shape[1])
        # A copy of millions of rows would serve nobody: we scan the embeddings themselves.
        coding.add(codes, embeddings[:EXACT_ROWS], 0, None)
        return codes, len(embeddings)
    if extend and (previous := _previous(embeddings, path, kind)) is not None:
        codes, facts = previous
        coding.add(codes, embeddings, facts.rows, progress)
        return codes, facts.trained_on
    codes = coding.train(kind, sample.rows, shape(sample.rows, sample.texts), len(embeddings))
    coding.add(codes, embeddings, 0, progress)
    return codes, len(embeddings)


def _previous(embeddings: NDArray[float16], path: Path, kind: Kind) -> tuple[Any, Facts] | None:
    """The codes to extend; None when there are none, or when they were trained on far fewer rows."""
    facts, problem = read_facts(path)
    if facts is None or problem or misfit(facts, embeddings) or facts.kind is not kind:
        return None
    if len(embeddings) > _RETRAIN_GROWTH * facts.trained_on:
        return None
    codes = coding.load(path, facts)
    return None if codes is None else (codes, facts)


@dataclass(slots=True)
class _Sample:
    """What codes are trained on, what they are measured with, and the right answers."""

    embeddings: NDArray[float16]
    rows: NDArray[float32]
    texts: NDArray[float32] | None
    images: NDArray[float32]
    truth: dict[str, Found] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def draw(
        cls, embeddings: NDArray[float16], live: NDArray[bool_] | None, queries: NDArray[float32] | None
    ) -> "_Sample":
        places = np.arange(len(embeddings)) if live is None else np.flatnonzero(live[: len(embeddings)])
        random = np.random.default_rng(0)
        places = np.sort(random.choice(places, min(len(places), _TRAINING_ROWS), replace=False))
        rows = embeddings[places].astype(float32)
        rows = rows[np.isfinite(rows).all(axis=1)]
        texts = None if queries is None else _spread(queries.astype(float32), _TEXT_QUERIES)
        return cls(embeddings, rows, texts, _spread(rows, _IMAGE_QUERIES))

    def queries(self) -> dict[str, NDArray[float32]]:
        kinds = {"image": self.images} if self.texts is None else {"text": self.texts, "image": self.images}
        return {name: queries for name, queries in kinds.items() if len(queries)}

    def tuned(self, facts: Facts, codes: Any) -> Facts:
        """Choose how much to look at, and say what that finds."""
        if facts.kind is Kind.EXACT:
            return replace(facts, recall_image=1.0, recall_text=None if self.texts is None else 1.0)
        began = time.perf_counter()
        for probes in _PROBES if facts.kind is Kind.LISTS else (0,):
            facts = self._reranked(replace(facts, probes=probes), codes)
            if facts.recall >= TARGET:
                break
        self.seconds += time.perf_counter() - began
        return facts

    def _reranked(self, facts: Facts, codes: Any) -> Facts:
        coding.probe(codes, facts.probes)
        for depth in _DEPTHS:
            right = {
                name: self._right(name, coding.search(codes, queries, min(depth, facts.rows)))
                for name, queries in self.queries().items()
            }
            for rerank in (each for each in _RERANKS if each <= depth):
                recalls = {name: self._recall(name, places[:, :rerank]) for name, places in right.items()}
                # Half as many again as the sample needed: the queries of tomorrow are others.
                recall_text, recall_image = recalls.get("text"), recalls.get("image")
                facts = replace(facts, rerank=rerank * 3 // 2, recall_text=recall_text, recall_image=recall_image)
                if facts.recall >= TARGET:
                    return facts
        return facts

    def _right(self, name: str, candidates: NDArray[int64]) -> NDArray[bool_]:
        """
        Which of the candidates [q, n] are among the ten best of their query.

        By score, not by row: among equal rows any is right.
        """
        queries = self.queries()[name]
        if name not in self.truth:
            self.truth[name] = scan(self.embeddings, queries, 10)
        worst = self.truth[name][1][:, -1]
        right = np.zeros(candidates.shape, bool_)
        for place, (query, rows) in enumerate(zip(queries, candidates, strict=True)):
            # In the order of the file: neighbours come from one page.
            order = np.argsort(rows)
            order = order[rows[order] >= 0]
            right[place, order] = self.embeddings[rows[order]].astype(float32) @ query >= worst[place] - 1e-6
        return right

    def _recall(self, name: str, right: NDArray[bool_]) -> float:
        """Share of the ten best that scoring these candidates again brings back."""
        best = self.truth[name][1]
        return float(np.minimum(right.sum(axis=1), best.shape[1]).sum() / best.size)


def _spread(rows: NDArray[float32], count: int) -> NDArray[float32]:
    """At most `count` of the rows, evenly."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(int64)]
