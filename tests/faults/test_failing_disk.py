"""
A disk that fails under any command, at any kind of call on any kind of file: recovered or told, never lost.

This is a sample: one call for each operation on each kind of file, under the command that makes it in the least time, and with the two
errors in turn. `python -m benchmarks.disk_faults` lets every call fail.
"""

import contextlib
import errno
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pixfind.testing import disk_sweep, failing_disk
from pixfind.testing.disk_sweep import BAD, RECOVERED, TOLD, UNREACHED, End, Place, Sweep
from pixfind.testing.failing_disk import Call, Disk, Fault

SOURCE = Path(__file__).with_name("failing_disk.c")
OTHER_MODEL = Path(__file__).parents[1] / "golden" / "clip-tiny"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc are Linux"),
    pytest.mark.skipif(failing_disk.compiler() is None, reason="no C compiler on this machine: cc, gcc or clang"),
]


#: What is swept together, in one process after another. What one command has, no later one tries again.
GROUPS = (
    ("merge", "verify --repair (rows)", "verify --repair (database)"),
    ("build-index", "index --model"),
    ("serve", "index"),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return failing_disk.build(SOURCE, tmp_path_factory.mktemp("built"))


def sweep(name: str, disk: Disk, folder: Path, *, threads: bool = True) -> Sweep:
    place = Place(folder, OTHER_MODEL)
    verb = next(verb for verb in disk_sweep.verbs(place) if verb.name == name)
    return Sweep(verb, place, disk, threads=threads)


def kind_of(call: Call) -> tuple[str, str]:
    """The operation and the kind of file, with those that are written by the same few lines taken together."""
    kind = call.kind.removeprefix("models/#/")
    if kind.endswith(".tmp") or call.operation == "rename":
        kind = "published"
    elif kind.endswith(".npy"):
        kind = "rows"
    elif call.operation == "mkdir" and not kind.startswith(("derived", "thumbnails")):
        kind = "folder"
    return call.operation, kind


def sample(sweeps: list[Sweep]) -> list[tuple[Sweep, Fault]]:
    """For each kind of call the one in the middle, where the first of the sweeps makes it."""
    errors = itertools.cycle((errno.EIO, errno.ENOSPC))
    chosen: dict[tuple[str, str], tuple[Sweep, Fault]] = {}
    for each in sweeps:
        calls: dict[tuple[str, str], list[Call]] = {}
        for call in each.calls:
            calls.setdefault(kind_of(call), []).append(call)
        for kind, found in calls.items():
            chosen.setdefault(kind, (each, Fault(found[len(found) // 2], next(errors))))
    return list(chosen.values())


@pytest.mark.timeout(300)
def test_a_call_of_each_kind_that_fails_is_told_or_done_without_and_nothing_is_lost(
    built: Path, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as opened, ThreadPoolExecutor(len(GROUPS)) as jobs:
        disks = [opened.enter_context(Disk(built, tmp_path / f"disk-{group[0]}")) for group in GROUPS]

        def prepared(names: tuple[str, ...], disk: Disk) -> list[Sweep]:
            return [sweep(name, disk, tmp_path / name) for name in names]

        def ends(sweeps: list[Sweep]) -> list[End]:
            return [each.end(fault) for each, fault in chosen if each in sweeps]

        groups = list(jobs.map(prepared, GROUPS, disks))
        chosen = sample([each for sweeps in groups for each in sweeps])
        found = [end for group in jobs.map(ends, groups) for end in group]

    assert [] == [f"{end.end}: {end.verb}: {end.fault.call}: {end.why}" for end in found if end.end in BAD]
    # Some calls are made only now and then, such as those that publish the progress; nearly all are met.
    assert sum(end.end == UNREACHED for end in found) <= len(found) // 10
    assert {"open", "write", "pwrite", "fwrite", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "mkdir"} <= {
        end.fault.call.operation for end in found
    }


@pytest.mark.timeout(120)
def test_a_worker_that_cannot_write_ends_the_run_and_no_picture_is_blamed(built: Path, tmp_path: Path) -> None:
    with Disk(built, tmp_path / "disk") as disk:
        index = sweep("index", disk, tmp_path / "index", threads=False)
        rows = [
            call for call in index.calls if call.kind == "data/embeddings_worker_#.npy" and call.operation == "pwrite"
        ]
        # The first two make the file, the third brings rows.
        end = index.end(Fault(rows[1], errno.EIO))

    assert TOLD == end.end, end.why
    assert "embeddings_worker_0.npy could not be written: Input/output error" in end.why
    assert "died" not in end.why


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("error", "told"), [(errno.ENOSPC, "No room to write"), (errno.EIO, "could not be")])
def test_a_disk_that_stays_full_or_dead_is_told_once_and_all_is_done_when_it_is_back(
    built: Path, tmp_path: Path, error: int, told: str
) -> None:
    with Disk(built, tmp_path / "disk") as disk:
        index = sweep("index", disk, tmp_path / "index")
        commits = [call for call in index.calls if call.kind == "metadata.db-wal" and call.operation == "fdatasync"]
        end = index.end(Fault(commits[len(commits) // 2], error, lasting=True))

    assert TOLD == end.end, end.why
    assert 1 == end.why.count("error:")
    assert told in end.why


def test_what_can_be_done_without_is_done_without(built: Path, tmp_path: Path) -> None:
    with Disk(built, tmp_path / "disk") as disk:
        index = sweep("index", disk, tmp_path / "index")
        ends = [index.end(Fault(Call("open", kind, 1), errno.EIO)) for kind in (".progress.json.#", "logs/embed.log")]

    assert [RECOVERED, RECOVERED] == [end.end for end in ends]
