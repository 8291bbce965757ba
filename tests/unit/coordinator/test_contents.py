"""The coordinator and what lies in files: the same bytes twice, and files that change while they are embedded."""

from pathlib import Path

import pytest
from tests.unit.coordinator.conftest import KILL, SEGV, Make, counts, outcomes, run

from pixfind import errors
from pixfind.library import merge, scan
from pixfind.testing.scripted import (
    Changes,
    Dies,
    Fails,
    Scripted,
)

# --- the same bytes twice -------------------------------------------------------------------------


COPIES = {"a.jpg": b"same bytes", "b.jpg": b"same bytes", "c.jpg": b"same bytes", "other.jpg": b"other bits"}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_equal_files_are_embedded_once_whoever_is_assigned_them(make: Make, count: int) -> None:
    library = make(3, COPIES)
    report = run(library, Scripted(), count=count)

    assert (5, 2, 0, 0) == counts(library)
    assert 2 == report.outcomes["duplicate"]
    assert 5 == merge.merge(library).rows


def test_a_copy_of_what_is_embedded_already_is_never_embedded(make: Make) -> None:
    library, first = make(0, {"a.jpg": b"same bytes"}), Scripted()
    run(library, first)
    folder = Path(library.catalogue.roots()[0].path)
    (folder / "b.jpg").write_bytes(b"same bytes")
    scan.add(library, folder)
    run(library, Scripted({"b.jpg": Dies(SEGV)}))

    assert (1, 1, 0, 0) == counts(library)


def test_files_of_one_size_and_other_bytes_are_each_embedded(make: Make) -> None:
    library = make(0, {f"{letter}.jpg": letter.encode() * 9 for letter in "abcdef"})
    run(library, Scripted(), count=2)

    assert (6, 0, 0, 0) == counts(library)


def test_copies_of_a_file_that_fails_fail_for_the_same_reason(make: Make) -> None:
    library = make(3, COPIES)
    bad = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), Fails("truncated: it ends early"))
    run(library, Scripted(bad), count=2)

    assert (4, 0, 3, 0) == counts(library)
    assert {("failed", "truncated: it ends early")} == {outcomes(library)[name] for name in bad}


def test_copies_of_a_file_that_kills_fail_and_those_that_wait_for_it_kill_nobody(make: Make) -> None:
    library = make(3, COPIES)
    bad = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), Dies(SEGV))
    report = run(library, Scripted(bad), count=2)

    assert (4, 0, 3, 0) == counts(library)
    assert 2 <= report.deaths < 6


def test_a_copy_is_embedded_itself_when_the_first_turns_into_another_file(make: Make) -> None:
    library = make(3, COPIES)
    run(library, Scripted({"a.jpg": [Changes(b"not the same any more")]}), count=2)

    assert (6, 1, 0, 0) == counts(library)


def test_copies_of_a_file_that_never_comes_to_rest_are_embedded_themselves(make: Make) -> None:
    library = make(3, COPIES)
    run(library, Scripted({"a.jpg": [Changes(b"another %d" % number) for number in range(4)]}), count=2)

    assert (5, 1, 1, 0) == counts(library)
    assert ("failed", str(errors.ModifiedDuringRead())) == outcomes(library)["a.jpg"]


def test_a_claim_outlives_the_worker_that_made_it(make: Make) -> None:
    library = make(3, COPIES)
    run(library, Scripted({"a.jpg": [Dies(SEGV)], "b.jpg": [Dies(KILL)]}), count=2)

    assert (5, 2, 0, 0) == counts(library)


# --- files that change ----------------------------------------------------------------------------


def test_a_file_that_changed_since_the_scan_is_embedded_as_it_is_now(make: Make) -> None:
    library = make(4)
    (Path(library.catalogue.roots()[0].path) / "02.jpg").write_bytes(b"something else by now")
    run(library, Scripted())

    size = library.catalogue._connection.execute("SELECT size FROM images WHERE path LIKE '%02.jpg'").fetchone()
    assert (4, 0, 0, 0) == counts(library)
    assert (21,) == size


def test_three_changes_are_followed_and_a_fourth_is_one_too_many(make: Make) -> None:
    three = [Changes(b"y" * (100 + number)) for number in range(3)]
    library = make(4)
    run(library, Scripted({"02.jpg": three}))
    assert (4, 0, 0, 0) == counts(library)

    library = make(4)
    run(library, Scripted({"02.jpg": [*three, Changes(b"z")]}))
    assert (3, 0, 1, 0) == counts(library)
    assert ("failed", str(errors.ModifiedDuringRead())) == outcomes(library)["02.jpg"]
    assert 1 == library.catalogue.run("retry_transient"), "the next run tries it again"


def test_a_file_that_is_gone_fails_for_this_run_only(make: Make) -> None:
    library = make(4)
    path = Path(library.catalogue.roots()[0].path) / "02.jpg"
    content = path.read_bytes()
    path.unlink()
    run(library, Scripted())
    assert ("failed", str(errors.FileMissing())) == outcomes(library)["02.jpg"]

    path.write_bytes(content)
    library.catalogue.run("retry_transient")
    run(library, Scripted())
    assert (4, 0, 0, 0) == counts(library)
