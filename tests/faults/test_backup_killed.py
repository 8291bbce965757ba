"""kill -9 at every step of a backup leaves the backup that was there before, and backups that are made during a run are complete."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.library import verify
from pixfind.library.database import Connection
from pixfind.library.library import Library
from pixfind.storage import disk
from pixfind.testing import make_library, make_pictures, wait_for
from pixfind.testing.forks import forked
from pixfind.testing.libraries import make_slow_pictures
from pixfind.workflows.backup import backup


def _killed(library: Path, place: Path, step: int) -> tuple[int, int]:
    """Back up in a fork that is killed before its step `step` (0: never): a sync, a rename, a deletion or a copy of the database."""

    def work() -> int:
        taken = 0

        def count() -> None:
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sync, copy = disk.sync, Connection.backup

        def counted_sync(descriptor: int) -> None:
            count()
            sync(descriptor)

        def counted_copy(connection: Connection, target: Connection) -> None:
            count()
            copy(connection, target)

        def hear(event: str, _arguments: object) -> None:
            if event in {"os.rename", "os.remove"}:
                count()

        disk.sync, Connection.backup = counted_sync, counted_copy  # type: ignore[assignment,method-assign]
        sys.addaudithook(hear)
        with Library.open(library) as opened:
            backup(opened, place)
        return taken

    return forked(work)


def _images(place: Path) -> int:
    with Library.open(place) as made:
        # Between the two headers, and the database too, where the copy holds rows that the next backup will name.
        assert [] == verify.verify(made)
        assert not made.embeddings_path.exists() or made.merged_rows >= made.catalogue.ledger()["embedded"]
        return made.catalogue.ledger()["embedded"]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("there_is_one", [False, True])
def test_killed_at_any_step_the_backup_before_is_there(tmp_path: Path, there_is_one: bool) -> None:
    make_pictures(tmp_path / "pictures", 4)
    library = tmp_path / "library"
    before = tmp_path / "before"
    made = make_library(library, tmp_path / "pictures")
    if there_is_one:
        backup(made, before)
        make_pictures(tmp_path / "pictures", 3, first=10)
        made.close()
        made = make_library(library, tmp_path / "pictures")
    made.close()
    images = 7 if there_is_one else 4

    def copy(name: str) -> Path:
        return shutil.copytree(before, tmp_path / name) if there_is_one else tmp_path / name

    steps = _killed(library, copy("whole"), 0)[1]
    assert steps > 5
    seen = set()
    for step in range(1, steps + 1):
        place = copy(f"step-{step}")
        assert (signal.SIGKILL, -1) == _killed(library, place, step)
        try:
            seen.add(_images(place))
        except errors.LibraryNotFound:
            assert not there_is_one
            seen.add(0)
        with Library.open(library) as opened:
            backup(opened, place)
        with Library.open(place) as after:
            assert [] == verify.verify(after)
            assert images == after.catalogue.ledger()["embedded"]
    assert {4 if there_is_one else 0, images} == seen


@pytest.mark.timeout(1200)
def test_backups_of_a_library_that_is_being_filled_are_complete(tmp_path: Path) -> None:
    """Made one after the other while `pixfind index` runs, is killed and runs again; each is consistent and has all of the one before."""
    chance = random.Random(7)
    make_slow_pictures(tmp_path / "pictures", 40)
    library, place = tmp_path / "library", tmp_path / "backup"
    make_library(library, tmp_path / "pictures", embed=False).close()
    command = [sys.executable, "-m", "pixfind", "--library", str(library), "index", str(tmp_path / "pictures")]
    had, made = 0, 0
    while had < 40:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
        wanted = min(40, had + chance.randint(5, 20))

        def embedded(wanted: int = wanted, process: "subprocess.Popen[bytes]" = process) -> bool:
            nonlocal had, made
            with Library.open(library) as opened:
                backup(opened, place)
            with Library.open(place) as copied:
                assert [] == verify.verify(copied)
                now = copied.catalogue.ledger()["embedded"]
            assert now >= had
            had, made = now, made + 1
            return had >= wanted or process.poll() is not None

        wait_for(embedded)
        process.kill()
        process.wait()
    assert made >= 3
    with Library.open(library) as opened:
        assert 40 == backup(opened, place).rows
