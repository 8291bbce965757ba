"""Workers that rest between runs: woken by the next run that wants the same model, and at rest they hold nothing of a library."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pixfind import errors
from pixfind.embedding.progress import RunReport
from pixfind.embedding.runners import Ended
from pixfind.embedding.runners.warm import Warm
from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.storage import worker_files
from pixfind.testing import make_library, make_pictures, wait_for, workers
from pixfind.testing.scripted import scripted_config
from pixfind.worker import protocol
from pixfind.worker.protocol import FromWorker, Stop, WorkerConfig
from pixfind.workflows.embed import embed
from pixfind.workflows.options import EmbedOptions

LONG = 3600.0
OPTIONS = EmbedOptions(workers=1, share=1.0, nice=0, memory=2**30)

Run = Callable[..., RunReport]


@pytest.fixture
def warm() -> Iterator[Warm]:
    with Warm(LONG) as runner:
        yield runner
        pids = runner.idle()
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.fixture
def run(warm: Warm, library: Library, pictures: Path) -> Run:
    """Embed what is pending; with `new`, so many more pictures."""
    made = iter(range(100, 200))

    def once(new: int = 0, options: EmbedOptions = OPTIONS, runner: Warm = warm) -> RunReport:
        for number in [next(made) for _ in range(new)]:
            make_pictures(pictures / "new", 1, first=number)
        with library.lock("embed"):
            scan.add(library, pictures)
            return embed(library, options, runner=runner)

    return once


def embedded(library: Library) -> int:
    ledger = library.catalogue.ledger()
    assert 0 == ledger["pending"] == ledger["failed"]
    return ledger["embedded"]


def test_the_next_run_wakes_the_worker_and_its_model(run: Run, warm: Warm, library: Library) -> None:
    first = run()
    idle = warm.idle()
    second = run(new=3)

    assert 1 == len(idle)
    assert idle == warm.idle()
    assert (40, 3) == (first.images, second.images)
    assert 43 == embedded(library)
    log = (library.logs / "embed_worker_0.log").read_text()
    assert 2 == log.count(f"process {idle[0]}\n"), "each run has its part of the log"


def test_several_workers_rest_and_only_those_that_are_needed_are_woken(run: Run, warm: Warm, library: Library) -> None:
    two = dataclasses.replace(OPTIONS, workers=2)
    run(options=two)
    idle = warm.idle()
    report = run(new=1, options=two)

    assert 2 == len(idle)
    assert (1, 0) == (report.images, report.deaths)
    assert idle == warm.idle()
    assert 41 == embedded(library)


def test_at_rest_it_holds_no_file_and_no_lock_of_the_library(run: Run, warm: Warm, library: Library) -> None:
    run()
    (pid,) = warm.idle()
    opened = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()] if sys.platform == "linux" else []

    assert [] == [file.path for file in psutil.Process(pid).open_files() if file.path.startswith(str(library.path))]
    assert [] == [name for name in opened if name.startswith(str(library.path))]
    worker_files.lock(library.data, 0, patience=0.0).release()


def test_it_serves_another_library_when_the_former_one_is_gone(
    run: Run, warm: Warm, library: Library, tmp_path: Path
) -> None:
    run()
    idle = warm.idle()
    copy = tmp_path / "former"
    shutil.copytree(library.path, copy)
    make_pictures(tmp_path / "others", 5)
    with make_library(tmp_path / "second", tmp_path / "others", embed=False) as second:
        (tmp_path / "library").rename(tmp_path / "moved away")
        with second.lock("embed"):
            report = embed(second, OPTIONS, runner=warm)
        assert (5, 0) == (report.images, report.deaths)
        assert [] == verify.verify(second)
        assert f"process {idle[0]}\n" in (second.logs / "embed_worker_0.log").read_text()
    (tmp_path / "moved away").rename(tmp_path / "library")
    assert idle == warm.idle()


@pytest.mark.parametrize("seen", [True, False])
def test_a_worker_that_is_killed_at_rest_is_no_crash(run: Run, warm: Warm, library: Library, *, seen: bool) -> None:
    """Whether its end is known when the next run starts, or the run finds out."""
    run()
    (pid,) = warm.idle()
    os.kill(pid, signal.SIGKILL)
    if seen:
        wait_for(lambda: not warm.idle())
    report = run(new=2)

    assert (2, 0) == (report.images, report.deaths)
    assert 42 == embedded(library)
    assert [pid] != warm.idle()


def test_a_worker_that_dies_of_being_woken_is_replaced(tmp_path: Path) -> None:
    config = scripted_config(tmp_path, tmp_path, dimension=8)
    with Warm(LONG, scripted("at_second_config = sys.exit")) as runner:
        assert [protocol.Ready("cpu", "fp32", 4), Ended(0, "it rests")] == events(runner, config)
        idle = runner.idle()
        assert [protocol.Ready("cpu", "fp32", 4), Ended(0, "it rests")] == events(runner, config)
        assert idle != runner.idle()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"model_hash": "1" * 64},
        {"precision": "int8"},
        {"device": "cuda"},
        {"threads": 2},
        {"nice": 3},
    ],
)
def test_a_run_that_wants_another_encoder_gets_another_worker(tmp_path: Path, change: dict[str, object]) -> None:
    config = scripted_config(tmp_path, tmp_path, dimension=8)
    with Warm(LONG, scripted()) as runner:
        events(runner, config)
        idle = runner.idle()
        events(runner, dataclasses.replace(config, **change))  # type: ignore[arg-type]

        assert not psutil.pid_exists(idle[0])
        assert 1 == len(runner.idle())


def test_the_rest_of_a_plan_may_differ_and_holds_for_the_run(run: Run, warm: Warm) -> None:
    run()
    (pid,) = warm.idle()
    run(new=1, options=dataclasses.replace(OPTIONS, memory=2**31, seconds_per_image=30.0, megapixels=50.0))

    assert [pid] == warm.idle()
    if sys.platform == "linux":
        assert 2**31 == psutil.Process(pid).rlimit(psutil.RLIMIT_DATA)[0]


def test_a_crash_is_attributed_as_ever_and_who_replaced_the_worker_rests(run: Run, library: Library) -> None:
    with Warm(LONG, workers.command("crash", "picture_00013")) as runner:
        report = run(runner=runner)

        assert 2 == report.deaths
        assert (39, 1) == (library.catalogue.ledger()["embedded"], library.catalogue.ledger()["failed"])
        assert 1 == len(runner.idle())


def test_a_worker_with_a_thread_that_hangs_does_not_rest(run: Run, library: Library) -> None:
    with Warm(LONG, workers.command("hang", "picture_00013")) as runner:
        run(options=dataclasses.replace(OPTIONS, seconds_per_image=3.0), runner=runner)

        assert [] == runner.idle()
    assert (39, 1) == (library.catalogue.ledger()["embedded"], library.catalogue.ledger()["failed"])


def test_nothing_rests_where_nothing_is_to_be_kept(run: Run, library: Library) -> None:
    # Servers that other tests share are children of this process too.
    before = {*psutil.Process().children()}
    with Warm(0.0) as runner:
        run(runner=runner)

        assert [] == runner.idle()
        assert set() == {*psutil.Process().children()} - before
    assert 40 == embedded(library)


def test_a_rest_ends_by_itself(run: Run, library: Library) -> None:
    before = {*psutil.Process().children()}
    with Warm(0.5) as runner:
        run(runner=runner)
        wait_for(lambda: before >= {*psutil.Process().children()})

        assert [] == runner.idle()
        assert 0 == run(new=1, runner=runner).deaths
    assert 41 == embedded(library)


def test_a_worker_at_rest_ends_with_its_coordinator(library: Library) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pixfind.embedding.runners.warm import Warm\n"
        "from pixfind.library.library import Library\n"
        "from pixfind.workflows.embed import embed\n"
        "runner = Warm()\n"
        "with Library.open(Path(sys.argv[1]), write=True) as library, library.lock('embed'):\n"
        "    embed(library, runner=runner)\n"
        "print(*runner.idle(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(library.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        idle = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()

    assert idle
    assert [] == psutil.wait_procs(idle, timeout=50)[1]


def test_a_rest_that_nobody_asked_for_ends_the_run(tmp_path: Path) -> None:
    config = scripted_config(tmp_path, tmp_path, dimension=8)
    with Warm(LONG, scripted("at_config = rest")) as runner:
        runner.start(config)
        found: list[tuple[int, FromWorker | Ended]] = []
        wait_for(lambda: found.extend(runner.receive(1.0)) or len(found) > 1)

        fatal = found[1][1]
        assert isinstance(fatal, protocol.Fatal)
        assert isinstance(fatal.rebuilt(), errors.UnknownMessage)
        runner.close()
        assert [] == runner.idle()


def scripted(change: str = "") -> tuple[str, ...]:
    """The command of a worker that does nothing but become ready and rest."""
    program = f"""
import json, sys
def rest():
    print('{{"resting": {{}}}}', flush=True)
at_config = at_second_config = lambda: None
{change}
runs = 0
for line in sys.stdin:
    if "config" in json.loads(line):
        if runs:
            at_second_config()
        runs += 1
        print('{{"ready": {{"device": "cpu", "precision": "fp32", "batch": 4}}}}', flush=True)
        at_config()
    elif "rest" in json.loads(line):
        rest()
"""
    return (sys.executable, "-c", program)


def events(runner: Warm, config: WorkerConfig) -> list[FromWorker | Ended]:
    """What arrives in a run whose worker is stopped as soon as it is ready."""
    found: list[FromWorker | Ended] = []
    runner.start(config)
    while not (found and isinstance(found[-1], Ended)):
        for worker, event in runner.receive(1.0):
            found.append(event)
            if isinstance(event, protocol.Ready):
                runner.send(worker, Stop())
                runner.send(worker, Stop())
    runner.close()
    return found
