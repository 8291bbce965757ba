"""
Runs commands of a change of the model, each in a fork of its own, and ends it by SIGKILL at a step.

Reads a line "LIBRARY COMMAND MODEL STEP" for each run, tab between; answers with a line: how it ended (a wait status), and how many steps
it took, -1 when it was killed. A step is whatever can be left half done: an array opened for writing, a rename, a deletion, a
commit. STEP counts from 1; 0 is never reached. Forks, so that Python and its libraries start once.
"""

import contextlib
import dataclasses
import functools
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - loaded once, before the forks

from pixfind.embedding.runners.serial import Serial
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.testing.forks import forked
from pixfind.testing.libraries import QUIET
from pixfind.workflows import events, switch_model
from pixfind.workflows import index as workflow

_WRITES = os.O_WRONLY | os.O_RDWR

#: Deletions are tried on files that are not there too, as of control.json: such a step is as good as any.
_CHANGES = {"os.rename", "os.remove", "os.rmdir"}

#: Written by the clock: with it, two runs would differ in the number of their steps.
_PROGRESS = "progress.json"


def index(path: Path, model: str) -> None:
    """`pixfind index --model MODEL`."""
    with Library.create(path) as library:
        workflow.index(library, options=dataclasses.replace(QUIET, model=model), runner=Serial())


def rollback(path: Path, _model: str) -> None:
    with Library.open(path, write=True) as library, library.lock("rollback"):
        switch_model.rollback(library)
        switch_model.finish_interrupted(library)


def drop_previous(path: Path, _model: str) -> None:
    with Library.open(path, write=True) as library, library.lock("drop-previous"):
        switch_model.finish_interrupted(library)
        switch_model.prune(library)


def begin(path: Path, model: str) -> None:
    """The same, stopped before its first picture."""

    def stop(event: events.Event) -> None:
        if isinstance(event, events.EmbedStarted):
            raise KeyboardInterrupt

    with Library.create(path) as library, contextlib.suppress(KeyboardInterrupt):
        workflow.index(library, options=dataclasses.replace(QUIET, model=model), runner=Serial(), observer=stop)


COMMANDS = {"begin": begin, "index": index, "rollback": rollback, "drop-previous": drop_previous}


class Steps:
    """Notes the steps of this process, and ends it at one of them."""

    def __init__(self, library: Path, end_at: int) -> None:
        self.taken = 0
        self._library = str(library)
        self._end_at = end_at
        sys.addaudithook(self._hear)
        connect = Catalogue._connect

        def traced(catalogue: Catalogue) -> sqlite3.Connection:
            connection = connect(catalogue)
            connection.set_trace_callback(self._statement)
            return connection

        Catalogue._connect = traced  # type: ignore[method-assign,assignment]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = str(arguments[0]) if arguments else ""
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES and path.endswith(".npy")
        if (writes or event in _CHANGES) and path.startswith(self._library) and _PROGRESS not in path:
            self._step()

    def _statement(self, statement: str) -> None:
        if statement.startswith(("COMMIT", "INSERT INTO runs", "UPDATE runs", "INSERT INTO library")):
            self._step()

    def _step(self) -> None:
        self.taken += 1
        if self.taken == self._end_at:
            os.kill(os.getpid(), signal.SIGKILL)


def run(path: Path, command: str, model: str, step: int) -> int:
    """Run a command to its end, or to the step at which it is killed; return how many steps it took."""
    steps = Steps(path, step)
    COMMANDS[command](path, model)
    return steps.taken


def main() -> None:
    for line in sys.stdin:
        path, command, model, step = line.rstrip("\n").split("\t")
        status, taken = forked(functools.partial(run, Path(path), command, model, int(step)))
        sys.stdout.write(f"{status} {taken}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
