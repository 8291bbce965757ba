"""Which files a scan registers, by their names: one list, and its copy in the page."""

import re
from importlib import resources
from pathlib import Path

import pytest

from pixfind.images import suffixes
from pixfind.images.source import archives


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPG", "b.JpEg", "c.d.HEIC", "x.tiff", "\udcff.png", "y.pnm", ".hidden.gif"]
)
def test_a_picture_is_known_by_its_extension_in_any_case(name: str) -> None:
    assert suffixes.is_image_name(name)


@pytest.mark.parametrize("name", ["jpg", ".jpg", "a.txt", "a.jpg.part", "a", "", "a.ico", "a.svg", "a."])
def test_other_files_are_no_pictures(name: str) -> None:
    assert not suffixes.is_image_name(name)


def test_no_extension_is_both_registered_and_left_out() -> None:
    assert not suffixes.SUFFIXES & suffixes.KNOWN_UNREAD
    assert not suffixes.RAW & (suffixes.SUFFIXES | suffixes.KNOWN_UNREAD)


def test_the_page_has_the_same_lists() -> None:
    script = resources.files("pixfind.server").joinpath("page/suffixes.js").read_text(encoding="utf-8")
    for name, known in (("IMAGE", suffixes.SUFFIXES | suffixes.RAW), ("VIDEO", suffixes.VIDEOS)):
        _, _, rest = script.partition(f"{name}_SUFFIXES = ")
        listed = " ".join(re.findall(r'^ +"([^"]*)"', rest.partition(";")[0], re.MULTILINE)).split()
        assert sorted(suffix.removeprefix(".") for suffix in known) == listed


@pytest.mark.parametrize(
    ("kind", "listed"),
    [("pictures", suffixes.SUFFIXES), ("RAW", suffixes.RAW), ("archives", archives.SUFFIXES)],
)
def test_the_page_of_formats_has_the_same_lists(kind: str, listed: frozenset[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/formats.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {kind} \| ([^|:]*)", page, re.MULTILINE)
    assert row is not None
    assert listed == {f".{name.strip()}" for name in row[1].split(",")}
