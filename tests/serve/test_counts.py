"""Counts by columns in memory say what the catalogue says, for every filter; and when a large library that grows is read again."""

import asyncio
import contextlib
import json
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.collection.member import LibraryOnDemand
from pixfind.errors import InvalidFilter
from pixfind.library.library import Library
from pixfind.search import filters as language
from pixfind.search.filters import Filters, kilometres
from pixfind.server import browse, columns, columns_reader, facets, schemas
from pixfind.server.columns import Columns
from pixfind.server.local_view import LocalView
from pixfind.server.search import SearchService
from pixfind.testing import make_library, make_pictures
from pixfind.worker.decoders import DecoderPool

PATHS = (
    "/p/2021/a.jpg", "/p/2021/a.b/c.JPG", "/p/2021/.jpg", "/p/2021/no_dot", "/p/2021x/d.png", "/p/[x]* y/e.jpg", "/p/odd.jpg/f.png",
    "/p/odd.jpg/deeper/g.webp", "/p/box.zip!/h.jpg", "/p/box.zip!/in/i.png", "/p/2021/box.jpg!/j.png", "/p/caf\\xe9/k.jpg", "/p/l.jpg",
    "s3://bucket/2021/m.jpg", "/q/n.jpeg", "/q/%/o_.jpg",
)  # fmt: skip
CAMERAS = ("", "Canon EOS", "NIKON 50%", "Älter")
SIZES = ((0, 0), (64, 48), (48, 64), (50, 50), (100, 95), (95, 100), (4000, 3000))
PLACES = ((None, None), (52.5, 13.4), (52.6, 13.5), (-33.9, 151.2), (None, 9.0))
TIMES = (0, 1_600_000_000, 1_609_459_199, 1_609_459_200, 4_102_444_800)

