"""
An open index: from queries to rows and exact scores.

Owns how codes, filters and rows that the codes do not cover yet are combined into one result.
Must not know how the codes were made, or what a row stands for. Rows become hits in `search`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy import bool_, float16, float32, int64
from numpy.typing import NDArray

from pixfind.index import faiss_codes
from pixfind.index.exact import TopK, merged, padded, scan, stacked
from pixfind.index.header import IndexHeader, IndexKind, misfit, read_header
from pixfind.index.readahead import Readahead

GATHER_ROWS = 20_000
"""Up to so many allowed rows are all scored, without codes."""

_SCORE, _SCAN, _FETCH = 0.9, 0.012, 90.0
"""Nanoseconds to score one dimension of an allowed row in memory, to scan one of a row's code, and to fetch one candidate; their ratios count."""

Allowed = NDArray[bool_] | NDArray[int64]
"""Which rows may be hits: a mask over rows (rows beyond its end are not allowed), or the rows themselves."""


class Index:
    """An index that is open for searching, made by `open`. Thread-safe."""

    embeddings: NDArray[float16]
    header: IndexHeader
    problem: str | None
    """why the file is not used; None when it is"""

    def __init__(self, embeddings: NDArray[float16], header: IndexHeader, codes: Any, problem: str | None) -> None:
        self.embeddings = embeddings
        self.header = header
        self.problem = problem
        self._codes = codes
        self._readahead = Readahead(embeddings)

    @property
    def rows(self) -> int:
        """Rows that the file covers; the rest is scanned without it."""
        return self.header.rows

    @property
    def stale(self) -> bool:
        """Whether a build would make searches faster. Results are complete either way."""
        return self.problem is not None or not self.header.suffices(len(self.embeddings))

    def search(
        self, queries: NDArray[float32], k: int, allowed: Allowed | None = None, *, candidates: int | None = None
    ) -> TopK:
        """
        Find the k best rows for each query, best first, equal scores by row.

        Takes unit queries [q, d]. Returns rows [q, k], padded with -1, and exact cosines [q, k], padded with -inf. `candidates` is how many
        rows found by their codes are scored exactly, in place of the measured number: fewer are enough to find near-duplicates only.
        Raises ValueError when the dimension is not that of the embeddings or k is negative.
        """
        queries = np.atleast_2d(np.ascontiguousarray(queries, dtype=float32))
        if queries.shape[1] != self.embeddings.shape[1] or k < 0:
            raise ValueError(f"queries {queries.shape}, k {k}, embeddings {self.embeddings.shape}")
        rows = None if allowed is None else _as_rows(allowed, len(self.embeddings))
        depth = min(k, len(self.embeddings))
        coded = self.header.rows if self._codes is not None else 0
        wanted = candidates or _depth(self.header, depth)
        if coded == 0 or (rows is not None and self._gathers(len(rows), wanted)):
            return padded(*self._scan(queries, depth, rows), k)
        if rows is None:
            tail = self._scan_from(coded, queries, depth)
        else:
            tail = self._scan(queries, depth, rows[np.searchsorted(rows, coded) :])
        found = self._search_codes(queries, depth, rows, wanted)
        return padded(*merged(found, tail, depth), k)

    def _gathers(self, allowed: int, depth: int) -> bool:
        """Return whether scoring all allowed rows costs less than finding `depth` of them by their codes."""
        if allowed <= GATHER_ROWS:
            return True
        # From the disk each row costs a read, and by their codes far fewer are read.
        rows, dimension = self.embeddings.shape
        return self._readahead.warm and scoring_costs_less(allowed, rows, dimension, depth)

    def _scan_from(self, first: int, queries: NDArray[float32], k: int) -> TopK:
        # A part of the file as it lies there: rows that are gathered by number take three times as long.
        if first == len(self.embeddings):
            return scan(self.embeddings[first:], queries, k)
        with self._readahead.reading(None):
            rows, scores = scan(self.embeddings[first:], queries, k)
        return rows + first, scores

    def _scan(self, queries: NDArray[float32], k: int, rows: NDArray[int64] | None) -> TopK:
        with self._readahead.reading(rows):
            return scan(self.embeddings, queries, k, rows)

    def _search_codes(self, queries: NDArray[float32], k: int, rows: NDArray[int64] | None, depth: int) -> TopK:
        """Find candidates by their codes and score them exactly, among the rows that the file covers."""
        if rows is not None:
            rows = rows[: np.searchsorted(rows, self.header.rows)]
        per_query = self._candidates(queries, depth, rows)
        return stacked(
            [
                self._scan_covered(query[None], k, rows if found is None else found)
                for query, found in zip(queries, per_query, strict=True)
            ],
            k,
        )

    def _scan_covered(self, query: NDArray[float32], k: int, rows: NDArray[int64] | None) -> TopK:
        with self._readahead.reading(rows):
            # Not the rows behind those that the file covers: they are scored on their own.
            return scan(self.embeddings[: self.header.rows], query, k, rows)

    def _candidates(
        self, queries: NDArray[float32], depth: int, rows: NDArray[int64] | None
    ) -> list[NDArray[int64] | None]:
        """Return for each query the rows to score, ascending; None where scoring all allowed rows costs less."""
        if rows is None:
            found = faiss_codes.search(self._codes, queries, min(depth, self.header.rows))
            # The scanned lists may contain fewer than that.
            return [np.sort(each[each >= 0]) if (each >= 0).all() else None for each in found]
        mask = np.zeros(self.header.rows, dtype=bool)
        mask[rows] = True
        return [self._allowed_candidates(query, depth, mask, len(rows)) for query in queries]

    def _allowed_candidates(
        self, query: NDArray[float32], depth: int, mask: NDArray[bool_], allowed: int
    ) -> NDArray[int64] | None:
        # FAISS's fast scans support no selector, so more are fetched until enough of them are allowed.
        fetch = int(1.3 * depth * len(mask) / max(allowed, 1)) + 1
        while fetch <= len(mask) // 4:
            found = faiss_codes.search(self._codes, query[None], fetch)[0]
            kept = found[found >= 0]
            kept = kept[mask[kept]]
            if len(kept) >= depth:
                return np.sort(kept[:depth])
            fetch *= 4
        return None


