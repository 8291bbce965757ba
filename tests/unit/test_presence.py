"""Whether a root that is a folder or a file is there, also where the system does not answer."""

import os
import threading
from pathlib import Path

import pytest

from pixfind.images.source import files, folders
from pixfind.images.source.protocol import Presence
from pixfind.testing.waiting import wait_for


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A drive at "/hanging" that answers nobody until this is set."""
    returned, system = threading.Event(), os.stat

    def stat(path: str, *rest: object, **options: object) -> os.stat_result:
        if str(path).startswith("/hanging"):
            returned.wait()
            raise FileNotFoundError(2, "No such file or directory")
        return system(path, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(files, "_SECONDS", 0.05)
    return returned


def test_a_drive_that_hangs_is_offline_and_is_asked_once_until_it_answers(hanging: threading.Event) -> None:
    assert "it does not answer" == folders.reachable("/hanging", {}).problem
    assert "it does not answer" == folders.reachable("/hanging", {}).problem
    (asking,) = [thread for thread in threading.enumerate() if thread.name == "presence"]

    hanging.set()
    wait_for(lambda: not asking.is_alive())
    assert wait_for(lambda: folders.reachable("/hanging", {}).problem != "it does not answer")


def test_a_file_and_a_folder_are_there_or_missing(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()

    assert files.presence(str(tmp_path / "a.zip")) == Presence(None)
    assert "missing: No such file or directory" == files.presence(str(tmp_path / "b.zip")).problem
    assert folders.reachable(str(tmp_path), {}) == Presence(None, empty=False, device=tmp_path.stat().st_dev)
    assert "missing: " in str(files.presence("a\0b").problem)
