"""The real command in a real process, on a library of the test."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pixfind.testing.commands import Commands

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def run(place: Path, commands: Commands) -> Run:
    """Run pixfind on the library; returns what it said. `code` is the exit code that is expected."""

    def done(*arguments: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
        found = commands.run(["--library", str(place), *map(str, arguments)])
        said, told = (os.fsdecode(text) for text in (found.stdout, found.stderr))
        assert code == found.returncode, told
        return subprocess.CompletedProcess(found.args, found.returncode, said, told)

    return done
