"""Notices of the file system: what is passed on, and what cannot be relied on."""

import os
from pathlib import Path
from typing import Any

import pytest

from pixfind.library import folder_events
from pixfind.library.folder_events import FolderEvents, NoticesLostError, TooManyFoldersError
from pixfind.testing.waiting import wait_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def collected(notices: FolderEvents, expected: set[str]) -> bool:
    found: set[str] = set()

    def complete() -> bool:
        found.update(notices.wait(0.5))
        return expected <= found

    return wait_for(complete, what=lambda: found)


def test_files_and_folders_that_come_change_and_go_are_named(folder: Path) -> None:
    notices = FolderEvents([str(folder)])
    (folder / "deep").mkdir()
    (folder / "a.jpg").write_bytes(b"1")
    assert collected(notices, {str(folder / "deep"), str(folder / "a.jpg")})
    (folder / "deep" / "b.jpg").write_bytes(b"1")
    assert collected(notices, {str(folder / "deep" / "b.jpg")})
    (folder / "deep").rename(folder / "other")
    (folder / "a.jpg").unlink()
    assert collected(notices, {str(folder / "deep"), str(folder / "other"), str(folder / "a.jpg")})
    notices.close()


def test_a_name_that_is_not_utf8_is_a_lost_notice(folder: Path) -> None:
    notices = FolderEvents([str(folder)])
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"1")

    def lost() -> bool:
        try:
            notices.wait(0.5)
        except NoticesLostError:
            return True
        return False

    assert wait_for(lost)


def test_a_flood_of_notices_is_taken_for_incomplete(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_events, "_MANY", 3)
    notices = FolderEvents([str(folder)])
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(b"1")

    with pytest.raises(NoticesLostError):
        collected(notices, {"never"})


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        (
            'OS file watch limit reached. about ["/a"] (Error { kind: MaxFilesWatch, paths: ["/a"] })',
            "max_user_watches",
        ),
        ("Too many open files (os error 24)", "max_user_instances"),
    ],
)
def test_a_limit_of_the_system_is_named_with_a_value_to_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, setting: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(said)

    monkeypatch.setattr(folder_events, "_open", refuse)

    with pytest.raises(TooManyFoldersError, match=rf"fs.inotify.{setting} is \d+; set it to \d+"):
        FolderEvents([str(folder)])
    with pytest.raises(TooManyFoldersError):
        folder_events.check_room(str(folder))


def test_folders_that_cannot_be_read_are_left_out_and_that_is_known(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folder_events._open

    def refuse(folders: list[str], *, ignore_unreadable: bool) -> Any:
        if not ignore_unreadable:
            raise OSError('Permission denied (os error 13) about ["/photos/private"]')
        return real(folders, ignore_unreadable=ignore_unreadable)

    assert FolderEvents([str(folder)]).complete
    monkeypatch.setattr(folder_events, "_open", refuse)
    notices = FolderEvents([str(folder)])
    (folder / "a.jpg").write_bytes(b"1")

    assert not notices.complete
    assert collected(notices, {str(folder / "a.jpg")})


def test_a_missing_folder_is_an_error_and_none_is_silence(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderEvents([str(folder / "missing")])
    assert set() == FolderEvents([]).wait(0)
    folder_events.check_room(str(folder / "missing"))
