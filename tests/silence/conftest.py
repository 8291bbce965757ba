"""A place to run commands in as a user would: no CI, a home of its own, and somebody who watches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixfind.search import build
from pixfind.testing import make_library, make_pictures
from pixfind.testing.watch import Audit, Seen, Strace

#: Libraries keep quiet where they find one of these.
MACHINES_OF_TESTS = ("CI", "TF_BUILD", "JENKINS_URL", "GITLAB_CI", "GITHUB_ACTIONS", "TEAMCITY_VERSION", "BUILD_ID")
#: What would switch something off that we have to switch off ourselves.
OURS_TO_SET = (
    "ORT_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_TELEMETRY",
    "DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
    "OTEL_SDK_DISABLED",
)
OURS = (
    "pixfind",
    "pixfind.worker",
    "pixfind.worker.sample",
    "pixfind.models.backends.nncf",
    "pixfind.worker.decoder_process",
)

Watch = Strace | Audit


class Place:
    """A user's home, a library in it, and commands that are watched."""

    def __init__(self, home: Path, watch: Watch) -> None:
        self.home = home
        self.library = home / "library"
        self.watch = watch

    def environment(self) -> dict[str, str]:
        known = {
            name: value
            for name, value in os.environ.items()
            if name not in (*MACHINES_OF_TESTS, *OURS_TO_SET) and not name.startswith(("XDG_", "PYTEST_", "PIXFIND_"))
        }
        return {**known, "HOME": str(self.home), **self.watch.environment()}

    def command(self, *arguments: object) -> list[str]:
        """Return the watched command line of a verb."""
        ours = [sys.executable, "-m", "pixfind", "--library", str(self.library), *map(str, arguments)]
        return self.watch.command(*ours)

    def run(self, *arguments: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a verb, watched, to its end."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done

    def assert_silent(self) -> Seen:
        """Nothing but this machine was asked, nothing but ours was run, nothing but ours was written."""
        seen = self.watch.seen()
        assert seen.commands, "nothing was watched"
        assert [] == seen.connections
        assert 0 == seen.forked, "a process was forked that did not execute anything"
        assert [] == [command for command in seen.commands if not is_ours(command)]
        strangers = {str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()}
        assert set() == {
            path for path in strangers if not path.startswith(("library/", "pictures/", "backup/", ".cache/pixfind/"))
        }
        return seen


def is_ours(command: list[str]) -> bool:
    return [sys.executable] == command[:1] and (command[1:2] != ["-m"] or command[2] in OURS)


@pytest.fixture(scope="session")
def without_strace() -> str | None:
    return Strace.missing()


@pytest.fixture
def watch(tmp_path: Path, without_strace: str | None, request: pytest.FixtureRequest) -> Watch:
    """Who watches best here; with --require-extras nobody but strace will do."""
    if without_strace is None:
        return Strace(tmp_path / "watch")
    assert not request.config.getoption("--require-extras"), without_strace
    return Audit(tmp_path / "watch")


@pytest.fixture
def place(tmp_path: Path, watch: Watch) -> Place:
    """A home with twelve pictures, and no library yet."""
    home = tmp_path / "home"
    make_pictures(home / "pictures", 12)
    return Place(home, watch)


@pytest.fixture
def filled(place: Place) -> Place:
    """The same with a library of them, embedded and indexed."""
    with make_library(place.library, place.home / "pictures") as library:
        build.build_index(library)
    return place


@pytest.fixture
def known(place: Place) -> Place:
    """The same with a library in which all are pending."""
    with make_library(place.library, place.home / "pictures", embed=False):
        return place
