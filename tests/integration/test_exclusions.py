"""What is left out below a root: for good, as long as it is configured, and until it is taken back."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import roots
from pixfind.library.library import Library
from pixfind.library.roots import Configured, RootState
from pixfind.library.scan_report import ScanReport
from pixfind.testing import make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.add import add
from pixfind.workflows.embed import embed


def state(library: Library) -> RootState:
    (only,) = roots.states(library, library.catalogue.ledger_and_roots()[1])
    return only


def counted(reports: tuple[ScanReport, ...]) -> tuple[int, int]:
    """Return (excluded, returned)."""
    (report,) = reports
    return report.excluded, report.returned


def test_what_is_taken_back_is_registered_again_and_embedded(library: Library, pictures: Path) -> None:
    assert (10, 0) == counted(add(library, [pictures], ["*_0000?.jpg"]))
    assert ["*_0000?.jpg"] == state(library).exclude

    assert (0, 10) == counted(add(library, include=["*_0000?.jpg"]))
    assert [] == state(library).exclude
    assert {"embedded": 40} == embed(library, QUIET, runner=Serial()).outcomes


def test_only_what_no_other_rule_leaves_out_returns(library: Library, pictures: Path) -> None:
    add(library, [pictures], ["*_0000?.jpg", "*_00003.jpg"])

    assert (0, 9) == counted(add(library, include=["*_0000?.jpg"]))


def test_members_of_archives_return_too(library: Library, pictures: Path) -> None:
    make_pictures(pictures / "trip", 3, first=60)
    with zipfile.ZipFile(pictures / "trip.zip", "w") as archive:
        for path in sorted((pictures / "trip").iterdir()):
            archive.write(path, f"trip/{path.name}")
            path.unlink()
    add(library, [pictures], ["trip"], in_archives=True)
    assert 40 == state(library).images

    add(library, include=["trip"])
    assert 43 == state(library).images


def test_an_exclusion_that_no_root_has_is_refused_with_those_that_it_has(library: Library, pictures: Path) -> None:
    add(library, [pictures], ["drafts"])

    with pytest.raises(errors.ExclusionUnknown, match="It has 'drafts'"):
        add(library, [pictures], include=["draft", "drafts"])
    assert ["drafts"] == state(library).exclude


def test_what_is_configured_holds_as_long_as_it_is_configured(library: Library) -> None:
    assert (10, 0) == counted(add(library, configured=Configured("index", ("*_0000?.jpg",))))
    assert {"index": ["*_0000?.jpg"]} == state(library).exclude_configured
    # A scan that nothing is configured for, such as that of `watch`, keeps what was; so does another command.
    assert (0, 0) == counted(add(library))
    assert (0, 0) == counted(add(library, configured=Configured("add", ())))
    with pytest.raises(errors.ExclusionUnknown, match="It is set for `pixfind index`"):
        add(library, include=["*_0000?.jpg"])

    assert (0, 9) == counted(add(library, configured=Configured("index", ("*_00003.jpg",))))
    assert (0, 1) == counted(add(library, configured=Configured("index", ())))
    assert {} == state(library).exclude_configured


def test_what_was_typed_and_what_is_configured_add_up(library: Library, pictures: Path) -> None:
    add(library, [pictures], ["*_0000?.jpg"], configured=Configured("index", ("*_0000?.jpg", "*_0001?.jpg")))

    assert (0, 10) == counted(add(library, configured=Configured("index", ())))
    assert (0, 10) == counted(add(library, include=["*_0000?.jpg"]))


def test_settings_and_exclusions_of_a_root_do_not_touch_each_other(library: Library, pictures: Path) -> None:
    add(
        library, [pictures], ["a"], configured=Configured("index", ("b",)), settings={"column": "url"}, in_archives=True
    )
    add(library, [pictures], include=["a"])

    assert {"index": ["b"]} == state(library).exclude_configured
    assert state(library).archives
    assert ({}, "folder", 40, None) == (
        state(library).settings,
        state(library).kind,
        state(library).images,
        state(library).offline,
    )


def test_to_try_again_what_was_skipped_is_no_way_around_an_exclusion(library: Library, pictures: Path) -> None:
    add(library, [pictures], ["*_0000?.jpg"])
    embed(library, replace(QUIET, retry=True), runner=Serial())

    assert 30 == library.catalogue.ledger()["embedded"]
    assert (0, 10) == counted(add(library, include=["*_0000?.jpg"]))
