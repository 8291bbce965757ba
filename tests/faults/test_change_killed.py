"""kill -9 at every step of a change of the model: the next process answers consistently, and the same command completes it."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pixfind.library import generations, verify
from pixfind.library.library import Library
from pixfind.search import searcher
from pixfind.testing import make_library, make_pictures
from pixfind.workflows import inactive_models

GOLDEN = Path(__file__).parents[1] / "golden"
CLIP, SIGLIP = str(GOLDEN / "clip-tiny"), str(GOLDEN / "siglip2-tiny")
PICTURES = 8

Run = Callable[..., tuple[int, int]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """run(library, command, model, step): run it in a process of its own, killed at that step; 0: not killed."""
    script = Path(__file__).with_name("steps_of_a_change.py")
    process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None

    def done(library: Path, command: str, model: str = CLIP, step: int = 0) -> tuple[int, int]:
        process.stdin.write(f"{library}\t{command}\t{model}\t{step}\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        status, taken = process.stdout.readline().split()  # type: ignore[union-attr]
        return int(status), int(taken)

    yield done
    process.stdin.close()
    process.wait(timeout=600)
    process.stdout.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that answers with the starter model; to be copied."""
    place = tmp_path_factory.mktemp("made")
    make_pictures(place / "pictures", PICTURES)
    make_library(place / "library", place / "pictures").close()
    return place / "library"


def check(library: Path) -> None:
    """Every generation is intact, and the active one finds every picture."""
    with Library.open(library) as current:
        hits = searcher.search(current, "id:1", 100).hits
        assert PICTURES == len({hit.path for hit in hits}) == len(hits)
        assert [] == verify.verify(current)
        for other in inactive_models.open_inactive(current):
            assert [] == verify.verify(other)


#: what was done before, what is killed, where it ends, and what lies in the library then
WAYS = {
    "change": ([], ("index", CLIP), generations.Generations("models/2", previous=".", last_number=2)),
    "second change": (
        [("index", CLIP)],
        ("index", SIGLIP),
        generations.Generations("models/3", previous="models/2", last_number=3),
    ),
    "rollback": (
        [("index", CLIP)],
        ("rollback", CLIP),
        generations.Generations(".", retired="models/2", last_number=2),
    ),
    "abandon": ([("begin", CLIP)], ("rollback", CLIP), generations.Generations(".", retired="models/2", last_number=2)),
    "forward again": (
        [("index", CLIP), ("rollback", CLIP)],
        ("index", CLIP),
        generations.Generations("models/2", previous=".", last_number=2),
    ),
    "drop": ([("index", CLIP)], ("drop-previous", CLIP), generations.Generations("models/2", last_number=2)),
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_step_nothing_is_lost_and_the_same_command_ends_it(
    way: str, made: Path, tmp_path: Path, run: Run
) -> None:
    before, (command, model), after = WAYS[way]
    begun = tmp_path / "begun"
    shutil.copytree(made, begun)
    for earlier, its_model in before:
        assert 0 == run(begun, earlier, its_model)[0]
    steps = run(Path(shutil.copytree(begun, tmp_path / "whole")), command, model)[1]
    last = range(max(1, steps - 5), steps + 1)
    # What comes before the last steps of a change is what every embed does, and has tests of its own.
    chosen = sorted({*range(1, steps, 3), *last} if way in ("change", "drop") else {*last})
    assert len(chosen) >= 4
    for step in chosen:
        library = Path(shutil.copytree(begun, tmp_path / f"step-{step}"))
        assert (signal.SIGKILL, -1) == run(library, command, model, step)
        check(library)
        status, _ = run(library, command, model)
        assert 0 == status, f"step {step} of {steps}"
        check(library)
        found = generations.read(library)
        # A change that was killed before it was begun is begun again, under another number.
        assert _unnumbered(after) == _unnumbered(found)
        with Library.open(library) as current:
            assert PICTURES == current.merged_rows, "nothing that was saved was embedded again"
        assert sorted(found.in_use() - {"."}) == sorted(
            f"models/{path.name}" for path in (library / "models").iterdir()
        )


def _unnumbered(roles: generations.Generations) -> dict[str, bool]:
    """Which role is taken, and by the first generation or another."""
    return {
        role: getattr(roles, role) == "."
        for role in ("active", "staged", "previous", "retired")
        if getattr(roles, role)
    }
