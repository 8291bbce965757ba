"""Text in pictures: read once for each content, kept whatever becomes of files and models, and found."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding import coordinator
from pixfind.embedding.runners.local import Local
from pixfind.embedding.runners.serial import Serial
from pixfind.library import fulltext, texts, verify
from pixfind.library.library import Library
from pixfind.search import searcher
from pixfind.search.results import Reason
from pixfind.testing import copy_library, draw_text, make_image
from pixfind.testing.libraries import QUIET
from pixfind.worker import pipeline
from pixfind.workflows import events
from pixfind.workflows import read_text as workflow
from pixfind.workflows.events import EmbedProgress, Event
from pixfind.workflows.index import IndexSummary, index
from pixfind.workflows.options import EmbedOptions
from pixfind.workflows.read_text import read_text


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that has embedded its pictures and read nothing; to be copied."""
    place = tmp_path_factory.mktemp("unread")
    folder = place / "pictures"
    draw_text(folder / "a.png", "Invoice 2023\nTotal 12.50")
    draw_text(folder / "b.png", "Hotel Bellevue")
    make_image(folder / "c.png", seed=3, size=(200, 150))
    shutil.copy(folder / "a.png", folder / "copy of a.png")
    with Library.create(place / "library") as made:
        index(made, [folder], QUIET, runner=Serial())
    return place


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


@pytest.fixture
def library(original: Path, tmp_path: Path) -> Iterator[Library]:
    """Embedded, and nothing read."""
    with copy_library(original, tmp_path) as made:
        yield made
        assert [] == verify.verify(made)


