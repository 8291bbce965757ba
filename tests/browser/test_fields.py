"""Fields of lists on the page: a filter where there are any, a chip, a line with each picture."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.testing.servers import Server, serving
from pixfind.workflows.index import index

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[Server]:
    """A server of a list of four pictures."""
    pictures = make_pictures(tmp_path / "pictures", 4)
    lines = [f"{path},{'CC0' if n % 2 else '<b>mit</b>'},{n * 100}\n" for n, path in enumerate(pictures)]
    (tmp_path / "list.csv").write_text("url,license,n\n" + "".join(lines), "utf-8")
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as made:
        index(made, [tmp_path / "list.csv"], QUIET, settings={"column": "url", "keep": ["license", "n"]})
    with serving(tmp_path / "library", tmp_path / "serve.log") as running:
        yield running


def test_fields_are_filtered_by_and_shown(listed: Server, tab: Open) -> None:
    page = tab(listed).open("/")
    expect(page.locator(".tile")).to_have_count(4)
    page.get_by_role("button", name="Filters").first.click()
    field = page.get_by_label("Fields of lists")
    # Half a condition asks for nothing.
    field.fill("license")
    field.fill("license=cc0; n>150")
    page.wait_for_url(re.compile("where="))
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator("#active-filters")).to_contain_text("license=cc0 and n>150")
    page.goto(f"{listed.address}/?image=1")
    page.get_by_role("button", name="Details").click()
    expect(page.locator("dd", has_text="<b>mit</b>")).to_be_visible()


def test_a_library_without_lists_has_no_such_filter(tab: Open) -> None:
    page = tab().open("/")
    page.get_by_role("button", name="Filters").first.click()
    expect(page.get_by_label("Camera", exact=True)).to_be_visible()
    expect(page.get_by_label("Fields of lists")).to_be_hidden()
