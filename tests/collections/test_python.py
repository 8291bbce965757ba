"""Several libraries in a Python program."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.collections.conftest import Split

import pixfind
from pixfind import errors
from pixfind.search.inputs import Wanted


@pytest.fixture(scope="module")
def collection(split: Split) -> pixfind.Collection:
    return pixfind.Collection.open(*split.parts, timeout=600)


def found(result: pixfind.SearchResult) -> list[tuple[float, str]]:
    # A product of another number of rows may differ in the last bit of a float.
    return sorted((-round(hit.score, 5), hit.path) for hit in result)


def test_whatever_a_library_searches_for_a_collection_searches_for(
    split: Split, collection: pixfind.Collection
) -> None:
    picture = next((split.whole.parent / "pictures/2").iterdir())
    with pixfind.open(split.whole, create=False) as library, Image.open(picture) as opened:
        vector = library.embed_text("snow")
        several: list[Wanted] = ["snow", picture, vector]
        everything: list[Wanted | list[Wanted]] = ["snow", picture, picture.read_bytes(), opened, vector, several]
        for wanted in everything:
            one, three = (each.search(wanted, 20, include_weak=True, min_size=100) for each in (library, collection))
            assert found(one) == found(three)
            assert {"part-0", "part-1", "part-2"} >= {hit.library for hit in three}
        assert (library.model, library.dimension) == (collection.model, collection.dimension)
        for texts in ("snow", ["snow", "sea"]):
            assert np.array_equal(library.embed_text(texts), collection.embed_text(texts))
        newest, also = ([hit.date for hit in each.search("snow", 20, sort="date")] for each in (library, collection))
        assert newest == also == sorted(newest, key=lambda date: -(date or 0))


def test_it_says_what_each_library_holds_and_which_is_missing(split: Split, tmp_path: Path) -> None:
    with pixfind.Collection.open(split.parts[0], tmp_path / "away", timeout=600) as collection:
        states, missing = collection.states()
        result = collection.search("snow", 3)

    assert {"part-0": 30} == {name: state.rows for name, state in states.items()}
    assert ["away"] == [one.library for one in missing] == [one.library for one in result.missing]
    assert "part-0, away" in repr(collection)


def test_files_that_two_libraries_have_are_duplicates(copied: Split) -> None:
    with pixfind.Collection.open(*copied.parts) as collection:
        (group,) = collection.duplicates().groups

    assert 2 == len(group.members)


def test_what_is_no_query_is_refused_as_by_a_library(collection: pixfind.Collection) -> None:
    with pytest.raises(errors.InvalidVector):
        collection.search(np.zeros(3, np.float32))
    with pytest.raises(errors.InvalidQuery):
        collection.search([])
    with pytest.raises(TypeError):
        collection.embed_text([7])  # type: ignore[list-item]  # as a program might
    with pytest.raises(errors.InvalidFilter, match="sort"):
        collection.search("snow", sort="size")
    with pytest.raises(errors.InvalidCollection):
        pixfind.Collection.open("http://127.0.0.1:1/path")


def test_a_collection_without_pictures_has_no_model(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pixfind.open(tmp_path / name).close()
    with pixfind.Collection.open(tmp_path / "a", tmp_path / "b", timeout=600) as empty:
        assert empty.model is None
        with pytest.raises(errors.NotEmbedded):
            empty.search("snow")
