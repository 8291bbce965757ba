"""Hits in the order of their times, and the time of registration as a filter."""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pixfind import Library as PublicLibrary
from pixfind import errors
from pixfind.demo.collection import draw
from pixfind.embedding.runners.serial import Serial
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.search import filters, ranking, searcher
from pixfind.testing.commands import Commands
from pixfind.testing.images import exif_block
from pixfind.testing.libraries import QUIET, recalibrate
from pixfind.types import Sort
from pixfind.workflows.index import index

BEACHES, FORESTS = 12, 60


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Beaches of twelve years, in a random order of their years, among forests; the last beach was registered apart."""
    place = tmp_path_factory.mktemp("sorting")
    pictures = place / "pictures"
    pictures.mkdir()
    for number in range(FORESTS):
        draw("forest", np.random.default_rng(number), (160, 120)).save(pictures / f"forest-{number:02}.jpg", quality=88)
    for number in range(BEACHES):
        taken = dt.datetime(2000 + number * 7 % BEACHES, 6, 1, 12)  # noqa: DTZ001  as cameras write it
        name = f"beach-{taken.year}.jpg"
        draw("beach", np.random.default_rng(number), (160, 120)).save(
            pictures / name, quality=88, exif=exif_block(taken_at=taken)
        )
    (pictures / "beach-2000.jpg").rename(place / "late.jpg")
    with Library.create(place / "library") as made:
        index(made, [pictures], QUIET, runner=Serial())
        with sqlite3.connect(made.catalogue.path) as database:
            # As if they had been there for two days; of one nobody knows.
            database.execute("UPDATE images SET added_at = added_at - 172800")
            database.execute("UPDATE images SET added_at = NULL WHERE path LIKE '%beach-2005.jpg'")
        (place / "late.jpg").rename(pictures / "beach-2000.jpg")
        index(made, (), QUIET, runner=Serial())
        recalibrate(made, query_cutoff=1.0)
        yield made
        assert [] == verify.verify(made)


def names(found: object) -> list[str]:
    return [Path(hit.path).stem for hit in found]  # type: ignore[attr-defined]


def test_hits_above_the_cut_off_are_sorted_by_the_time_at_which_they_were_taken(library: Library) -> None:
    by_score = searcher.search(library, "beach", 50)
    by_date = searcher.search(library, "beach", 50, sort=Sort.DATE)

    assert set(names(by_score)) == set(names(by_date))
    dates = [hit.date or 0 for hit in by_date]
    assert sorted(dates, reverse=True) == dates
    assert names(by_date) != names(by_score)
    assert list(range(1, len(by_date) + 1)) == [hit.rank for hit in by_date]
    assert by_score.below_cutoff <= by_date.below_cutoff


def test_a_shorter_list_is_the_beginning_of_a_longer_one(library: Library) -> None:
    whole = names(searcher.search(library, "beach", 50, sort=Sort.DATE))

    assert whole[:3] == names(searcher.search(library, "beach", 3, sort=Sort.DATE))


def test_the_last_registered_come_first_and_what_is_unknown_last(library: Library) -> None:
    found = searcher.search(library, "beach", 50, sort=Sort.ADDED)

    assert "beach-2000" == names(found)[0]
    assert "beach-2005" == names(found)[-1]
    assert found.hits[-1].added is None


def test_without_a_cut_off_the_nearest_are_sorted(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_MAX_SORTED_WITHOUT_CUTOFF", 5)
    image_id = searcher.search(library, "beach", 1).hits[0].image_id

    by_date = searcher.search(library, f"id:{image_id}", 50, sort=Sort.DATE)

    assert set(names(searcher.search(library, f"id:{image_id}", 5))) == set(names(by_date))
    assert sorted(by_date, key=lambda hit: -(hit.date or 0)) == list(by_date)


def test_words_of_names_are_sorted_too(library: Library) -> None:
    found = searcher.search(library, "name:beach", 50, sort=Sort.DATE)

    assert [f"beach-{year}" for year in range(2011, 1999, -1)] == names(found)


def test_images_are_filtered_by_the_time_of_their_registration(library: Library) -> None:
    today = filters.parse(added_after="yesterday")
    before = filters.parse(added_before="yesterday")

    assert ["beach-2000"] == names(searcher.search(library, "name:beach", 50, today))
    earlier = names(searcher.search(library, "name:beach", 50, before))
    # One whose registration nobody knows is in neither.
    assert BEACHES - 2 == len(earlier)
    assert not {"beach-2000", "beach-2005"} & set(earlier)


def test_a_program_sorts_and_is_told_which_orders_there_are(library: Library) -> None:
    with PublicLibrary.open(library.path) as opened:
        found = opened.search("name:beach", k=2, sort="added", added_after="yesterday")
        assert ["beach-2000"] == names(found)
        with pytest.raises(errors.InvalidFilter, match="score, date, added"):
            opened.search("beach", sort="size")


def test_the_command_line_sorts_and_says_what_a_date_was_taken_for(library: Library, commands: Commands) -> None:
    options = ["name:beach", "--sort", "date", "-k", "2", "--after", "may 2009", "--json"]
    done = commands.run(["--library", str(library.path), "search", *options])

    hits = json.loads(done.stdout)
    assert ["2011-06-01T12:00:00", "2010-06-01T12:00:00"] == [hit["date"] for hit in hits]
    assert '--after "may 2009": 1 May 2009' in done.stderr.decode()


def test_another_generation_knows_when_images_were_registered(library: Library, tmp_path: Path) -> None:
    from pixfind.library.catalogue import Catalogue

    with Catalogue(tmp_path / "metadata.db", write=True) as other:
        other.sync_from(library.catalogue)
        with sqlite3.connect(tmp_path / "metadata.db") as database:
            theirs = database.execute("SELECT id, added_at FROM images ORDER BY id").fetchall()
    with sqlite3.connect(library.catalogue.path) as database:
        assert database.execute("SELECT id, added_at FROM images ORDER BY id").fetchall() == theirs
