"""kill -9 at every statement of a relocation leaves all old paths or all new ones, and the same command completes it."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.library import verify
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library
from pixfind.library.relocate import Move
from pixfind.testing import make_library, make_pictures
from pixfind.testing.forks import forked
from pixfind.workflows.relocate import relocate


def _killed(library: Path, move: Move, step: int) -> tuple[int, int]:
    """Relocate in a fork that is killed before its statement `step` (0: never); return the wait status and the steps taken."""

    def work() -> int:
        taken = 0

        def count(_statement: str) -> None:
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)

        connect = Catalogue._connect

        def traced(catalogue: Catalogue) -> object:
            connection = connect(catalogue)
            connection.set_trace_callback(count)
            return connection

        Catalogue._connect = traced  # type: ignore[method-assign,assignment]
        with Library.open(library, write=True) as opened, opened.lock("relocate"):
            relocate(opened, move)
        return taken

    return forked(work)


@pytest.mark.timeout(1200)
def test_killed_at_any_statement_all_paths_are_old_or_all_are_new(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 3)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    shutil.copytree(tmp_path / "pictures", tmp_path / "new")
    move = Move.between(str(tmp_path / "pictures"), str(tmp_path / "new"))
    steps = _killed(shutil.copytree(tmp_path / "library", tmp_path / "whole"), move, 0)[1]
    assert steps > 10
    seen = set()
    for step in range(1, steps + 1):
        library = shutil.copytree(tmp_path / "library", tmp_path / f"step-{step}")
        assert (signal.SIGKILL, -1) == _killed(library, move, step)
        with Library.open(library, write=True) as opened:
            paths = [
                path
                for (path,) in opened.catalogue._connection.execute(
                    "SELECT path FROM images UNION SELECT path FROM roots"
                )
            ]
            places = {Path(path).relative_to(tmp_path).parts[0] for path in paths}
            assert 1 == len(places), f"step {step} of {steps}"
            seen |= places
            assert [] == verify.verify(opened)
            with opened.lock("relocate"):
                if places == {"pictures"}:
                    assert 3 == relocate(opened, move).images
                else:
                    with pytest.raises(errors.NotBelow):
                        relocate(opened, move)
            assert 3 == opened.catalogue.ledger()["embedded"]
    assert {"pictures", "new"} == seen
