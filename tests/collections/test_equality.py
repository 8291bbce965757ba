"""A library that was split into three answers as the undivided one."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.collections.conftest import Split

from pixfind.collection.searcher import CollectionSearcher
from pixfind.library.library import Library
from pixfind.search import filters
from pixfind.search.results import Hit, SearchResult
from pixfind.search.searcher import Searcher


@pytest.fixture(scope="module")
def whole(split: Split) -> Iterator[Searcher]:
    with Library.open(split.whole) as library, Searcher(library) as searcher:
        yield searcher


@pytest.fixture(scope="module")
def divided(split: Split) -> Iterator[CollectionSearcher]:
    with CollectionSearcher(split.config()) as searcher:
        yield searcher


def shown(result: SearchResult) -> list[tuple[Any, ...]]:
    return [(hit.rank, {hit.path, *hit.also}, hit.folded) for hit in result.hits]


def tied(hits: tuple[Hit, ...]) -> list[tuple[float, frozenset[str]]]:
    """Hits in an order that does not depend on which of two equal scores comes first."""
    return sorted(
        ((-hit.score, frozenset({hit.path, *hit.also})) for hit in hits), key=lambda one: (one[0], sorted(one[1]))
    )


@pytest.mark.parametrize("query", ["sunset over the sea", "red square", "snow", "green"])
@pytest.mark.parametrize("options", [{}, {"distinct": True}, {"include_weak": True}, {"each_file": True}])
def test_one_text_gives_the_same_hits_with_the_same_scores_to_the_bit(
    whole: Searcher, divided: CollectionSearcher, query: str, options: dict[str, Any]
) -> None:
    one, three = (searcher.search(query, 25, **options) for searcher in (whole, divided))

    assert shown(one) == shown(three)
    assert [hit.score for hit in one.hits] == [hit.score for hit in three.hits]
    assert one.below_cutoff == three.below_cutoff
    for mine, theirs in zip(one.hits, three.hits, strict=True):
        assert mine.query_z == pytest.approx(theirs.query_z, rel=1e-4, abs=1e-4)
        assert mine.image_z == pytest.approx(theirs.image_z, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("query", ["sunset -sea", "beach +2:snow", "+0.5:forest -red +blue"])
@pytest.mark.parametrize("options", [{}, {"distinct": True}])
def test_terms_with_signs_and_weights_give_the_same_hits(
    whole: Searcher, divided: CollectionSearcher, query: str, options: dict[str, Any]
) -> None:
    one, three = (searcher.search(query, 25, **options) for searcher in (whole, divided))

    assert shown(one) == shown(three)
    assert [hit.score for hit in one.hits] == pytest.approx([hit.score for hit in three.hits], abs=1e-6)


@pytest.mark.parametrize(
    "wanted", [{"inside": "*/1/*"}, {"min_size": 200}, {"shape": "landscape"}, {"inside": "*/0/*", "shape": "portrait"}]
)
def test_filters_give_the_same_hits(whole: Searcher, divided: CollectionSearcher, wanted: dict[str, Any]) -> None:
    found = filters.parse(**wanted)
    one, three = (searcher.search("forest", 40, found, include_weak=True) for searcher in (whole, divided))

    assert shown(one) == shown(three)
    assert tied(one.hits) == tied(three.hits)


def test_an_image_of_any_library_is_found_by_its_id_and_by_its_bytes(
    whole: Searcher, divided: CollectionSearcher
) -> None:
    last = divided.search("snow", 200, include_weak=True).hits[-1]
    by_id = divided.search(f"id:{last.image_id}", 10)
    (its_id,) = [hit.image_id for hit in whole.search("snow", 200, include_weak=True).hits if hit.path == last.path]
    by_file = divided.search(f'file:"{last.path}"', 10)

    assert shown(whole.search(f"id:{its_id}", 10)) == shown(by_id) == shown(by_file)
    assert last.path == by_id.hits[0].path


def test_the_same_bytes_in_two_libraries_are_one_hit(copied: Split) -> None:
    with CollectionSearcher(copied.config()) as searcher:
        result = searcher.search("snow", 200, include_weak=True)
        again = searcher.search("snow", 15, include_weak=True)
    (both,) = [hit for hit in result.hits if hit.also]

    assert 15 == len(result.hits)
    assert ("left", "right") == (both.library, both.also[0].split("/")[-2].removeprefix("pictures-"))
    assert tied(result.hits) == tied(again.hits)


def test_every_k_is_the_beginning_of_a_larger_one(divided: CollectionSearcher) -> None:
    everything = [hit.image_id for hit in divided.search("snow", 90, include_weak=True).hits]

    for k in (1, 2, 7, 30, 89):
        assert everything[:k] == [hit.image_id for hit in divided.search("snow", k, include_weak=True).hits]
