"""What the tests of faults share: an embed in a process of its own that can be killed, starved or filled up."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pixfind.library.library import Library

RUN = """
import resource, sys
from pathlib import Path
from pixfind import errors
from pixfind.workflows.options import EmbedOptions
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge
from pixfind.library.library import Library
from pixfind.embedding.runners.local import Local
path, how, argument, limit, workers_count, seconds = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
command = (sys.executable, "-m", "pixfind.worker")
if how:
    command = (sys.executable, "-m", "pixfind.testing.workers", how, argument)
options = EmbedOptions(
    workers=int(workers_count), share=1.0, nice=0, seconds_per_image=float(seconds), memory=2**30
)
try:
    with Library.open(Path(path), write=True) as library, library.lock("embed"):
        report = embed(library, options, runner=Local(command))
        merge(library)
        print(report.images, report.deaths)
except errors.OperationError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(library: Library) -> Start:
    """Start an embed of `library`: start(how="crash", argument="name", file_limit=bytes, workers=2, seconds=60)."""

    def started(
        how: str = "", argument: str = "", *, file_limit: int = 0, workers: int = 1, seconds: float = 60.0
    ) -> "subprocess.Popen[str]":
        arguments = (library.path, how, argument, file_limit, workers, seconds)
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return started


@pytest.fixture
def outcomes(library: Library) -> Callable[[], dict[str, tuple[str | None, str | None]]]:
    """Return name -> (outcome, reason) as they are now."""

    def now() -> dict[str, tuple[str | None, str | None]]:
        rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images")
        return {Path(path).name: (outcome, reason) for path, outcome, reason in rows}

    return now
