"""Whether a library is watched, and how."""

from dataclasses import asdict
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.library import watch_lock
from pixfind.types import Reason


def test_one_watch_at_a_time(tmp_path: Path) -> None:
    with watch_lock.held(tmp_path):
        watch_lock.tell(tmp_path, 15, {})
        with pytest.raises(errors.AlreadyWatched, match="is watched already, by process"), watch_lock.held(tmp_path):
            pass
    with watch_lock.held(tmp_path):
        pass


def test_the_state_ends_with_the_watch(tmp_path: Path) -> None:
    assert None is watch_lock.read(tmp_path)
    with watch_lock.held(tmp_path):
        assert 0 == (watch_lock.read(tmp_path) or pytest.fail("not watched")).pid
        why = Reason("ChangesNotTold", "nfs does not tell all changes", {"kind": "nfs"})
        watch_lock.tell(tmp_path, 15, {"/nas": why})
        told = watch_lock.read(tmp_path) or pytest.fail("not watched")
        assert ({"/nas": why.message}, {"/nas": asdict(why)}) == (told.rescanned, told.reasons)
        (tmp_path / "watch.json").write_text('{"pid": "x", "rescan_minutes": 1, "rescanned": []}')
        assert watch_lock.WatchState(0, 0.0) == watch_lock.read(tmp_path)
    assert None is watch_lock.read(tmp_path)


def test_a_request_to_end_is_for_the_watch_that_runs(tmp_path: Path) -> None:
    watch_lock.request_stop(tmp_path)
    with watch_lock.held(tmp_path):
        assert not watch_lock.stop_requested(tmp_path)
        watch_lock.request_stop(tmp_path)
        assert watch_lock.stop_requested(tmp_path)
    assert ["watch.lock"] == [path.name for path in tmp_path.iterdir()]
