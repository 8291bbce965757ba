"""One library, and three that have its pictures between them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pixfind import errors
from pixfind.cli import app
from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.testing import make_drawn_pictures, make_library

PARTS = 3


def call(*words: object) -> Any:
    """Run a command in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert 0 == result.exit_code, (result.output, result.exception)
    return result


def refused(*words: object) -> str:
    """Run a command in this process that is called in a wrong way, and return why."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, errors.InvalidUsage), (result.output, result.exception)
    return str(result.exception)


@dataclass(frozen=True, slots=True)
class Split:
    """The same pictures in one library and in three."""

    whole: Path
    parts: tuple[Path, ...]

    def config(self, timeout: float = 600.0) -> CollectionConfig:
        return CollectionConfig(tuple(MemberConfig(part.name, path=part) for part in self.parts), timeout)


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """90 drawn pictures in folders of 30. Ends with `verify`."""
    place = tmp_path_factory.mktemp("split")
    make_drawn_pictures(place / "drawn", 90)
    for number, picture in enumerate(sorted((place / "drawn").iterdir())):
        folder = place / f"pictures/{number % PARTS}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(picture, folder / picture.name)
    parts = tuple(place / f"part-{number}" for number in range(PARTS))
    for number, part in enumerate(parts):
        with make_library(part, place / f"pictures/{number}") as library:
            build.build_index(library)
    with make_library(place / "whole", place / "pictures") as library:
        build.build_index(library)
    yield Split(place / "whole", parts)
    for each in (place / "whole", *parts):
        with Library.open(each) as library:
            assert [] == verify.verify(library)


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Eight drawn pictures in each of two libraries, of which one has the same bytes in both."""
    place = tmp_path_factory.mktemp("copied")
    make_drawn_pictures(place / "drawn", 15)
    drawn = sorted((place / "drawn").iterdir())
    parts = tuple(place / name for name in ("left", "right"))
    for part, pictures in zip(parts, (drawn[:8], drawn[7:]), strict=True):
        folder = place / f"pictures-{part.name}"
        folder.mkdir()
        for picture in pictures:
            shutil.copy2(picture, folder / picture.name)
        make_library(part, folder).close()
    return Split(place, parts)
