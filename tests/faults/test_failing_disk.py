"""
A disk that fails under a command: recovered or told, never lost.

This is a sample: under each command the first call of each operation on each kind of file, with the two errors in turn.
`python -m benchmarks.disk_faults` lets every call fail, each alone.
"""

import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.testing import disk_sweep, failing_disk
from pixfind.testing.disk_sweep import BAD, RECOVERED, REPORTED, UNREACHED, Place, Sweep
from pixfind.testing.failing_disk import Call, Disk, Fault

SOURCE = Path(__file__).with_name("failing_disk.c")
OTHER_MODEL = Path(__file__).parents[1] / "golden" / "clip-tiny"
VERBS = [verb.name for verb in disk_sweep.verbs(Place(Path(), OTHER_MODEL))]
#: Arrays are repaired in the same way whether the database was lost or a row: the one that is swept first does for both.
REPAIRED_ALIKE = "data/"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc are Linux"),
    pytest.mark.skipif(failing_disk.compiler() is None, reason="no C compiler on this machine: cc, gcc or clang"),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("disk")
    with Disk(failing_disk.build(SOURCE, folder), folder) as disk:
        yield disk


def sweep(name: str, disk: Disk, folder: Path, *, threads: bool = True) -> Sweep:
    place = Place(folder, OTHER_MODEL)
    verb = next(verb for verb in disk_sweep.verbs(place) if verb.name == name)
    return Sweep(verb, place, disk, threads=threads)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("verb", VERBS)
def test_a_call_that_fails_is_told_or_done_without_and_nothing_is_lost(verb: str, disk: Disk, tmp_path: Path) -> None:
    swept = sweep(verb, disk, tmp_path / "swept")
    ends = swept.first_of_each_kind(skip=REPAIRED_ALIKE if verb == "verify --repair (database)" else None)

    assert [] == [f"{end.end}: {end.fault.call}: {end.why}" for end in ends if end.end in BAD]
    assert [] == [str(end.fault.call) for end in ends if end.end == UNREACHED]
    assert any(end.end == REPORTED for end in ends)


@pytest.mark.timeout(1200)
def test_a_worker_that_cannot_write_ends_the_run_and_no_picture_is_blamed(disk: Disk, tmp_path: Path) -> None:
    index = sweep("index", disk, tmp_path / "index", threads=False)
    rows = [call for call in index.calls if call.kind == "data/embeddings_worker_#.npy" and call.operation == "pwrite"]
    # The first makes the file, the second brings rows.
    end = index.end(Fault(rows[1], errno.EIO))

    assert REPORTED == end.end, end.why
    assert "embeddings_worker_0.npy could not be written: Input/output error" in end.why
    assert "died" not in end.why


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("error", "told"), [(errno.ENOSPC, "The disk is full"), (errno.EIO, "could not be")])
def test_a_disk_that_stays_full_or_dead_is_told_once_and_all_is_done_when_it_is_back(
    disk: Disk, tmp_path: Path, error: int, told: str
) -> None:
    index = sweep("index", disk, tmp_path / "index")
    commits = [call for call in index.calls if call.kind == "metadata.db-wal" and call.operation == "fdatasync"]
    end = index.end(Fault(commits[len(commits) // 2], error, lasting=True))

    assert REPORTED == end.end, end.why
    assert 1 == end.why.count("error:")
    assert told in end.why


def test_what_can_be_done_without_is_done_without(disk: Disk, tmp_path: Path) -> None:
    index = sweep("index", disk, tmp_path / "index")
    ends = [index.end(Fault(Call("open", kind, 1), errno.EIO)) for kind in (".progress.json.#", "logs/embed.log")]

    assert [RECOVERED, RECOVERED] == [end.end for end in ends]


def test_rows_that_a_worker_left_behind_are_durable_before_the_commit_that_names_them(
    disk: Disk, tmp_path: Path
) -> None:
    """Their writer may have been killed after it wrote the count and before it synced it."""
    merge = sweep("merge", disk, tmp_path / "merge")
    calls = [(call.operation, call.kind) for call in merge.calls]
    moved = calls.index(("open", "data/embeddings.npy"))
    synced = calls.index(("fdatasync", "data/indices_worker_#.npy"))
    committed = max(at for at in range(moved) if calls[at] == ("fdatasync", "metadata.db-wal"))

    assert synced < committed
    assert ("pwrite", "metadata.db-wal") in calls[synced:committed]


def test_a_name_is_durable_before_anything_stands_under_it(disk: Disk, tmp_path: Path) -> None:
    calls = [(call.operation, call.kind) for call in sweep("index", disk, tmp_path / "index").calls]

    assert ("fsync", ".") == calls[calls.index(("mkdir", "data")) + 1]
    for worker_file in ("data/embeddings_worker_#.npy", "data/indices_worker_#.npy"):
        made, written = calls.index(("open", worker_file)), calls.index(("pwrite", worker_file))
        assert ("fsync", "data") in calls[made:written]
