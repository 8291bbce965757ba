"""kill -9 while a library embeds and reads text: nothing that was read is lost, and the same command ends complete."""

import functools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pixfind.embedding.runners.serial import Serial
from pixfind.library import texts, verify
from pixfind.library.library import Library
from pixfind.search import searcher
from pixfind.testing import draw_text, wait_for
from pixfind.testing.libraries import QUIET
from pixfind.workflows.index import index

RUN = """
import sys
from pathlib import Path
from pixfind.library.library import Library
from pixfind.testing.libraries import QUIET
from pixfind.workflows.index import index
with Library.open(Path(sys.argv[1]), write=True) as library:
    index(library, (), QUIET)
"""
PICTURES = 12


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """One picture is known, and text is wanted; the others come with the first run that is killed."""
    draw_text(tmp_path / "pictures" / "00.png", "First page")
    with Library.create(tmp_path / "library") as made:
        index(made, [tmp_path / "pictures"], QUIET, runner=Serial())
        texts.want(made.catalogue, wanted=True)
        for number in range(1, PICTURES):
            draw_text(tmp_path / "pictures" / f"{number:02}.png", f"Page {number}")
        yield made


def kept(library: Library) -> int:
    counts = texts.ledger(library.catalogue)
    return counts["read"] + counts["no text"]


def reached(process: "subprocess.Popen[bytes]", library: Library, read: int) -> bool:
    """Tell whether so many are read, or for 0 whether something new is embedded; or the process has ended."""
    if process.poll() is not None:
        return True
    return kept(library) >= read if read else library.catalogue.ledger()["embedded"] > 1


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [0])
def test_killed_while_it_embeds_and_reads_it_ends_complete(library: Library, seed: int) -> None:
    chance = random.Random(seed)
    command = [sys.executable, "-c", RUN, str(library.path)]
    for kill in range(4):
        before = kept(library)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wanted = min(before + 2, PICTURES) if kill else 0
        wait_for(functools.partial(reached, process, library, wanted))
        everybody = (
            [psutil.Process(process.pid), *psutil.Process(process.pid).children()] if process.poll() is None else []
        )
        for victim in everybody if chance.random() < 0.5 else everybody[:1]:
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()
        psutil.wait_procs(everybody[1:], timeout=600)
        assert [] == verify.verify(library)
        assert before <= kept(library)

    assert 0 == subprocess.run(command, check=False).returncode
    assert {"read": PICTURES, "no text": 0, "failed": 0, "pending": 0} == texts.ledger(library.catalogue)
    assert PICTURES == len(searcher.search(library, "says:page", 50).hits)
    assert [] == verify.verify(library)