OFFERED: dict[str, tuple[Any, ...]] = {
    "inside": ("*", "/p", "/p/", "/p/*", "/p/2021", "/p/2021/", "/p/2021/a.jpg", "*.jpg", "*.JPG", "/p/*.jpg", "/p/2021/*.png", "/p/[[]x[]]",
               "/p/[[]x][*] y", "/p/box.zip", "/p/box.zip!/in", "2021", "/p/2021*", "*/2021/*.jpg", "/", "/*", "s3://bucket/*.jpg", "/p/caf\udce9",
               "*.tar.gz", "/p/odd.jpg", "/p/*.zip", "/nowhere", "/q/%/*.jpg", "/p//2021", "/p/[x]* y", "[x]* y", "/p/[x]* y/e.jpg", "/p/[0-9]*", "s3://bucket/2021"),
    "after": ("2020", "2021-01-01", "2100"),
    "before": ("1971", "2021", "2200"),
    "min_size": (1, 64, 3000),
    "max_size": (50, 100, 5000),
    "shape": ("square", "portrait", "landscape"),
    "camera": ("canon", "CANON", "50%", "älter", "ÄLTER", "_"),
    "near": ("52.5,13.4,1", "52.5,13.4,15", "-33.9,151.2,20000"),
}  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of 400 rows, in which values meet that meet nowhere else."""
    place = tmp_path_factory.mktemp("odd") / "library"
    Library.create(place).close()
    chance = random.Random(7)
    with sqlite3.connect(place / "metadata.db") as database:
        roots = [(1, "/p"), (2, "/q"), (3, "s3://bucket"), (4, "/empty")]
        database.executemany("INSERT INTO roots (id, path, device, added_at) VALUES (?, ?, 0, 0)", roots)
        for number in range(400):
            path = PATHS[number % len(PATHS)]
            head, _, tail = path.rpartition("/")
            path = path if number < len(PATHS) else f"{head}/{number}{tail}"
            root = 3 if path.startswith("s3") else 2 if path.startswith("/q") else 1
            outcome, row = (("embedded", number), ("failed", None), (None, None))[0 if number % 7 else number % 3]
            width, height = chance.choice(SIZES)
            latitude, longitude = chance.choice(PLACES)
            taken = chance.choice((None, *TIMES))
            values = (root, path, outcome, row, number % 11 == 0, width, height, taken, chance.choice(CAMERAS), latitude, longitude)  # fmt: skip
            database.execute(
                "INSERT INTO images (root_id, path, size, mtime_ns, outcome, embedding_index, gone, width, height, taken_at, camera, latitude, longitude)"
                " VALUES (?, ?, 1, 1500000000000000000, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
    with Library.open(place) as library:
        library.catalogue.add_function("km", 4, kilometres)
        yield library


def drawn_filters(seed: int) -> Filters:
    """One to three filters at once."""
    chance = random.Random(seed)
    while True:
        names = chance.sample(sorted(OFFERED), chance.randint(1, 3))
        try:
            return language.parse(**{name: chance.choice(OFFERED[name]) for name in names})
        except InvalidFilter:
            continue


def counted(library: Library, filters: Filters, read: Columns | None) -> Any:
    """Everything that is counted, as one value."""
    folders = [facets.folders(library, filters, below, read) for below in (None, "/p", "/p/2021", "/", "s3://bucket", "/nowhere")]  # fmt: skip
    return (
        facets.count(library, filters, read).model_dump(),
        [each.model_dump() for each in folders],
        browse.timeline(library, filters, read).model_dump(),
    )


def test_columns_count_what_the_catalogue_counts(odd: Library) -> None:
    read = Columns.read(odd)
    assert 100 < len(read.ids) < 400
    assert counted(odd, Filters(), None) == counted(odd, Filters(), read)
    assert browse.months(odd) == browse.timeline(odd, Filters(), read)
    alone = [language.parse(**{name: value}) for name, values in OFFERED.items() for value in values]
    found = 0
    for filters in (*alone, *map(drawn_filters, range(200))):
        by_catalogue = counted(odd, filters, None)
        found += by_catalogue[0]["count"] > 0
        assert by_catalogue == counted(odd, filters, read), filters
    assert found > 100


def test_blocks_give_what_one_read_gives(odd: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counted(odd, Filters(), Columns.read(odd))
    monkeypatch.setattr(columns, "_BLOCK", 7)
    assert whole == counted(odd, Filters(), Columns.read(odd))


def test_an_empty_library_counts_nothing(tmp_path: Path) -> None:
    with Library.create(tmp_path / "library") as library:
        library.catalogue.add_function("km", 4, kilometres)
        assert 0 == facets.count(library, Filters(), Columns.read(library)).count
        assert counted(library, drawn_filters(1), None) == counted(library, drawn_filters(1), Columns.read(library))


# --- when they are read ----------------------------------------------------------------------------

Growing = tuple[Callable[[], LocalView], Callable[[], None]]


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    """What opens a view of a library of 12 pictures, and what takes one away: as another process would."""
    make_pictures(tmp_path / "pictures", 12)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    decoders = DecoderPool.for_library()

    def take_one() -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "library/metadata.db")) as database, database:
            database.execute("UPDATE images SET gone = 1 WHERE id = (SELECT max(id) FROM images WHERE gone = 0)")

    yield lambda: LocalView(tmp_path / "library", decoders, 2), take_one
    decoders.close()


async def total(view: LocalView) -> tuple[int, bool]:
    found = await view.facets(schemas.Page.model_validate({}), None)
    return found.count, found.current


def test_a_small_library_is_counted_as_it_is(growing: Growing) -> None:
    opened, take_one = growing

    async def use() -> None:
        view = opened()
        for left in range(12, 8, -1):
            assert (left, True) == await total(view)
            take_one()
        view.close()

    asyncio.run(use())


def test_a_large_library_that_grows_is_counted_at_once_and_read_meanwhile(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, take_one = growing
    monkeypatch.setattr(columns_reader, "_SHORT_SECONDS", 0.0)
    monkeypatch.setattr(columns_reader, "_REST", 0)
    may_read, read = threading.Event(), Columns.read

    def read_when_allowed(library: Library) -> Columns:
        assert may_read.wait(60)
        return read(library)

    monkeypatch.setattr(Columns, "read", read_when_allowed)

    async def use() -> None:
        view = opened()
        may_read.set()
        assert (12, True) == await total(view)
        take_one()
        may_read.clear()
        assert (12, False) == await total(view)
        # The reading that this began ends, and the next count is that of the library.
        may_read.set()
        while await total(view) != (11, True):
            pass
        view.close()

    asyncio.run(use())


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """A drive that hangs: the first event says that a library on it was asked for, the second lets it answer."""
    asked, answers, get = threading.Event(), threading.Event(), LibraryOnDemand.get

    def hang(library: LibraryOnDemand) -> Library:
        asked.set()
        # Set by the event loop: it never is while that waits here.
        assert answers.wait(20)
        return get(library)

    monkeypatch.setattr(LibraryOnDemand, "get", hang)
    return asked, answers


def test_a_drive_that_hangs_does_not_hold_up_the_event_loop(
    growing: Growing, hanging: tuple[threading.Event, threading.Event]
) -> None:
    opened, _ = growing
    asked, answers = hanging

    async def use() -> None:
        view = opened()
        counting = asyncio.ensure_future(total(view))
        assert await asyncio.to_thread(asked.wait, 60)
        assert not counting.done()
        answers.set()
        assert (12, True) == await counting
        view.close()

    asyncio.run(use())


def test_nor_does_it_while_a_search_is_compared_with_what_is_remembered(
    growing: Growing, hanging: tuple[threading.Event, threading.Event]
) -> None:
    opened, _ = growing
    asked, answers = hanging

    async def use() -> None:
        view = opened()
        searches = SearchService(view.path, DecoderPool.for_uploads())
        searching = asyncio.ensure_future(searches.response_json(schemas.SearchRequest.model_validate({"in": "*"})))
        assert await asyncio.to_thread(asked.wait, 60)
        assert not searching.done()
        answers.set()
        assert json.loads(await searching)["hits"]
        searches.close()
        view.close()

    asyncio.run(use())


def test_a_library_beyond_the_limit_is_counted_in_the_catalogue(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, _ = growing
    monkeypatch.setattr(columns, "MAX_IMAGES", 11)
    monkeypatch.setattr(Columns, "read", lambda _: pytest.fail("it is read"))

    async def use() -> None:
        view = opened()
        assert (12, True) == await total(view)
        assert 12 == (await view.folders(schemas.Page.model_validate({}), None)).folders[0].count
        view.close()

    asyncio.run(use())


def test_counts_of_a_moment_ago_are_not_remembered(growing: Growing, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, take_one = growing
    monkeypatch.setattr(columns_reader, "_SHORT_SECONDS", 0.0)

    async def use() -> None:
        view = opened()
        searches = SearchService(view.path, DecoderPool.for_uploads())
        request = schemas.SearchRequest.model_validate({})

        async def counted() -> tuple[int, bool]:
            found = json.loads(await searches.facets_json(request, view))
            return found["count"], found["current"]

        assert (12, True) == await counted()
        take_one()
        assert (12, False) == await counted()
        monkeypatch.setattr(columns_reader, "_SHORT_SECONDS", 60.0)
        assert (11, True) == await counted()
        searches.close()
        view.close()

    asyncio.run(use())
