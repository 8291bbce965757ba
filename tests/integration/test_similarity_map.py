"""The similarity map comes with the index, follows the library as it grows, and does without openTSNE where that is missing."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.library import backup, scan, verify
from pixfind.library.library import Library
from pixfind.search import similarity_map
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.build_index import build_index
from pixfind.workflows.events import Event, Step, StepStarted
from pixfind.workflows.index import index

COUNT = 40


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    make_pictures(tmp_path / "pictures", COUNT)
    with make_library(tmp_path / "library", tmp_path / "pictures") as made, made.lock("test"):
        yield made


def built(library: Library) -> bool:
    """Build the index; return whether the map was made with it."""
    seen: list[Event] = []
    build_index(library, seen.append)
    return any(isinstance(event, StepStarted) and event.step is Step.MAP for event in seen)


def grow(library: Library, tmp_path: Path, count: int) -> None:
    from pixfind.embedding.runners.serial import Serial
    from pixfind.workflows.embed import embed
    from pixfind.workflows.merge import merge

    make_pictures(tmp_path / "pictures", count, first=1000 + library.merged_rows)
    scan.add(library, tmp_path / "pictures")
    embed(library, QUIET, runner=Serial())
    merge(library)


def test_it_is_made_with_the_index_and_once(library: Library) -> None:
    assert similarity_map.read(library) is None
    assert built(library)
    made = similarity_map.read(library)
    assert made is not None
    assert (COUNT, 2) == made.points(library.embeddings()).shape
    assert not built(library)


def test_few_new_images_have_points_and_more_are_kept(library: Library, tmp_path: Path) -> None:
    built(library)
    grow(library, tmp_path, 2)
    assert not built(library)
    made = similarity_map.read(library)
    assert made is not None
    assert COUNT == len(made.steps)
    assert (COUNT + 2, 2) == made.points(library.embeddings()).shape
    grow(library, tmp_path, 3)
    assert built(library)
    made = similarity_map.read(library)
    assert made is not None
    assert (COUNT + 5, COUNT) == (len(made.steps), made.arranged)
    grow(library, tmp_path, 10)
    assert built(library)
    made = similarity_map.read(library)
    assert made is not None
    assert COUNT + 15 == made.arranged


def test_a_map_of_other_embeddings_is_made_again(library: Library) -> None:
    built(library)
    before = similarity_map.identity(library.data)
    path = similarity_map.path(library.data)
    path.write_bytes(path.read_bytes()[:-100])
    assert similarity_map.read(library) is None
    assert built(library)
    assert before != similarity_map.identity(library.data)
    assert similarity_map.read(library) is not None
    assert [] == verify.verify(library)


def test_without_opentsne_the_index_is_built_all_the_same(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not built(library)
    assert similarity_map.read(library) is None


def test_few_images_have_no_map(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", similarity_map.MIN_ROWS - 1)
    with Library.create(tmp_path / "library") as library:
        index(library, [tmp_path / "pictures"], QUIET)
        assert similarity_map.identity(library.data) is None


def test_a_backup_has_it(library: Library, tmp_path: Path) -> None:
    built(library)
    backup.copy(library, tmp_path / "backup")
    assert similarity_map.identity(tmp_path / "backup/data") is not None
