"""Fixtures for all tests: a real library, real pictures, the real starter model; no network, no ../ paths."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing import copy_library, make_library, make_pictures, servers
from pixfind.testing.commands import Commands

_ROOM = 4 << 30


def pytest_configure() -> None:
    """
    Keep the libraries of tests in memory where the system has a place for it.

    That bytes are durable is proved by kills and by calls that fail; waiting for a real disk, which others use too, proves nothing.
    """
    memory = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    servers.by_forks = hasattr(os, "fork")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-extras",
        action="store_true",
        help="a test that is skipped because it needs an extra (or strace) fails: `make test-extras`",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and item.config.getoption("--require-extras"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome, report.longrepr = "failed", f"skipped in spite of --require-extras: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let the report of a test that printed a name that is not UTF-8 travel from one process to another."""
    return _without_surrogates((yield))


def _without_surrogates(data: Any) -> Any:
    match data:
        case str():
            return data.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_without_surrogates(key): _without_surrogates(value) for key, value in data.items()}
        case list() | tuple():
            return type(data)(map(_without_surrogates, data))
    return data


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIXFIND_LIBRARY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config-home"))
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of this test are not measured by coverage, which loads SQLite itself."""
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """The command `pixfind`, in a process of its own each time, without the second that Python takes to start."""
    with Commands() as started:
        yield started


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with 40 small pictures."""
    make_pictures(tmp_path / "pictures", 40)
    return tmp_path / "pictures"


@pytest.fixture
def library(tmp_path: Path, pictures: Path) -> Iterator[Library]:
    """A library that knows the pictures; all are pending. Ends with `verify`."""
    with make_library(tmp_path / "library", pictures, embed=False) as made:
        yield made
        assert [] == verify.verify(made)


@pytest.fixture(scope="session")
def _embedded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library with 40 small pictures embedded and merged, to be copied."""
    place = tmp_path_factory.mktemp("embedded")
    make_pictures(place / "pictures", 40)
    make_library(place / "library", place / "pictures").close()
    return place


@pytest.fixture
def embedded(tmp_path: Path, pictures: Path, _embedded_once: Path) -> Iterator[Library]:
    """A library with all pictures embedded and merged. Ends with `verify`."""
    assert 40 == len(list(pictures.iterdir()))
    with copy_library(_embedded_once, tmp_path) as made:
        yield made
        assert [] == verify.verify(made)
