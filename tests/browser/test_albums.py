"""Albums on the page, labels among the filters, and the stack behind a picture of a burst."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageChops

from pixfind.demo.collection import draw
from pixfind.embedding.runners.serial import Serial
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.testing.images import exif_block
from pixfind.testing.libraries import QUIET
from pixfind.testing.servers import Server, serving
from pixfind.workflows import label
from pixfind.workflows.index import index

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of beaches, forests and a burst of four, with labels."""
    place: Path = tmp_path_factory.mktemp("albums")
    pictures = place / "pictures"
    pictures.mkdir()
    for kind, count in (("beach", 20), ("forest", 20), ("winter-mountains", 20)):
        for number in range(count):
            drawn = draw(kind, np.random.default_rng(number), (200, 150))
            drawn.save(pictures / f"{kind}-{number:02}.jpg", quality=90)
    scene = draw("flower", np.random.default_rng(3), (200, 150))
    for number in range(4):
        taken = dt.datetime(2024, 5, 17, 12, 0, number)  # noqa: DTZ001  as cameras write it
        block = exif_block(taken_at=taken, make="Canon", model="EOS R5")
        ImageChops.offset(scene, 4 * number, 0).save(pictures / f"burst-{number}.jpg", quality=90, exif=block)
    with Library.create(place / "library") as library:
        index(library, [pictures], QUIET, runner=Serial())
        with library.lock("label"):
            label.define(library, [Definition("seaside", '+"beach"', 1.0), Definition("woods", '+"forest"', 1.0)])
    with serving(place / "library", place / "serve.log") as running:
        yield running


def test_an_album_is_kept_opened_and_removed(tab: Open, served: Server) -> None:
    page = tab(served).open("/?q=beach")
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_role("button", name="Keep as an album").click()
    name = page.get_by_label("Name of the album")
    expect(name).to_have_value("beach")
    name.fill("By the sea")
    name.press("Enter")
    expect(page.get_by_role("button", name="Remove the album “By the sea”")).to_be_visible()
    page.locator("#home").click()
    page.get_by_role("button", name="Album By the sea").click()
    page.wait_for_function("() => new URLSearchParams(location.search).get('q') === 'beach'")
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_role("button", name="Remove the album “By the sea”").click()
    expect(page.get_by_role("button", name="Keep as an album")).to_be_visible()
    page.locator("#home").click()
    expect(page.locator("#albums button")).to_have_count(0)


def test_a_name_that_an_album_has_is_asked_about(tab: Open, served: Server) -> None:
    page = tab(served).open("/?q=beach")
    name = page.get_by_label("Name of the album")
    page.get_by_role("button", name="Keep as an album").click()
    name.fill("Trips")
    name.press("Enter")
    expect(page.get_by_role("button", name="Remove the album “Trips”")).to_be_visible()
    page.goto(f"{served.address}/?q=forest")
    page.get_by_role("button", name="Keep as an album").click()
    name.fill("trips")
    name.press("Enter")
    expect(page.locator("#album-exists")).to_have_text("There is an album “Trips” already, with another search.")
    # Another name is another album.
    name.fill("Trips 2")
    expect(page.locator("#album-exists")).to_be_hidden()
    name.fill("trips")
    name.press("Enter")
    page.get_by_role("button", name="Replace it").click()
    expect(page.get_by_role("button", name="Remove the album “trips”")).to_be_visible()
    page.goto(f"{served.address}/?q=beach")
    expect(page.get_by_role("button", name="Keep as an album")).to_be_visible()
    page.goto(f"{served.address}/?q=forest")
    page.get_by_role("button", name="Remove the album “trips”").click()
    expect(page.get_by_role("button", name="Keep as an album")).to_be_visible()


@pytest.mark.parametrize("search", ["q=beach&camera=leica", "q=beach&label=none"])
def test_an_album_without_hits_is_kept_and_removed(tab: Open, served: Server, search: str) -> None:
    opened = tab(served)
    if "label" in search:
        # There is no such label.
        opened.expect_problems("status of 400 .*/api/search$")
        opened.allow_problems("status of 400 .*/api/timeline$")
    page = opened.open(f"/?{search}")
    expect(page.locator("#empty")).to_be_visible()
    page.get_by_role("button", name="Keep as an album").click()
    page.get_by_label("Name of the album").fill("Nothing")
    page.get_by_label("Name of the album").press("Enter")
    page.get_by_role("button", name="Remove the album “Nothing”").click()
    expect(page.get_by_role("button", name="Keep as an album")).to_be_visible()


