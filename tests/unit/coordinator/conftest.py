"""A coordinator whose workers do what a test has written down, and whose clock the test turns."""

import contextlib
import dataclasses
import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.embedding import coordinator, plan, progress
from pixfind.embedding.elastic import Elastic
from pixfind.embedding.schedule import PausePolicy
from pixfind.library import scan, verify
from pixfind.library.library import Library, ModelIdentity
from pixfind.testing.scripted import (
    Scripted,
    scripted_config,
)
from pixfind.types import Choice

SEGV, KILL = -signal.SIGSEGV, -signal.SIGKILL


Make = Callable[..., Library]


@contextlib.contextmanager
def made(place: Path, files: dict[str, bytes]) -> Iterator[Library]:
    """A library at a new place in which these files are pending. Ends with `verify`."""
    (place / "pictures").mkdir(parents=True)
    for name, content in files.items():
        (place / "pictures" / name).write_bytes(content)
    with Library.create(place / "library") as library:
        library.remember_model(ModelIdentity("scripted", "0" * 64, 8, "fp16"))
        scan.add(library, place / "pictures")
        yield library
        assert [] == verify.verify(library)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """make(count, files): a library in which so many files of their own size, and those given by name, are pending."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def library(count: int = 20, files: dict[str, bytes] | None = None) -> Library:
            all_files = {f"{number:02}.jpg": b"x" * (number + 1) for number in range(count)} | (files or {})
            return stack.enter_context(made(tmp_path / str(next(numbers)), all_files))

        yield library


def coordinated(
    library: Library,
    workers: Scripted,
    *,
    count: int = 1,
    images_per_worker: int = 1,
    pause_policy: PausePolicy | None = None,
    elastic: Elastic | None = None,
    **changes: Any,
) -> coordinator.Coordinator:
    planned = plan.make(cores=Choice(2.0, ""), memory=Choice(1 << 32, ""), workers=count, share=1.0, **changes)
    planned = dataclasses.replace(planned, images_per_worker=Choice(images_per_worker, ""), elastic=elastic)
    config = scripted_config(library.data, library.logs, library.dimension)
    return coordinator.Coordinator(library, workers, planned, config, pause_policy=pause_policy, clock=workers.clock)


def run(library: Library, workers: Scripted, **options: Any) -> progress.RunReport:
    report = coordinated(library, workers, **options).run()
    assert workers.finished
    return report


def outcomes(library: Library) -> dict[str, tuple[str | None, str | None]]:
    rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images")
    return {Path(path).name: (outcome, reason) for path, outcome, reason in rows}


def counts(library: Library) -> tuple[int, int, int, int]:
    """(embedded, duplicate, failed, pending)"""
    ledger = library.catalogue.ledger()
    return ledger["embedded"], ledger["duplicate"], ledger["failed"], ledger["pending"]
