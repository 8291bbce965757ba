"""
How many threads FAISS uses: one for one query.

Threads that work for a millisecond wait for the slowest; on a machine that embeds at the same time that is a whole time
slice of the scheduler, ten times the search itself. FAISS keeps the number per calling thread, so nobody else is bound.
"""

import contextlib
from collections.abc import Iterator

from numpy import float32
from numpy.typing import NDArray


@contextlib.contextmanager
def one() -> Iterator[None]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def fit(queries: NDArray[float32]) -> contextlib.AbstractContextManager[None]:
    """One thread for one query, all for many."""
    return one() if len(queries) == 1 else contextlib.nullcontext()
