"""A full disk at any write: a clear error, an exit code, everything durable kept, and the next run continues where it stopped."""

import asyncio
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import pixfind
from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.index import build
from pixfind.library import commit, merge, verify, watch_lock
from pixfind.library.library import Library
from pixfind.search.searcher import Searcher
from pixfind.server import schemas
from pixfind.server.search import SearchService
from pixfind.testing import make_library, make_pictures
from pixfind.testing.commands import Commands
from pixfind.testing.libraries import QUIET
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows import watch
from pixfind.workflows.embed import embed
from pixfind.workflows.embed_part import embed_part

EMBEDDINGS_OF_TEN = 128 + 10 * 2 * 128
NO_ROOM = 1000
"""bytes: not for a page of the file that processes with the same database share"""


@pytest.mark.parametrize("limit", [200, 600, EMBEDDINGS_OF_TEN, 5000])
def test_a_disk_that_fills_up_stops_the_embed_and_the_next_run_ends_it(
    library: Library, start: Callable, limit: int
) -> None:
    """The limit on file size meets worker files first, then the database."""
    process = start(file_limit=limit)
    _, told = process.communicate(timeout=600)

    assert errors.DiskFull.exit_code == process.returncode, told
    assert "The disk is full" in told
    assert "run the same command again" in told
    assert [] == verify.verify(library)
    process = start()
    _, told = process.communicate(timeout=600)
    assert 0 == process.returncode, told
    assert 40 == library.catalogue.ledger()["embedded"]


def test_a_disk_that_fills_up_during_merge_keeps_what_is_adopted(library: Library) -> None:
    embed(library, QUIET, runner=Serial())
    with _file_size_limit(EMBEDDINGS_OF_TEN), pytest.raises(errors.DiskFull, match=r"embeddings\.npy"):
        merge.merge(library)
    assert [] == verify.verify(library)

    assert 40 == merge.merge(library).rows


def test_a_disk_that_fills_up_during_adopt_leaves_rows_for_the_next_start(library: Library) -> None:
    embed_part(library, 0, 1, QUIET)
    with _file_size_limit(4096), pytest.raises(errors.DiskFull, match=r"metadata\.db"):
        commit.adopt_left_behind(library)
    assert 40 == library.catalogue.ledger()["pending"]

    assert 40 == len(commit.adopt_left_behind(library).embedded)


def test_a_disk_that_fills_up_during_the_index_keeps_the_old_index(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(3000, 64)).astype(np.float16)
    path = tmp_path / "faiss.index"
    build.build(embeddings[:2000], path, extend=False)
    before = path.read_bytes()
    with _file_size_limit(20_000), pytest.raises(errors.DiskFull, match=r"faiss\.index"):
        build.build(embeddings, path, extend=False)

    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_a_full_disk_can_be_read(closed: Path) -> None:
    """SQLite has no room for its shared memory file, which it makes for reading too."""
    with _file_size_limit(NO_ROOM):
        with Library.open(closed) as library, Library.open(closed) as other:
            assert 40 == library.catalogue.ledger()["embedded"] == other.catalogue.ledger()["embedded"]
            assert 5 == len(Searcher(library).search("sky", 5).hits)
            assert [] == verify.verify(library)
        with pytest.raises(errors.DiskFull, match=r"metadata\.db"):
            Library.open(closed, write=True)


def test_what_was_committed_is_read_from_the_log_on_a_full_disk(closed: Path) -> None:
    """A killed writer leaves it there, and not in the database."""
    catalogue = closed / "metadata.db"
    _killed_after(catalogue, "UPDATE images SET camera = 'from the log' WHERE id = 1")
    catalogue.with_name("metadata.db-shm").unlink()
    assert b"from the log" not in catalogue.read_bytes()

    with _file_size_limit(NO_ROOM), Library.open(closed) as library:
        assert "from the log" == _camera(library)


