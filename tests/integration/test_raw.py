"""RAW files in a library: registered where their extra is installed, counted where it is not, embedded, shown and kept."""

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfind.cli.console import Console
from pixfind.embedding.runners.serial import Serial
from pixfind.errors import extras
from pixfind.images import suffixes
from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.search.searcher import search
from pixfind.server import images as served
from pixfind.testing import images, make_library
from pixfind.testing.extras import without_module
from pixfind.testing.libraries import QUIET
from pixfind.testing.raw import encode_dng, make_dng
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library that uses the starter model; three RAW files and a JPEG in "pictures". Ends with `verify`."""
    for seed in range(3):
        image = images.picture(seed, (320, 240))
        make_dng(tmp_path / "pictures" / f"raw_{seed}.dng", image, preview=None if seed == 0 else image)
    images.make_image(tmp_path / "pictures" / "other.jpg", seed=9)
    with make_library(tmp_path / "library", tmp_path / "pictures" / "nothing", embed=False) as made:
        yield made
        assert [] == verify.verify(made)


@pytest.fixture(autouse=True)
def _nothing(tmp_path: Path) -> None:
    (tmp_path / "pictures" / "nothing").mkdir(parents=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


def run(library: Library) -> dict[str, int]:
    done = embed(library, QUIET, runner=Serial()).outcomes
    merge(library)
    return dict(done)


def test_raw_files_are_embedded_as_the_pictures_that_they_show(library: Library, pictures: Path) -> None:
    assert 4 == scan.add(library, pictures).new
    assert {"embedded": 4} == run(library)

    rows = library.embeddings()
    paths = dict(library.catalogue.rows("embedded_paths"))
    for seed in range(3):
        shown = images.make_image(pictures / "nothing" / f"{seed}.png", seed=seed, size=(320, 240))
        (best, *_) = search(library, f"file:{shown}", include_weak=True)
        assert str(pictures / f"raw_{seed}.dng") == best.path
        assert best.score > 0.95
    assert rows.shape[0] == len(paths)


def test_without_the_extra_raw_files_are_counted_and_none_fails(
    library: Library, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with without_module("rawpy"):
        report = scan.add(library, pictures)
        Console().scan(report)
        assert (1, {".dng": 3}) == (report.new, dict(report.left_out))
        assert {"embedded": 1} == run(library)
    told = f"  3 RAW files left out: 3 .dng; to read them: {extras.install_command('raw')}, then pixfind index"
    assert told == capsys.readouterr().err.splitlines()[-1]

    report = scan.add(library, pictures)
    assert (3, {}) == (report.new, dict(report.left_out)), "the extra was installed: the next run registers them"
    assert {"embedded": 3} == run(library)


def test_members_of_an_archive_are_registered_once_the_extra_is_there(library: Library, pictures: Path) -> None:
    archive = pictures / "nothing" / "shoot.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.dng", encode_dng(images.picture(20, (320, 240))))
        file.writestr("a.mp4", b"x")
    with without_module("rawpy"):
        for _ in range(2):
            report = scan.add(library, archive)
            assert (0, {".dng": 1, ".mp4": 1}) == (report.new, dict(report.left_out))

    for new in (1, 0):
        report = scan.add(library, archive)
        assert (new, {".mp4": 1}) == (report.new, dict(report.left_out))
    assert {"embedded": 1} == run(library)


def test_what_is_known_stays_where_the_extra_was_removed(library: Library, pictures: Path) -> None:
    scan.add(library, pictures)
    run(library)
    (pictures / "raw_1.dng").unlink()
    with without_module("rawpy"):
        report = scan.add(library, pictures)
        assert (1, 0) == (report.gone, report.new)
        assert 3 == len(dict(library.catalogue.rows("embedded_paths")))

    assert 0 == scan.add(library, pictures).new


def test_a_folder_of_raw_files_alone_is_not_taken_for_an_empty_drive(library: Library, pictures: Path) -> None:
    (pictures / "other.jpg").unlink()
    scan.add(library, pictures)
    run(library)

    with without_module("rawpy"):
        report = scan.add(library, pictures)
    assert (0, 0) == (report.offline, report.gone)


def test_a_pending_raw_file_fails_for_now_where_the_extra_was_removed(library: Library, pictures: Path) -> None:
    scan.add(library, pictures)
    with without_module("rawpy"):
        assert {"embedded": 1, "failed": 3} == run(library)
    ((reason, count),) = library.catalogue.rows("failures_by_reason")
    assert ("RAW support missing", 3) == (reason, count)

    assert {"embedded": 3} == run(library)


def test_a_cut_raw_file_fails_with_its_reason(library: Library, pictures: Path) -> None:
    whole = (pictures / "raw_1.dng").read_bytes()
    (pictures / "raw_1.dng").write_bytes(whole[: len(whole) // 2])
    scan.add(library, pictures)

    assert {"embedded": 3, "failed": 1} == run(library)


def test_the_server_shows_a_thumbnail_and_sends_the_file(library: Library, pictures: Path) -> None:
    scan.add(library, pictures)
    run(library)
    paths = {path: image_id for image_id, path in library.catalogue._connection.execute("SELECT id, path FROM images")}
    image_id = paths[str(pictures / "raw_2.dng")]

    with contextlib.closing(DecoderPool(1, 1 << 30)) as decoders:
        thumbnail = served.Thumbnails(library.path / "thumbnails", decoders).get(library, image_id, 128)
    with Image.open(io.BytesIO(thumbnail)) as image:
        shown = np.asarray(images.picture(2, (320, 240)).resize(image.size)).astype(int)
        assert (128, 96) == image.size
        assert np.abs(np.asarray(image).astype(int) - shown).mean() < 8
    with os.fdopen(served.open_file(library, served.image(library, image_id)), "rb") as file:
        assert (pictures / "raw_2.dng").read_bytes() == file.read()


def test_whether_the_extra_is_there_is_known_without_importing_it() -> None:
    assert suffixes.reads_raw()
    with without_module("rawpy"):
        assert not suffixes.reads_raw()
        assert not suffixes.is_image_name("a.CR2")
    assert suffixes.is_image_name("a.CR2")
