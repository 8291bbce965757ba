"""
Ranked lists that are kept, so that the pages of one are not each searched for from the top.

Owns how long a list is kept and how far ahead one is searched that a reader continues. Must not know HTTP, or how hits are found.
"""

import collections
import hashlib
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import Final, Unpack

from pixfind.search.filters import Filters
from pixfind.search.query import Query
from pixfind.search.question import SearchOptions
from pixfind.search.results import Hit, SearchResult
from pixfind.server import schemas
from pixfind.server.ranked_page import RankedRequest, Search

_MAX_BYTES: Final = 16 * 2**20
"""of all lists that are kept: five or six of 5,000 hits"""

_RECORD_BYTES: Final = 470
"""What a hit takes beside its path, as measured; what is named with it takes less."""

_MAX_DEPTH: Final = schemas.MAX_OFFSET + schemas.MAX_HITS + 2
"""what the last page of a ranked list takes"""


@dataclass(frozen=True, slots=True)
class _Kept:
    k: int
    """how many hits were asked for"""
    result: SearchResult
    size: int
    """bytes, somewhat more than it takes"""

    def answers(self, k: int) -> bool:
        """Tell whether a search for k hits would find no others."""
        return k <= self.k or len(self.result.hits) + self.result.below_cutoff < self.k


class RankedLists:
    """
    The lists that were asked for last, each as far as it was searched. Thread-safe.

    A list stands for a state of the library: once that is another, all are forgotten.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._lists: collections.OrderedDict[object, _Kept] = collections.OrderedDict()
        self._state: object = None

    def search_for(self, asked: RankedRequest, state: object, search: Search) -> Search:
        """Return a `search` for the pages of `asked` that takes hits from the list where it is kept; `state` is that of the library before."""
        pictures = [hashlib.blake2b(picture).digest() for picture in asked.pictures]
        vectors = [vector.tobytes() for vector in asked.vectors]
        page = asked.page
        continues = bool(page.cursor or page.offset)
        shown = (page.distinct, page.each_file, page.include_weak, page.sort, *pictures, *vectors)

        def kept_or_found(query: Query, k: int, filters: Filters, /, **options: Unpack[SearchOptions]) -> SearchResult:
            began, key = time.perf_counter(), (query, filters, *shown)
            kept = self._get(key, state)
            if kept is not None and kept.answers(k):
                return replace(kept.result, seconds=time.perf_counter() - began)
            # Who continues reads further: twice as far each time, the whole way costs twice its last step.
            ahead = max(k, min(2 * k, _MAX_DEPTH)) if continues else k
            result = search(query, ahead, filters, **options)
            self._keep(key, state, _Kept(ahead, result, sum(map(_size, result.hits))))
            return result

        return kept_or_found

    def _get(self, key: object, state: object) -> _Kept | None:
        with self._lock:
            if state != self._state:
                self._lists.clear()
                self._state = state
            if key in self._lists:
                self._lists.move_to_end(key)
            return self._lists.get(key)

    def _keep(self, key: object, state: object, found: _Kept) -> None:
        with self._lock:
            if state != self._state:
                return
            self._lists[key] = found
            self._lists.move_to_end(key)
            while sum(kept.size for kept in self._lists.values()) > self._max_bytes:
                self._lists.popitem(last=False)


def _size(hit: Hit) -> int:
    stack, lines = (one.path for one in hit.stack), (line.text for line in hit.lines)
    texts = (hit.path, *stack, *lines, *hit.also, *hit.same_shot, *hit.same_video)
    return sum(_RECORD_BYTES + sys.getsizeof(text) for text in texts)