def open(path: Path, embeddings: NDArray[float16]) -> Index:  # noqa: A001  index.open reads as what it is
    """
    Open the file for these embeddings ([N, d] float16; may be longer than what the file covers).

    Problems of the file are not raised: where it is missing, damaged or belongs to other embeddings, the returned index scans
    exactly, and `problem` says why. The codes are read into memory, the embeddings are not.
    """
    header, problem = read_header(path)
    if header is not None and problem is None:
        problem = misfit(header, embeddings)
    if header is None or problem is not None:
        return Index(
            embeddings, IndexHeader(IndexKind.EXACT, "there is no usable index", 0, embeddings.shape[1]), None, problem
        )
    if header.kind is IndexKind.EXACT:
        return Index(embeddings, header, None, None)
    codes = faiss_codes.load(path, header)
    return Index(embeddings, header, codes, None if codes is not None else f"{path} cannot be read by FAISS")


def scoring_costs_less(allowed: int, rows: int, dimension: int, depth: int) -> bool:
    """
    Return whether scoring so many allowed rows, gathered in memory, costs less than a scan of all codes with a filter.

    The scan fetches 1.3 x depth candidates for each that is allowed, which is what a narrow filter pays for in a large index.
    """
    fetched = min(1.3 * depth * rows / max(allowed, 1), rows / 4)
    return allowed * dimension * _SCORE < rows * dimension * _SCAN + fetched * _FETCH


def _as_rows(allowed: Allowed, count: int) -> NDArray[int64]:
    if allowed.dtype == bool_:
        return np.flatnonzero(allowed[:count])
    rows = allowed.astype(int64)
    if (np.diff(rows) <= 0).any():
        # Not np.unique, which hashes: 300,000 rows would take longer than the search.
        rows = np.sort(rows)
        rows = rows[np.diff(rows, prepend=-1) > 0]
    return rows[np.searchsorted(rows, 0) : np.searchsorted(rows, count)]


def _depth(header: IndexHeader, k: int) -> int:
    """
    Return how many candidates to score for k hits: the number measured for ten hits, times (k / 10)^0.6, and at least 2k.

    The exponent is measured: on 624,000 rows it finds 0.9999 of the best 1,000. A number proportional to k (exponent 1) would be slower
    without need, because candidates are needed only where approximate scores are close, and further down the ranking they are farther apart.
    """
    return max(int(header.rerank * (max(k, 10) / 10) ** 0.6), 2 * k)
