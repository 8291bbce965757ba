"""
An open index: queries in, rows and exact scores out.

Owns how codes, filters and rows that no code covers yet become one answer.
Must not know how the codes were made, or what a row stands for. Rows become hits in `search`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy import bool_, float16, float32, int64
from numpy.typing import NDArray

from pixfind.index import faiss_codes as coding
from pixfind.index.exact import Found, merged, padded, scan, stacked
from pixfind.index.header import IndexHeader, IndexKind, misfit, read_header
from pixfind.index.readahead import Pages

GATHER_ROWS = 20_000
"""So few allowed rows are scored without codes."""

Allowed = NDArray[bool_] | NDArray[int64]
"""Which rows may be hits: a mask over rows (what it does not reach is not allowed), or the rows themselves."""


class Index:
    """An index that is open for searching. Made by `open`; safe to share between threads."""

    embeddings: NDArray[float16]
    header: IndexHeader
    problem: str | None
    """why the file is not used; None when it is"""

    def __init__(self, embeddings: NDArray[float16], header: IndexHeader, codes: Any, problem: str | None) -> None:
        self.embeddings = embeddings
        self.header = header
        self.problem = problem
        self._codes = codes
        self._pages = Pages(embeddings)

    @property
    def rows(self) -> int:
        """Rows that the file covers; the rest is scanned without it."""
        return self.header.rows

    @property
    def stale(self) -> bool:
        """Whether a build would make searches faster. Answers are complete either way."""
        return self.problem is not None or self.header.rows < len(self.embeddings)

    def search(
        self, queries: NDArray[float32], k: int, allowed: Allowed | None = None, *, look: int | None = None
    ) -> Found:
        """
        Find the k best rows for each query, best first, equal scores by row.

        Takes unit rows [q, d]. `look` is how many rows to score again where codes are searched, instead of the number
        that was measured: fewer do where only rows far above all others matter. Returns rows [q, k], padded with -1, and exact cosines [q, k], padded with -inf.
        Raises ValueError when the dimension is not that of the embeddings or k is negative.
        """
        queries = np.atleast_2d(np.ascontiguousarray(queries, dtype=float32))
        if queries.shape[1] != self.embeddings.shape[1] or k < 0:
            raise ValueError(f"queries {queries.shape}, k {k}, embeddings {self.embeddings.shape}")
        rows = None if allowed is None else _as_rows(allowed, len(self.embeddings))
        depth = min(k, len(self.embeddings))
        coded = self.header.rows if self._codes is not None else 0
        if coded == 0 or (rows is not None and len(rows) <= GATHER_ROWS):
            return padded(*self._scan(queries, depth, rows), k)
        tail = np.arange(coded, len(self.embeddings)) if rows is None else rows[np.searchsorted(rows, coded) :]
        found = self._search_codes(queries, depth, rows, look or _depth(self.header, depth))
        return padded(*merged(found, self._scan(queries, depth, tail), depth), k)

    def _scan(self, queries: NDArray[float32], k: int, rows: NDArray[int64] | None) -> Found:
        with self._pages.reading(rows):
            return scan(self.embeddings, queries, k, rows)

    def _search_codes(self, queries: NDArray[float32], k: int, rows: NDArray[int64] | None, depth: int) -> Found:
        """Candidates from the codes, scored again; the rows that the file covers only."""
        if rows is not None:
            rows = rows[: np.searchsorted(rows, self.header.rows)]
        per_query = self._candidates(queries, depth, rows)
        return stacked(
            [
                self._scan(query[None], k, rows if found is None else found)
                for query, found in zip(queries, per_query, strict=True)
            ],
            k,
        )

    def _candidates(
        self, queries: NDArray[float32], depth: int, rows: NDArray[int64] | None
    ) -> list[NDArray[int64] | None]:
        """For each query the rows to score, ascending; None where scoring all allowed rows costs less."""
        if rows is None:
            found = coding.search(self._codes, queries, min(depth, self.header.rows))
            # Lists may hold fewer than were asked for.
            return [np.sort(each[each >= 0]) if (each >= 0).all() else None for each in found]
        mask = np.zeros(self.header.rows, dtype=bool)
        mask[rows] = True
        return [self._allowed_candidates(query, depth, mask, len(rows)) for query in queries]

    def _allowed_candidates(
        self, query: NDArray[float32], depth: int, mask: NDArray[bool_], allowed: int
    ) -> NDArray[int64] | None:
        # FAISS's fast scans take no selector. So ask for more than is allowed to stay, until enough has stayed.
        fetch = int(1.3 * depth * len(mask) / max(allowed, 1)) + 1
        while fetch <= len(mask) // 4:
            found = coding.search(self._codes, query[None], fetch)[0]
            kept = found[found >= 0]
            kept = kept[mask[kept]]
            if len(kept) >= depth:
                return np.sort(kept[:depth])
            fetch *= 4
        return None


def open(path: Path, embeddings: NDArray[float16]) -> Index:  # noqa: A001  index.open reads as what it is
    """
    Open the file for these embeddings ([N, d] float16; may be longer than what the file covers).

    Never raises for the file's sake: where it is missing, truncated, foreign or of other embeddings, the returned
    index scans exactly, and `problem` says why. The codes are read into memory, the embeddings never are.
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
    codes = coding.load(path, header)
    return Index(embeddings, header, codes, None if codes is not None else f"{path} cannot be read by FAISS")


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
    Rows to score again for k hits: as many as were measured for ten, and fewer for each further one.

    Far down a list, rows that follow each other in rank lie many codes apart. In proportion would be safe and slow: 624,000 rows
    and this exponent find 0.9999 of the best 1,000.
    """
    return max(int(header.rerank * (max(k, 10) / 10) ** 0.6), 2 * k)