def test_a_label_is_chosen_among_the_filters_and_kept_as_an_album(tab: Open, served: Server) -> None:
    page = tab(served).open("/")
    page.get_by_role("button", name="Filters").first.click()
    panel = page.get_by_role("region", name="Filters")
    woods = panel.get_by_role("region", name="Labels").get_by_role("button", name="woods")
    woods.click()
    page.wait_for_function("() => new URLSearchParams(location.search).get('label') === 'woods'")
    expect(page.locator("#active-filters")).to_contain_text("woods")
    expect(panel.locator("input[name=label]")).to_have_value("woods")
    panel.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Keep as an album").click()
    page.get_by_label("Name of the album").fill("Woods")
    page.get_by_label("Name of the album").press("Enter")
    expect(page.get_by_role("button", name="Remove the album “Woods”")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Remove the album “Woods”").click()
    expect(page.get_by_role("button", name="Keep as an album")).to_be_visible()


def test_a_name_for_an_album_may_be_given_up(tab: Open, served: Server) -> None:
    page = tab(served).open("/?q=beach")
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_role("button", name="Keep as an album").click()
    page.get_by_label("Name of the album").press("Escape")
    expect(page.locator("#album-form")).to_be_hidden()
    expect(page.get_by_role("button", name="Keep as an album")).to_be_focused()


def test_the_burst_behind_a_picture_is_shown(tab: Open, served: Server) -> None:
    page = tab(served).open("/?q=flower&all=1")
    tile = page.locator(".tile", has=page.locator(".tile-fold")).first
    expect(tile).to_be_visible()
    fold = tile.locator(".tile-fold")
    expect(fold).to_have_attribute("aria-label", "Show 3 pictures of the burst")
    tile.locator(".tile-link").click()
    page.keyboard.press("i")
    behind = page.locator(".viewer-behind button")
    expect(behind).to_have_count(3)
    expect(behind.first.locator("img")).to_have_attribute("alt", re.compile(r"^Open burst-\d\.jpg, of the same burst$"))
    behind.first.click()
    page.wait_for_function("() => document.querySelector('.viewer-name').textContent.startsWith('burst-')")


def test_pictures_are_put_into_an_album_and_taken_out_again(tab: Open, served: Server) -> None:
    page = tab(served).open("/?q=beach")
    expect(page.locator(".tile").nth(2)).to_be_visible()
    for place in range(3):
        page.locator(".tile").nth(place).hover()
        page.locator(".tile-mark").nth(place).click()
    expect(page.locator(".selection-count")).to_have_text("3 selected")
    page.keyboard.press("b")
    name = page.locator(".album-picker input")
    name.fill("Best of")
    name.press("Enter")
    bar = page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("3 pictures are in the album “Best of”.")
    bar.get_by_role("button", name="Show it").click()
    expect(page.locator(".tile")).to_have_count(3)
    expect(page.locator("#active-filters")).to_contain_text("album: Best of")
    expect(page.locator("#summary")).to_have_text("3 pictures, newest first")
    # They are selected still: what can be done here is on offer at once.
    expect(bar.get_by_role("button", name="Take out of the album")).to_be_visible()
    bar.get_by_role("button", name="Clear the selection").click()
    page.locator(".tile").first.hover()
    page.locator(".tile-mark").first.click()
    bar.get_by_role("button", name="Take out of the album").click()
    expect(bar).to_contain_text("1 picture was taken out of “Best of”")
    expect(page.locator(".tile")).to_have_count(2)
    expect(page.locator("#summary")).to_have_text("2 pictures, newest first")
    remove = page.get_by_role("button", name="Remove the album “Best of”")
    # Nothing else has the list: a slip of the mouse must not cost it.
    remove.click()
    expect(page.locator(".album-question")).to_contain_text("with its 2 pictures?")
    page.keyboard.press("Escape")
    expect(page.locator(".album-question")).to_be_hidden()
    remove.click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#active-filters")).to_contain_text("album: Best of")
    remove.click()
    page.locator(".album-question").get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#notice")).to_contain_text("The album “Best of” is removed")
    # Its address would lead nowhere.
    expect(page.locator("#active-filters")).not_to_contain_text("Best of")
    expect(page.locator(".tile").nth(5)).to_be_visible()


def test_an_address_with_an_album_that_is_gone_says_so(tab: Open, served: Server) -> None:
    opened = tab(served)
    opened.expect_problems("status of 400 .*/api/search$")
    opened.allow_problems("status of 400 .*/api/timeline$")
    page = opened.open("/?album=Nope")
    expect(page.locator("#empty")).to_contain_text("There is no album “Nope”.")
    page.get_by_role("button", name="Show all pictures").click()
    expect(page.locator(".tile").first).to_be_visible()


def test_the_keyboard_keeps_its_place_when_pictures_go_into_an_album(tab: Open, served: Server) -> None:
    page = tab(served).open("/?q=beach")
    expect(page.locator(".tile").nth(2)).to_be_visible()
    tile = page.locator(".tile .tile-link").first
    tile.focus()
    page.keyboard.press("x")
    expect(page.locator(".selection-count")).to_have_text("1 selected")
    page.keyboard.press("b")
    expect(page.locator(".album-picker input")).to_be_focused()
    page.keyboard.press("Escape")
    expect(tile).to_be_focused()
    page.keyboard.press("b")
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    expect(page.locator(".selection-message")).to_contain_text("1 picture is in the album “By keys”.")
    expect(tile).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#selection-bar")).to_be_hidden()
    removed = {"headers": {"X-Pixfind": "1"}, "data": {"name": "By keys", "search": None}}
    assert page.request.post(f"{served.address}/api/albums", **removed).ok


def test_a_name_of_a_search_is_none_for_pictures(tab: Open, served: Server) -> None:
    opened = tab(served)
    opened.expect_problems("status of 400 .*/api/albums$")
    page = opened.open("/?q=forest")
    page.get_by_role("button", name="Keep as an album").click()
    page.get_by_label("Name of the album").fill("Forests")
    page.get_by_label("Name of the album").press("Enter")
    expect(page.get_by_role("button", name="Remove the album “Forests”")).to_be_visible()
    page.locator(".tile").first.hover()
    page.locator(".tile-mark").first.click()
    expect(page.locator(".selection-count")).to_have_text("1 selected")
    page.keyboard.press("b")
    page.locator(".album-picker input").fill("forests")
    page.locator(".album-picker input").press("Enter")
    expect(page.locator(".selection-message")).to_contain_text("an album of this name is a search")
    page.get_by_role("button", name="Remove the album “Forests”").click()
    expect(page.get_by_role("button", name="Keep as an album")).to_be_visible()
