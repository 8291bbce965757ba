"""Text that was read in pictures, on the page: it is that of strangers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.library import fulltext
from pixfind.testing import make_library, make_pictures, written
from pixfind.testing.servers import serving
from pixfind.testing.written import Drawn

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

SAID = (
    "<img src=x onerror=alert(1)> hostile",
    '"><svg onload=alert(2)> hostile',
    "{{constructor.constructor('alert(3)')()}} hostile",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd hostile",
)


def test_text_that_looks_like_html_or_runs_from_the_right_is_shown_as_it_is(
    tab: Callable[..., Any], tmp_path: Path
) -> None:
    paths = make_pictures(tmp_path / "pictures", len(SAID))
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        written.keep_as_written(library, [Drawn(path, "", (said,), ()) for path, said in zip(paths, SAID, strict=True)])
        with library.lock("index"):
            fulltext.update(library)
    with serving(tmp_path / "library", tmp_path / "serve.log") as server:
        shown = tab(server=server)
        page = shown.open("/?q=says:hostile&fold=0")
        tiles = page.locator(".tile-link")
        expect(tiles).to_have_count(len(SAID))
        titles = [tile.get_attribute("title") for tile in tiles.all()]
        assert set(SAID) == {said for said in SAID for title in titles if said in title}
        tiles.first.click()
        name = page.locator(".viewer-name")
        for number in range(len(SAID)):
            expect(page.locator("#viewer").get_by_text("hostile").first).to_be_attached()
            if number < len(SAID) - 1:
                before = name.inner_text()
                page.keyboard.press("ArrowRight")
                expect(name).not_to_have_text(before)
        assert 0 == page.locator("svg[onload], img[onerror], img[src='x']").count()
        shown.close()