@pytest.fixture(scope="module")
def original_read(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("read")
    with copy_library(original, place) as made:
        assert {"read": 2, "no text": 1} == reading(made)
    return place


@pytest.fixture
def read(original_read: Path, tmp_path: Path) -> Iterator[Library]:
    """Embedded, and read."""
    with copy_library(original_read, tmp_path) as made:
        yield made
        assert [] == verify.verify(made)


def reading(library: Library, options: EmbedOptions = QUIET) -> dict[str, int]:
    with library.lock("read-text"):
        return read_text(library, options, runner=Serial()).outcomes


def refreshed(library: Library) -> tuple[IndexSummary, list[Event]]:
    seen: list[Event] = []
    return index(library, (), QUIET, runner=Serial(), observer=seen.append), seen


def names(library: Library, query: str, k: int = 20) -> list[str]:
    return sorted(Path(hit.path).name for hit in searcher.search(library, query, k).hits)


def test_each_content_is_read_once_and_a_copy_has_the_text_of_its_original(read: Library) -> None:
    assert {"read": 2, "no text": 1, "failed": 0, "pending": 0} == texts.ledger(read.catalogue)
    (hit,) = searcher.search(read, "says:invoice").hits
    assert {"a.png", "copy of a.png"} == {Path(path).name for path in (hit.path, *hit.also)}
    assert {} == reading(read)


def test_what_was_read_is_found_while_the_run_goes_on(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each picture is saved, committed, shown and indexed as soon as it is read.
    monkeypatch.setattr(workflow, "_INDEX_SECONDS", 0.0)
    monkeypatch.setattr(pipeline, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(coordinator, "_ADOPT_SECONDS", 0.0)
    monkeypatch.setattr(coordinator, "_TICK_SECONDS", 0.0)
    found: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, EmbedProgress):
            found.append(len(searcher.search(library, "says:invoice").hits))

    with library.lock("read-text"):
        read_text(library, QUIET, runner=Serial(), observer=look)
    assert 0 == found[0]
    assert 1 in found


def test_a_hit_shows_its_line_and_where_it_stands(read: Library) -> None:
    (hit,) = searcher.search(read, 'says:"total 12.50"').hits

    assert (Reason.SAYS,) == hit.because
    (line,) = hit.lines
    assert "Total 12.50" == line.text
    assert line.confidence > 0.8
    left, top, *_, bottom = line.box
    assert 0.03 < left < 0.07
    assert 0.25 < top < bottom < 0.6


def test_words_that_are_wanted_and_words_that_are_not(read: Library) -> None:
    assert ["b.png"] == names(read, "says:hotel")
    assert ["b.png"] == names(read, "says:bellevue -says:invoice")
    assert [] == names(read, "says:hotel -says:bellevue")
    assert ["b.png"] == names(read, "id:1 says:hotel")
    assert ["b.png", "c.png"] == names(read, "id:1 -says:invoice")


def test_a_word_that_stands_in_a_picture_lifts_it_above_all_others(read: Library) -> None:
    """The starter model does not know the word: nothing was found before."""
    result = searcher.search(read, "bellevue", 20)

    assert ["b.png"] == [Path(hit.path).name for hit in result.hits]
    assert (Reason.SAYS,) == result.hits[0].because
    assert 3 == len(searcher.search(read, "bellevue", 20, include_weak=True).hits)


def test_without_text_nothing_changes(library: Library) -> None:
    def answer(query: str) -> list[tuple[str, float]]:
        hits = searcher.search(library, query, 20, include_weak=True).hits
        return [(hit.path, hit.score) for hit in hits]

    queries = ("sky", "a red square", "sky -red", "id:2")
    before = [answer(query) for query in queries]
    reading(library)

    # Words that stand nowhere: to the bit, and in the same order.
    assert before == [answer(query) for query in queries]


def test_a_moved_picture_keeps_its_text_and_a_changed_one_is_read_again(read: Library, pictures: Path) -> None:
    (pictures / "b.png").rename(pictures / "moved.png")
    refreshed(read)
    assert {} == reading(read)
    assert ["moved.png"] == names(read, "says:hotel")

    draw_text(pictures / "moved.png", "Garage Miller")
    refreshed(read)
    assert {"read": 1} == reading(read)
    assert [] == names(read, "says:hotel")
    assert ["moved.png"] == names(read, "says:garage")


def test_what_changes_while_it_waits_is_left_for_the_next_index(library: Library, pictures: Path) -> None:
    draw_text(pictures / "b.png", "Garage Miller")
    assert {"read": 1, "no text": 1} == reading(library)
    assert 1 == texts.ledger(library.catalogue)["pending"]

    refreshed(library)
    assert {"read": 1} == reading(library)
    assert ["b.png"] == names(library, "says:garage")


def test_index_reads_what_is_new_once_it_is_wanted(library: Library, pictures: Path) -> None:
    assert refreshed(library)[0].read is None
    texts.want(library.catalogue, wanted=True)
    done, seen = refreshed(library)
    assert done.read is not None
    assert 3 == done.read.images
    assert isinstance(seen[-1], events.ReadFinished)

    draw_text(pictures / "new.png", "Museum ticket")
    refreshed(library)
    assert ["new.png"] == names(library, "says:museum")
    assert refreshed(library)[0].read is None


def test_a_picture_that_cannot_be_read_is_tried_again_when_that_may_help(library: Library, pictures: Path) -> None:
    (pictures / "b.png").rename(pictures.parent / "away.png")
    assert 1 == reading(library)["failed"]
    assert {"file missing": 1} == texts.failures(library.catalogue)

    (pictures.parent / "away.png").rename(pictures / "b.png")
    assert {"read": 1} == reading(library)


def test_text_is_data_and_the_index_over_it_is_not(read: Library) -> None:
    fulltext.path(read.data).unlink()
    result = searcher.search(read, "sky", 5, include_weak=True)
    assert 3 == len(result.hits)
    assert "fulltext.db" in str(result.problem)
    with pytest.raises(errors.WordsNotIndexed):
        names(read, "says:hotel")

    refreshed(read)
    assert ["b.png"] == names(read, "says:hotel")


@pytest.mark.parametrize("poisoned", ["crash", "hang"])
def test_a_picture_that_crashes_or_hangs_a_worker_fails_alone(library: Library, poisoned: str) -> None:
    command = (sys.executable, "-m", "pixfind.testing.workers", poisoned, "b.png")
    options = EmbedOptions(workers=1, share=1.0, nice=0, seconds_per_image=5.0)
    with library.lock("read-text"):
        report = read_text(library, options, runner=Local(command))

    assert {"read": 1, "no text": 1, "failed": 1} == report.outcomes
    kind = {"crash": "decoder crash", "hang": "decode timeout"}[poisoned]
    assert {kind: 1} == texts.failures(library.catalogue)
