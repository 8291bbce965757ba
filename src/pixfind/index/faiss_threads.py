"""
How many threads FAISS uses: one for one query.

Work of a millisecond, split over threads, ends with the slowest of them; on a machine that embeds at the same time that one may wait a
whole time slice of the scheduler, ten times the search itself. FAISS keeps the setting for each calling thread, so others are not affected.
"""

import contextlib
from collections.abc import Iterator

from numpy import float32
from numpy.typing import NDArray


@contextlib.contextmanager
def one() -> Iterator[None]:
    """Let FAISS use one thread in the block."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def fit(queries: NDArray[float32]) -> contextlib.AbstractContextManager[None]:
    """Let FAISS use one thread in the block for one query [1, d], all threads for more."""
    return one() if len(queries) == 1 else contextlib.nullcontext()