def test_a_writer_that_comes_when_there_is_room_again_changes_nothing_under_a_reader(closed: Path) -> None:
    catalogue = closed / "metadata.db"
    with _file_size_limit(NO_ROOM):
        library = Library.open(closed)
    with library:
        library.catalogue._connection.execute("BEGIN")
        before = _camera(library)
        # Its log is as much of the database as a writer may put there while somebody reads.
        _killed_after(catalogue, "UPDATE images SET camera = 'later'", "PRAGMA wal_checkpoint(PASSIVE)")

        assert before == _camera(library)
        library.catalogue._connection.execute("COMMIT")
        assert "later" == _camera(library)
    with Library.open(closed, write=True) as written:
        assert [] == verify.verify(written)


def test_a_watch_that_opened_a_full_disk_writes_once_there_is_room(
    closed: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads with would keep it from writing: connections of one process share the file that SQLite could not make."""
    make_pictures(pictures, 2, first=60)
    limit, open_events = _file_size_limit(NO_ROOM), watch._Watch._open_events
    told: list[watch.WatchEvent] = []

    def with_room(one: watch._Watch) -> None:
        limit.__exit__()
        open_events(one)

    def hear(event: watch.WatchEvent) -> None:
        told.append(event)
        if isinstance(event, watch.RoundDone):
            watch_lock.request_stop(closed)

    monkeypatch.setattr(watch._Watch, "_open_events", with_room)
    with limit:
        watch.watch(closed, QUIET, runner=Serial(), tell=hear)

    (done,) = (event for event in told if isinstance(event, watch.RoundDone))
    assert done.indexed is not None
    assert 2 == done.indexed.embedded.images


def test_a_program_that_opened_a_full_disk_writes_once_there_is_room(closed: Path, pictures: Path) -> None:
    with _file_size_limit(NO_ROOM):
        library = pixfind.open(closed)
        assert 5 == len(library.search("sky", 5).hits)
        with pytest.raises(errors.DiskFull):
            library.add(pictures)
        assert 5 == len(library.search("sky", 5).hits)
    make_pictures(pictures, 2, first=60)
    with library:
        assert [2] == [report.new for report in library.add(pictures)]
        assert 5 == len(library.search("sky", 5).hits)


def test_a_server_that_opened_a_full_disk_answers_with_what_is_indexed_later(
    closed: Path, pictures: Path, commands: Commands
) -> None:
    asked = schemas.SearchRequest.model_validate({"in": "*", "k": 100})

    async def use() -> None:
        async def hits() -> int:
            return len(json.loads(await searches.response_json(asked))["hits"])

        with _file_size_limit(NO_ROOM):
            searches = SearchService(closed, DecoderPool.for_uploads())
            assert 40 == await hits()
        make_pictures(pictures, 2, first=60)
        assert 0 == commands.run(["--library", str(closed), "index"]).returncode
        assert 42 == await hits()
        searches.close()

    asyncio.run(use())


@pytest.fixture
def closed(tmp_path: Path, pictures: Path) -> Iterator[Path]:
    """A library with all pictures embedded that nobody has open. Ends with `verify`."""
    make_library(tmp_path / "library", pictures).close()
    yield tmp_path / "library"
    with Library.open(tmp_path / "library") as library:
        assert [] == verify.verify(library)


def _killed_after(catalogue: Path, *statements: str) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from pixfind.library.catalogue import Catalogue
connection = Catalogue(Path(sys.argv[1]), write=True)._connection
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(catalogue), *statements], check=False, timeout=600)
    assert -signal.SIGKILL == ended.returncode


def _camera(library: Library) -> str | None:
    found: str | None = library.catalogue._connection.execute("SELECT camera FROM images WHERE id = 1").fetchone()[0]
    return found


class _file_size_limit:  # noqa: N801
    """A disk with this many bytes of room in each file."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        # Python takes a module that was cut for a whole one, and would do so in every test to come.
        self.writes_no_modules, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
        sys.dont_write_bytecode = self.writes_no_modules
