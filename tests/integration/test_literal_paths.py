"""Paths that look like patterns: brackets, stars and question marks in the names of files and folders."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.search import filters
from pixfind.search.query import Query
from pixfind.search.searcher import Searcher
from pixfind.testing import make_image, make_library

FILES = ("[1] best/a [1].jpg", "[1] best/a 1.jpg", "[1] best/b*.jpg", "[1] best/c?.jpg", "1 best/d.jpg", "e.jpg")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    for seed, name in enumerate(FILES):
        (tmp_path / "all?" / name).parent.mkdir(parents=True, exist_ok=True)
        make_image(tmp_path / "all?" / name, seed=seed)
    shutil.make_archive(str(tmp_path / "all?" / "box [2]"), "zip", tmp_path / "all?" / "1 best")
    return tmp_path / "all?"


@pytest.fixture
def library(tmp_path: Path, odd: Path) -> Iterator[Library]:
    with make_library(tmp_path / "library", odd) as made:
        yield made
        assert [] == verify.verify(made)


def found(library: Library, inside: str) -> set[str]:
    """Return the names below the folder `all?` of what passes the filter; of a member of an archive, all behind that."""
    with Searcher(library) as searcher:
        hits = searcher.search(Query(()), 100, filters.parse(inside=inside)).hits
    return {path.partition("all?/")[2] for hit in hits for path in (hit.path, *hit.also)}


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        ("[1] best/a [1].jpg", {"[1] best/a [1].jpg"}),
        ("a [1].jpg", {"[1] best/a [1].jpg"}),
        ("[1] best", {name for name in FILES if name.startswith("[1]")}),
        ("*/[1] best/", {name for name in FILES if name.startswith("[1]")}),
        ("1 best", {"1 best/d.jpg"}),
        # Patterns are patterns as ever: nothing has these names.
        ("[0-9] best", {"1 best/d.jpg"}),
        ("a [0-9].jpg", {"[1] best/a 1.jpg"}),
        ("[[]1] best/?.jpg", set()),
        ("[[]1] best/??.jpg", {"[1] best/b*.jpg", "[1] best/c?.jpg"}),
        ("b*.jpg", {"[1] best/b*.jpg"}),
        ("[1] *", {"1 best/d.jpg"}),
        ("all?", set(FILES)),
    ],
)
def test_a_name_that_the_library_knows_is_no_pattern(library: Library, inside: str, wanted: set[str]) -> None:
    assert wanted == found(library, inside)


@pytest.mark.parametrize("name", FILES)
def test_the_whole_path_of_a_picture_finds_that_picture_alone(library: Library, odd: Path, name: str) -> None:
    assert {name} == found(library, str(odd / name))


def test_the_whole_path_of_a_folder_finds_what_is_in_it(library: Library, odd: Path) -> None:
    assert set(FILES) == found(library, str(odd)) == found(library, f"{odd}/")
    assert {name for name in FILES if name.startswith("[1]")} == found(library, str(odd / "[1] best"))
    # What is gone was known all the same: the folder does not turn into a pattern.
    shutil.rmtree(odd / "[1] best")
    scan.add(library, odd)
    assert set() == found(library, str(odd / "[1] best"))


@pytest.mark.parametrize(
    "inside", ["box [2].zip", "{odd}/box [2].zip", "{odd}/box [2].zip!", "{odd}/box [2].zip!/d.jpg"]
)
def test_archives_are_paths_too(odd: Path, tmp_path: Path, inside: str) -> None:
    with make_library(tmp_path / "library", odd / "box [2].zip") as library:
        assert {"box [2].zip!/d.jpg"} == found(library, inside.format(odd=odd))


@pytest.mark.parametrize(
    ("glob", "wanted"),
    [
        ("a [1].jpg", {"[1] best/a [1].jpg", "[1] best/a 1.jpg"}),
        ("[1] best", {name for name in FILES if name.endswith("d.jpg") or name.startswith("[1]")}),
        ("[1] best/", {name for name in FILES if name.endswith("d.jpg") or name.startswith("[1]")}),
        ("{odd}/[1] best/b*.jpg", {"[1] best/b*.jpg"}),
        ("{odd}/1 best/", {"1 best/d.jpg"}),
        ("[[]1] best/a [[]1].jpg", {"[1] best/a [1].jpg"}),
        ("{odd}", set()),
        ("/", set()),
    ],
)
def test_an_exclusion_leaves_out_what_is_named_just_so(
    library: Library, odd: Path, glob: str, wanted: set[str]
) -> None:
    report = scan.add(library, odd, (glob.format(odd=odd),))

    assert len(wanted) == report.excluded
    assert {*FILES} - wanted == found(library, str(odd))
