"""Thumbnails made ahead: of each content once, in processes of their own, going on where a kill or a stop left them."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.images import thumbnails
from pixfind.images.thumbnails import Cache
from pixfind.library import backup, control, repair, thumbnail_progress, verify
from pixfind.library.library import Library
from pixfind.library.thumbnail_progress import ThumbnailReport
from pixfind.storage import disk
from pixfind.testing import copy_library, make_library, make_pictures, make_slow_pictures, wait_for
from pixfind.testing.libraries import QUIET
from pixfind.workflows import index, make_thumbnails
from pixfind.workflows.add import add
from pixfind.workflows.events import RowsMerged, ThumbnailsRefused

COUNT = 12
SLOW = 60


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose pictures have no thumbnails; to be copied."""
    place = tmp_path_factory.mktemp("original")
    make_pictures(place / "pictures", COUNT, size=(600, 450))
    make_library(place / "library", place / "pictures").close()
    return place


@pytest.fixture
def library(original: Path, tmp_path: Path) -> Iterator[Library]:
    with copy_library(original, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of pictures that take long; to be copied."""
    place = tmp_path_factory.mktemp("slow")
    make_slow_pictures(place / "pictures", SLOW)
    make_library(place / "library", place / "pictures").close()
    return place


def made(library: Library, **options: object) -> ThumbnailReport:
    with library.lock("thumbnails"):
        return make_thumbnails.make_thumbnails(library, QUIET, **options)  # type: ignore[arg-type]


def pending(library: Library) -> int:
    return thumbnail_progress.count_pending(library.catalogue, library.merged_rows)


def there(library: Library, side: int = 512) -> list[Path]:
    return sorted((library.path / "thumbnails").glob(f"??/*-{side}.jpg"))


def test_each_content_gets_one_and_only_once(library: Library, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "pictures/picture_00000.jpg", tmp_path / "pictures/copy.jpg")
    index.index(library, (), QUIET)
    report = made(library)
    assert (COUNT, 0, 0, {}, False) == (report.made, report.there, report.away, report.failed, report.stopped)
    assert COUNT == len(there(library))
    assert all(512 == max(thumbnails.size(path.read_bytes())) for path in there(library))
    assert 0 == pending(library)
    again = made(library)
    assert (0, 0) == (again.made, again.there)
    assert COUNT == made(library, again=True).there


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_picture_whose_name_is_no_text_gets_one(library: Library, tmp_path: Path) -> None:
    (tmp_path / "pictures/picture_00000.jpg").rename(tmp_path / os.fsdecode(b"pictures/inv\xff \\xff.jpg"))
    index.index(library, (), QUIET)
    report = made(library)
    assert (COUNT, 0) == (report.made, report.away)


def test_new_pictures_get_theirs_with_the_next_index(library: Library, tmp_path: Path) -> None:
    assert index.index(library, (), QUIET).thumbnails is None
    done = index.index(library, (), QUIET, thumbnails=True)
    assert done.thumbnails is not None
    assert COUNT == done.thumbnails.made
    make_pictures(tmp_path / "pictures", 2, first=100)
    done = index.index(library, (), QUIET)
    assert done.thumbnails is not None
    assert 2 == done.thumbnails.made
    assert index.index(library, (), QUIET).thumbnails is None
    thumbnail_progress.want(library.catalogue, None)
    make_pictures(tmp_path / "pictures", 1, first=200)
    assert index.index(library, (), QUIET).thumbnails is None


def test_another_size_begins_with_the_first_picture(library: Library) -> None:
    made(library)
    assert COUNT == made(library, side=256).made
    assert 256 == thumbnail_progress.wanted(library.catalogue)
    assert COUNT == len(there(library, 256)) == len(there(library, 512))


def test_what_cannot_be_made_is_told_and_not_tried_each_time(library: Library, tmp_path: Path) -> None:
    (tmp_path / "pictures/picture_00001.jpg").unlink()
    (tmp_path / "pictures/picture_00002.jpg").write_bytes(b"another file")
    spoiled = tmp_path / "pictures/picture_00003.jpg"
    status = spoiled.stat()
    spoiled.write_bytes(b"\0" * status.st_size)
    os.utime(spoiled, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = made(library)
    assert (COUNT - 3, 0, 2) == (report.made, report.away, report.outdated)
    assert [1] == list(report.failed.values())
    assert 0 == pending(library)


def test_a_drive_that_is_away_is_no_failure(library: Library, tmp_path: Path) -> None:
    (tmp_path / "pictures").rename(tmp_path / "unplugged")
    report = made(library)
    assert (0, COUNT, 0, {}) == (report.made, report.away, report.outdated, report.failed)
    (tmp_path / "unplugged").rename(tmp_path / "pictures")
    add(library)
    assert COUNT == made(library, again=True).made


def test_the_cache_keeps_them_all(library: Library) -> None:
    made(library)
    needed = make_thumbnails.expected_bytes(COUNT, 512)
    assert Cache(library.path / "thumbnails").max_bytes >= thumbnails.DEFAULT_MAX_BYTES + 2 * needed


def test_a_disk_without_room_is_told_before_anything_is_made(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(library.path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(errors.ThumbnailsTooLarge, match="--side 256"):
        made(library)
    assert [] == there(library)
    assert thumbnail_progress.wanted(library.catalogue) is None


def test_a_disk_without_room_ends_no_index_and_what_was_refused_is_not_asked_for_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(library.path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    told: list[object] = []
    make_pictures(tmp_path / "pictures", 1, first=100)
    done = index.index(library, (), QUIET, thumbnails=True, observer=told.append)
    assert done.built is not None
    assert done.thumbnails_refused is not None
    assert thumbnail_progress.wanted(library.catalogue) is None

    thumbnail_progress.want(library.catalogue, 512)
    assert index.index(library, (), QUIET, observer=told.append).thumbnails_refused is not None
    assert 512 == thumbnail_progress.wanted(library.catalogue)
    assert 2 == len([event for event in told if isinstance(event, ThumbnailsRefused)])


def test_a_disk_that_fills_meanwhile_ends_the_run_and_leaves_the_rest_to_the_next(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = disk.create

    def full(path: Path, *options: Any) -> int:
        if ".jpg" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(path, *options)

    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(disk, "create", full)
        with pytest.raises(errors.DiskFull):
            made(library)
    assert COUNT == pending(library)
    assert COUNT == made(library).made


def test_a_copy_on_a_drive_that_is_there_stands_for_one_that_is_away(library: Library, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "pictures", tmp_path / "copies")
    index.index(library, [tmp_path / "copies"], QUIET)
    (tmp_path / "pictures").rename(tmp_path / "unplugged")
    add(library)
    report = made(library)
    assert (COUNT, 0) == (report.made, report.away)


def test_those_that_are_there_need_no_room_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    made(library)
    there = Cache(library.path / "thumbnails").sampled_bytes()
    monkeypatch.setattr(Cache, "sampled_bytes", lambda _: max(there, make_thumbnails.expected_bytes(COUNT, 512)))
    scarce = shutil.disk_usage(library.path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: scarce)
    assert COUNT == made(library, again=True).there


def test_a_stop_in_an_earlier_step_of_an_index_holds(library: Library, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 3, first=300)

    def stop(event: object) -> None:
        if isinstance(event, RowsMerged):
            control.request(library.path, control.ControlRequest(stop=True))

    assert index.index(library, (), QUIET, thumbnails=True, observer=stop).stopped


def test_a_backup_begins_with_none(library: Library, tmp_path: Path) -> None:
    made(library)
    backup.copy(library, tmp_path / "backup")
    with Library.open(tmp_path / "backup", write=True) as copied:
        assert COUNT == pending(copied)
        assert COUNT == made(copied).made


def test_rows_that_a_repair_gives_to_other_pictures_have_their_turn_again(library: Library) -> None:
    made(library)
    library.embeddings_path.unlink()
    with library.lock("verify"):
        assert [] == repair.repair(library, verify.verify(library))
    done = index.index(library, (), QUIET)
    assert done.thumbnails is not None
    assert COUNT == done.thumbnails.there


def test_a_stop_is_heard_and_the_rest_comes_later(slow: Path, tmp_path: Path) -> None:
    with copy_library(slow, tmp_path) as library:

        def stop() -> None:
            wait_for(lambda: there(library))
            control.request(library.path, control.ControlRequest(stop=True))

        asking = threading.Thread(target=stop)
        asking.start()
        report = made(library)
        asking.join()
        assert report.stopped
        assert 0 < pending(library) < SLOW
        report = made(library)
        assert not report.stopped
        assert SLOW == len(there(library))


def test_a_pause_holds_it_and_a_resume_lets_it_go_on(slow: Path, tmp_path: Path) -> None:
    with copy_library(slow, tmp_path) as library:
        reports: list[ThumbnailReport] = []
        asking = threading.Thread(target=lambda: _pause_and_resume(library.path))
        asking.start()
        reports.append(made(library))
        asking.join()
        assert SLOW == reports[0].made


def _pause_and_resume(library: Path) -> None:
    folder = library / "thumbnails"
    wait_for(lambda: next(folder.glob("??/*.jpg"), None))
    control.request(library, control.ControlRequest(pause=True))
    seen = [-1]

    def stands_still() -> bool:
        seen.append(len(list(folder.glob("??/*.jpg"))))
        return seen[-1] == seen[-2]

    # Twice the same number, a look apart: what had begun has ended.
    wait_for(stands_still)
    control.request(library, control.ControlRequest(pause=False))


def test_an_interrupt_ends_it_with_what_was_made(slow: Path, tmp_path: Path) -> None:
    copy_library(slow, tmp_path).close()
    command = [sys.executable, "-m", "pixfind", "--library", str(tmp_path / "library"), "thumbnails"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    _wait_for_more(process, tmp_path / "library/thumbnails", 0)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert 130 == process.returncode
    assert b"`pixfind thumbnails` continues from here" in said
    with Library.open(tmp_path / "library") as library:
        assert 0 < pending(library) < SLOW


def test_a_killed_run_continues_where_it_stood(slow: Path, tmp_path: Path) -> None:
    copy_library(slow, tmp_path).close()
    command = [sys.executable, "-m", "pixfind", "--library", str(tmp_path / "library"), "thumbnails", "--workers", "1"]
    folder = tmp_path / "library/thumbnails"
    for _ in range(2):
        before = len(list(folder.glob("??/*.jpg")))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        _wait_for_more(process, folder, before)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "thumbnails:" in done.stderr
    assert SLOW == len(list(folder.glob("??/*.jpg")))
    assert all(path.read_bytes().endswith(b"\xff\xd9") for path in folder.glob("??/*.jpg"))


def _wait_for_more(process: "subprocess.Popen[bytes]", folder: Path, count: int) -> None:
    wait_for(lambda: process.poll() is not None or len(list(folder.glob("??/*.jpg"))) > count)
