"""What the tests of all kinds of sources begin with: a library that knows nothing yet, and a bucket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import objects
from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_library, make_pictures
from pixfind.testing.archives import zipped
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store, serving
from pixfind.workflows import embed as embedding
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge


def counts(report: ScanReport) -> dict[str, int]:
    """What a scan found beside what it knew: kind -> how many, without those of which there are none."""
    kinds = ("new", "changed", "moved", "returned", "gone", "excluded", "offline", "problems")
    return {kind: getattr(report, kind) for kind in kinds if getattr(report, kind)}


def embedded(library: Library) -> int:
    """Embed what is pending; return how many images got an embedding of their own."""
    done = embed(library, QUIET, runner=Serial()).outcomes.get("embedded", 0)
    merge(library)
    return done


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder of `library`."""
    return tmp_path / "pictures"


@pytest.fixture
def elsewhere(tmp_path: Path) -> list[Path]:
    """Five pictures in "elsewhere", which is no root."""
    return make_pictures(tmp_path / "elsewhere", 5)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library that uses the starter model, with its folder "pictures". Ends with `verify`."""
    (tmp_path / "pictures").mkdir()
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as made:
        yield made
        assert [] == verify.verify(made)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, bytes]:
    """Ten pictures as members: "trip/picture_00000.jpg" and so on."""
    return {f"trip/{path.name}": path.read_bytes() for path in make_pictures(tmp_path / "drawn", 10)}


@pytest.fixture
def filled(library: Library, images: dict[str, bytes], tmp_path: Path) -> Library:
    """The library with the ten members of pictures/2019.zip, embedded."""
    (tmp_path / "pictures" / "2019.zip").write_bytes(zipped(images))
    scan.add(library, tmp_path / "pictures", in_archives=True)
    assert 10 == embedded(library)
    return library


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket, and credentials for it; runs wait for it a second."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-seen")
    monkeypatch.setattr(embedding, "_PATIENCE_SECONDS", 1.0)
    with serving() as made:
        yield made
    objects._settings.clear()
    source.use(())
