"""The page of several libraries: which one has a picture, and which does not answer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixfind.demo.collection import draw
from pixfind.testing import make_library
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two libraries of four pictures each."""
    folder = tmp_path_factory.mktemp("collection")
    for number, name in enumerate(("desktop", "nas")):
        (folder / f"pictures-{name}").mkdir()
        for each in range(4):
            drawn = draw("sunset-sea", np.random.default_rng(10 * number + each), (160, 120))
            drawn.save(folder / f"pictures-{name}/{name}-{each}.jpg", "JPEG")
        make_library(folder / name, folder / f"pictures-{name}").close()
    return folder


@pytest.fixture
def nas(place: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(place / "nas", tmp_path / "nas.log") as server:
        yield server


@pytest.fixture
def both(place: Path, nas: Server, tmp_path: Path) -> Iterator[Server]:
    """A server of one library in a folder and of one at an address."""
    file = tmp_path / "collection.toml"
    file.write_text(
        f"timeout = 600\n[[library]]\npath = '{place / 'desktop'}'\n[[library]]\nname = 'nas'\naddress = '{nas.address}'",
        encoding="utf-8",
    )
    with serving(file, tmp_path / "serve.log") as server:
        yield server
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_the_similarity_map_of_several_libraries_says_what_can_be_done(both: Server, tab: Open) -> None:
    opened = tab(both)
    opened.expect_problems("status of 404 .*/api/similarity$")
    page = opened.open("/?view=similarity")
    view = page.locator("#similarity-view")
    expect(view).to_contain_text("Serve one of them: pixfind --library LIBRARY serve")
    expect(view).not_to_contain_text("pip install")


def test_pictures_of_all_libraries_are_found_seen_and_named(both: Server, tab: Open) -> None:
    page = tab(both).open("/?q=sunset&all=1")
    expect(page.locator(".tile img")).to_have_count(8)
    for tile in page.locator(".tile img").all():
        expect(tile).to_have_js_property("complete", value=True)
        assert tile.evaluate("image => image.decode().then(() => image.naturalWidth)")
    expect(page.locator("#missing")).to_be_hidden()
    names = set()
    for number in range(8):
        page.locator(".tile").nth(number).click()
        if not number:
            # The details stay open from one picture to the next.
            page.keyboard.press("i")
        fact = page.locator(".viewer-facts dt", has_text="Library").locator("+ dd")
        expect(fact).to_be_visible()
        names.add(fact.inner_text())
        page.keyboard.press("Escape")
    assert {"desktop", "nas"} == names


def test_the_library_view_tells_of_each_library_and_has_no_buttons_to_embed(both: Server, tab: Open) -> None:
    page = tab(both).open("/?view=library")
    expect(page.locator(".facts")).to_contain_text("desktop: 4 pictures")
    expect(page.locator(".facts")).to_contain_text("nas: 4 pictures")
    expect(page.locator(".run")).to_contain_text("pixfind --library LIBRARY index FOLDER")
    first, second = (page.locator(".facts .stacked > *").nth(place).bounding_box() for place in (0, 1))
    assert first["y"] + first["height"] <= second["y"]
    expect(page.locator(".run-actions button:visible")).to_have_count(0)


def test_several_libraries_have_no_order_of_registration(both: Server, tab: Open) -> None:
    page = tab(both).open("/?after=2000-01-01")
    expect(page.locator(".tile img")).to_have_count(8)
    # As soon as the page knows that they are several.
    expect(page.locator("#sort option")).to_have_text(["Newest first"])


def test_a_library_that_does_not_answer_is_named_above_the_pictures(both: Server, nas: Server, tab: Open) -> None:
    first = tab(both)
    page = first.open("/?q=sunset&all=1")
    expect(page.locator(".tile-image.is-loaded")).to_have_count(8)
    nas.process.kill()
    nas.process.wait()
    left = tab(both)
    page = left.open("/?q=sea&all=1")
    expect(page.locator(".tile img")).to_have_count(4)
    expect(page.locator("#missing")).to_contain_text("nas did not answer")
    expect(page.locator("#missing")).to_contain_text("Its pictures are missing here.")
    page.goto(f"{both.address}/?view=library")
    expect(page.locator(".facts")).to_contain_text("nas did not answer")
