"""A changed file is ready when it looks the same twice, whatever the clock on the wall says."""

from pathlib import Path

from pixfind.testing.waiting import Clock
from pixfind.workflows.settling import COLLECT_SECONDS, QUIET_SECONDS, Look, Settling, look_at


class Files:
    """What lies at each path; a test changes it."""

    def __init__(self) -> None:
        self.looks: dict[str, Look] = {}

    def __call__(self, path: str) -> Look:
        return self.looks.get(path)


def later(clock: Clock, changes: Settling, seconds: float = QUIET_SECONDS) -> None:
    clock.sleep(seconds)
    changes.update()


def test_a_file_that_looks_the_same_twice_is_ready() -> None:
    clock, files = Clock(), Files()
    changes = Settling(clock, files)
    changes.note(["a.jpg"])
    changes.update()
    assert (False, {"a.jpg"}) == (changes.due, changes.unsettled)

    later(clock, changes)
    assert (True, set()) == (changes.due, changes.unsettled)
    assert {"a.jpg"} == changes.take()
    assert (False, set(), None) == (changes.due, changes.take(), changes.since)


def test_a_file_that_grows_waits_and_the_others_do_not_wait_for_it() -> None:
    clock, files = Clock(), Files()
    changes = Settling(clock, files)
    changes.note(["grows.jpg", "done.jpg"])
    for size in range(8):
        files.looks["grows.jpg"] = 1, size, 0
        later(clock, changes)
        assert (clock.passed - QUIET_SECONDS >= COLLECT_SECONDS) == changes.due

    assert ({"done.jpg"}, {"grows.jpg"}) == (changes.take(), changes.unsettled)
    later(clock, changes)
    assert {"grows.jpg"} == changes.take()


def test_another_notice_begins_the_wait_anew() -> None:
    clock = Clock()
    changes = Settling(clock, Files())
    changes.note(["a.jpg"])
    later(clock, changes)
    changes.note(["a.jpg"])

    assert (False, set(), {"a.jpg"}) == (changes.due, changes.take(), changes.unsettled)


def test_a_clock_that_is_set_changes_nothing() -> None:
    clock = Clock()
    changes = Settling(clock, Files())
    changes.note(["a.jpg"])
    clock.start -= 10**6
    later(clock, changes)

    assert changes.due


def test_a_file_replaced_by_another_of_its_size_and_time_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(b"1")
    before = look_at(str(path))
    other.write_bytes(b"2")
    other.replace(path)

    assert before != look_at(str(path))
    assert None is look_at(str(other))
    assert look_at(str(tmp_path)) == look_at(str(tmp_path))
