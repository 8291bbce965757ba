"""Ranked lists that a server keeps: which searches the pages of one cost."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

from pixfind.index.header import IndexKind
from pixfind.search.query import Query, Term, TermKind
from pixfind.search.results import Hit, SearchResult
from pixfind.server import ranked_page, schemas
from pixfind.server.ranked_lists import RankedLists
from pixfind.server.ranked_page import RankedRequest


class Library:
    """So many hits, of which the last are below the cut-off; it remembers how many of them it was asked for."""

    def __init__(self, hits: int, weak: int = 0) -> None:
        self.hits, self.weak = hits, weak
        self.searched: list[int] = []

    def search(self, query: Query, k: int, *_: Any, **__: Any) -> SearchResult:
        self.searched.append(k)
        shown = [Hit(n, f"/{n}.jpg", 1 / n, image_id=n, embedding_index=n) for n in range(1, min(k, self.hits) + 1)]
        below = min(self.weak, k - len(shown))
        return SearchResult(query, tuple(shown), below, 1.0, (), (), 0, IndexKind.EXACT, None, 0.5)


def asked(words: str = "sky", **page: Any) -> RankedRequest:
    query = Query((Term(TermKind.TEXT, words, 1),), words)
    return RankedRequest(query, schemas.Page.model_validate(page))


def ids_of_pages(lists: RankedLists, library: Library, state: object = 1, **page: Any) -> Iterator[list[int]]:
    """The hits of each page, by the cursors that the pages name."""
    cursor = None
    while True:
        request = asked(cursor=cursor, **page)
        found = ranked_page.filled(request, lists.search_for(request, state, library.search))
        yield [hit.image_id for hit in found.shown]
        cursor = ranked_page.response(found, {}, "").next
        if cursor is None:
            return


def test_the_pages_of_a_list_cost_a_few_searches() -> None:
    library = Library(10_000)

    pages = list(ids_of_pages(RankedLists(), library, k=60))

    assert list(range(1, 5_041)) == [each for page in pages for each in page]
    assert [62, 244, 604, 1324, 2764, 5502] == library.searched


def test_a_list_that_has_ended_is_not_searched_for_again() -> None:
    library = Library(100, weak=50)
    lists = RankedLists()

    assert 100 == sum(map(len, ids_of_pages(lists, library, k=60)))
    searched = len(library.searched)
    assert 100 == sum(map(len, ids_of_pages(lists, library, k=60)))
    assert searched == len(library.searched)


def test_a_first_page_is_searched_no_deeper_than_itself() -> None:
    library = Library(10_000)
    lists = RankedLists()
    for words in ("s", "sk", "sky"):
        request = asked(words, k=60)
        ranked_page.filled(request, lists.search_for(request, 1, library.search))

    assert [62, 62, 62] == library.searched


def test_a_library_that_has_changed_is_searched_again() -> None:
    library = Library(10_000)
    lists = RankedLists()
    for state in (1, 1, 2):
        request = asked(k=60)
        ranked_page.filled(request, lists.search_for(request, state, library.search))

    assert [62, 62] == library.searched


def test_what_belongs_to_one_request_is_not_shown_to_another() -> None:
    library = Library(10_000)
    lists = RankedLists()
    requests = [
        asked(k=60),
        asked(k=60, distinct=True),
        asked(k=60, each_file=True),
        asked(k=60, all=True),
        asked(k=60, camera="x"),
        RankedRequest(asked().query, asked(k=60).page, pictures=(b"one",)),
        RankedRequest(asked().query, asked(k=60).page, pictures=(b"another",)),
    ]
    for request in requests:
        ranked_page.filled(request, lists.search_for(request, 1, library.search))

    assert [62] * len(requests) == library.searched


def test_the_lists_that_are_kept_have_a_bound_in_bytes() -> None:
    library = Library(10_000)
    lists = RankedLists(max_bytes=1_000_000)

    tracemalloc.start()
    for number in range(20):
        request = asked(f"sky {number}", k=500)
        ranked_page.filled(request, lists.search_for(request, 1, library.search))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert kept < 1_200_000
    # The latest is there, the first has made room.
    for number in (19, 0):
        request = asked(f"sky {number}", k=500)
        ranked_page.filled(request, lists.search_for(request, 1, library.search))
    assert 21 == len(library.searched)
