"""
A disk that fails under a command: recovered or told, never lost.

This is a sample: one call for each operation on each kind of file that a build of the index writes, with the two errors in turn. `python -m benchmarks.disk_faults` lets every call fail.
"""

import errno
import itertools
import sys
from pathlib import Path

import pytest

from pixfind.testing import disk_sweep, failing_disk
from pixfind.testing.disk_sweep import BAD, RECOVERED, TOLD, Place, Sweep
from pixfind.testing.failing_disk import Call, Disk, Fault

SOURCE = Path(__file__).with_name("failing_disk.c")
OTHER_MODEL = Path(__file__).parents[1] / "golden" / "clip-tiny"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc are Linux"),
    pytest.mark.skipif(failing_disk.compiler() is None, reason="no C compiler on this machine: cc, gcc or clang"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return failing_disk.build(SOURCE, tmp_path_factory.mktemp("built"))


def sweep(name: str, disk: Disk, folder: Path, *, threads: bool = True) -> Sweep:
    place = Place(folder, OTHER_MODEL)
    verb = next(verb for verb in disk_sweep.verbs(place) if verb.name == name)
    return Sweep(verb, place, disk, threads=threads)


#: What is tried under each command, by what is in the name of the file.
SAMPLED = {"build-index": ("",)}


def sample(calls: tuple[Call, ...], names: tuple[str, ...]) -> list[Fault]:
    """One call for each operation on each kind of file."""
    found: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        if any(name in call.kind for name in names):
            found.setdefault((call.operation, "published" if call.kind.endswith(".tmp") else call.kind), []).append(
                call
            )
    errors = itertools.cycle((errno.EIO, errno.ENOSPC))
    return [Fault(each[len(each) // 2], error) for each, error in zip(found.values(), errors, strict=False)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("verb", SAMPLED)
def test_a_call_that_fails_is_told_or_done_without_and_nothing_is_lost(verb: str, built: Path, tmp_path: Path) -> None:
    with Disk(built, tmp_path / "disk") as disk:
        swept = sweep(verb, disk, tmp_path / "swept")
        faults = sample(swept.calls, SAMPLED[verb])
        ends = [swept.end(fault) for fault in faults]

    assert len(faults) >= 3
    assert [] == [f"{end.end}: {end.fault.call}: {end.why}" for end in ends if end.end in BAD]
    assert any(end.end in (RECOVERED, TOLD) for end in ends)


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
