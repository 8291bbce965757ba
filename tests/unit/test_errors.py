"""Errors keep their promises to programs and to libraries of former versions."""

import pickle
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.errors import former
from pixfind.library.library import Library
from pixfind.types import Outcome, Settled


def test_every_former_name_warns_and_is_the_present_class() -> None:
    for name, present in former.CLASSES.items():
        with pytest.warns(DeprecationWarning, match=rf"{name} is now pixfind\.errors\.{present}"):
            assert getattr(errors, present) is getattr(errors, name)
        assert name not in errors.__all__


def test_an_unknown_name_is_still_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchError"):
        errors.NoSuchError  # noqa: B018


def test_the_former_kind_of_a_class_that_was_never_renamed_is_its_name() -> None:
    assert ("QueryWrong", "DiskFull") == (former.kind("InvalidQuery"), former.kind("DiskFull"))


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        ("kills the decoder: workers died on it again and again (ended by SIGSEGV)", "decoder crash"),
        ("keeps changing while it is read", "modified while it was read"),
        (str(errors.DecoderCrash(detail="ended by SIGSEGV")), "decoder crash"),
        (str(errors.FileMissing()), "file missing"),
        ("not an image: no decoder knows these bytes", "not an image"),
    ],
)
def test_reasons_are_of_one_kind_in_former_and_in_present_words(recorded: str, kind: str) -> None:
    assert kind == former.reason_kind(recorded)


def test_every_former_reason_leads_to_one_that_is_recorded_today() -> None:
    today = {former.reason_kind(kind.__doc__) for kind in errors.ImageProblem.__subclasses__()}

    assert set(former.REASONS.values()) <= today


def test_a_library_counts_and_lists_former_reasons_with_the_present_ones(tmp_path: Path) -> None:
    reasons = ("vanished: the file was there when it was registered", str(errors.FileMissing()), "empty file")
    with Library.create(tmp_path / "library") as library:
        catalogue = library.catalogue
        catalogue.run("add_root", "scan.sql", path="/pictures", device=0, exclude="[]", added_at=0, settings="{}")
        for number in range(1, 4):
            catalogue._connection.execute(
                "INSERT INTO images (root_id, path, size, mtime_ns) VALUES (1, ?, ?, 0)", (f"/{number}.jpg", number)
            )
        catalogue.settle(Settled(number, Outcome.FAILED, reason) for number, reason in enumerate(reasons, 1))

        assert {"file missing": 2, "empty file": 1} == dict(catalogue.rows("failures_by_reason"))
        for asked in ("vanished", "file missing"):
            page = catalogue.rows("failures_page", "search.sql", reason=asked, limit=10, offset=0)
            assert [1, 2] == [image_id for image_id, *_ in page]


def test_an_error_survives_a_pickle() -> None:
    made = pickle.loads(pickle.dumps(errors.InvalidCount(k=0)))  # noqa: S301

    assert (errors.InvalidCount, "Cannot show 0 hits: use 1 or more.") == (type(made), str(made))
