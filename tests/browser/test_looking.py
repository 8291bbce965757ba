"""Looking at pictures: the grid, the large view, the keyboard, small screens, the dark."""

import itertools
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library, make_pictures
from pixfind.testing.servers import serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]

TILES = """
all => all.map((tile) => {
  const { left, right, top, bottom } = tile.getBoundingClientRect();
  return { place: Number(tile.dataset.place), left, right, top: top + scrollY, bottom: bottom + scrollY };
})
"""
PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def loaded(page: Page) -> None:
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator(".tile-image:not(.is-loaded)")).to_have_count(0)


def focused(page: Page) -> int:
    return int(page.evaluate("document.activeElement.closest('li')?.dataset.place ?? -1"))


def focus_comes_to(page: Page, place: int) -> None:
    page.wait_for_function("place => document.activeElement.closest('li')?.dataset.place == place", arg=place)


def test_rows_fill_the_width_and_nothing_overlaps(tab: Open) -> None:
    page = tab().open("/?q=sky&fold=0")
    loaded(page)
    tiles = page.eval_on_selector_all(".tile", TILES)
    grid = page.locator("#grid").bounding_box()
    rows = [[tile for tile in tiles if tile["top"] == top] for top in sorted({tile["top"] for tile in tiles})]
    assert 2 < len(rows)
    assert list(range(len(tiles))) == [tile["place"] for row in rows for tile in row]
    for row, below in itertools.pairwise(rows):
        assert 1 == len({tile["bottom"] for tile in row})
        assert row[0]["bottom"] < below[0]["top"]
        assert all(one["right"] < other["left"] for one, other in itertools.pairwise(row))
        assert abs(row[-1]["right"] - grid["x"] - grid["width"]) <= 1


def test_only_pictures_near_the_screen_are_in_the_document(tab: Open) -> None:
    page = tab(viewport={"width": 400, "height": 300}).open("/?q=sky&fold=0")
    loaded(page)
    assert 53 > page.locator(".tile").count()
    page.locator("#words").press("Escape")
    expect(page.locator("#summary-line")).to_be_hidden()  # the pictures of the start page are there
    loaded(page)
    page.locator(".tile a").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".tile[data-place='52']")).to_be_in_viewport()
    focus_comes_to(page, 52)
    expect(page.locator(".tile[data-place='0']")).to_have_count(0)


def short_pages(route: Any) -> None:
    """Let the server answer with 12 pictures where the page asks for 60: the collection is small."""
    where = urllib.parse.urlsplit(route.request.url)
    parameters = dict(urllib.parse.parse_qsl(where.query)) | {"k": "12"}
    route.continue_(url=where._replace(query=urllib.parse.urlencode(parameters)).geturl())


def test_the_end_key_keeps_the_focus_while_further_pictures_arrive(tab: Open) -> None:
    opened = tab(viewport={"width": 400, "height": 300})
    opened.page.route("**/api/search*", short_pages)
    page = opened.open("/?q=sky&fold=0")
    page.locator(".tile a").first.focus()
    # Further pictures lay the last row out again, and with it the tile that has the focus.
    while page.evaluate("document.activeElement.closest('li')?.dataset.place") != "52":
        page.keyboard.press("End")
        page.wait_for_function("() => document.activeElement.closest('li')")


@pytest.mark.parametrize("path", ["/?fold=0", "/?q=sky&fold=0"], ids=["browsing", "results"])
def test_scrolling_reaches_every_picture_once(tab: Open, path: str) -> None:
    opened = tab(viewport={"width": 400, "height": 300})
    opened.page.route("**/api/search*", short_pages)
    page = opened.open(path)
    seen: dict[str, str] = {}
    while len(seen) < 53:
        page.evaluate("scrollBy(0, 200)")
        # The grid draws in the frame that follows the scroll.
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        seen |= page.eval_on_selector_all(
            ".tile", "all => Object.fromEntries(all.map((tile) => [tile.dataset.place, tile.dataset.id]))"
        )
    assert 53 == len(set(seen.values()))
    assert {str(place) for place in range(53)} == set(seen)


def test_the_end_of_the_grid_does_not_run_away(tab: Open) -> None:
    """One jump to the end loads what is needed to fill the screen, and waits there for the next one."""
    opened = tab(viewport={"width": 400, "height": 300})
    opened.page.route("**/api/search*", short_pages)
    page = opened.open("/?q=sky&fold=0")
    loaded(page)
    with page.expect_response("**/api/search*"):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    loaded(page)
    at = page.evaluate("scrollY")
    page.evaluate("() => fetch('/api/status').then(() => new Promise(requestAnimationFrame))")
    assert at == page.evaluate("scrollY")


def test_the_page_says_where_a_ranked_list_ends(tab: Open) -> None:
    def ended(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "more": True, "next": None})

    opened = tab()
    opened.page.route("**/api/search?q=*", ended)
    page = opened.open("/?q=sky&fold=0")
    expect(page.locator("#after")).to_contain_text("The list ends with the 53 best of 54 pictures.")
    page.get_by_role("button", name="Browse all pictures").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("What are you looking for?")


def test_an_address_of_a_picture_far_down_steps_to_its_neighbours(tab: Open) -> None:
    opened = tab(viewport={"width": 800, "height": 300})
    opened.page.route("**/api/search*", short_pages)
    page = opened.open("/?q=sky&fold=0")
    # Not by the page, so that the answer is whole.
    whole = page.request.get(f"{opened.server.address}/api/search?q=sky&k=60").json()
    ids = [hit["image_id"] for hit in whole["hits"]]
    page.goto(page.url + f"&image={ids[29]}")
    viewer = page.get_by_role("dialog", name="Large view")
    viewer.get_by_role("button", name="Next picture").click()
    page.wait_for_url(lambda url: f"image={ids[30]}" in url)
    viewer.get_by_role("button", name="Previous picture").click()
    page.wait_for_url(lambda url: f"image={ids[29]}" in url)


def test_a_picture_opens_large_and_steps_to_the_next(tab: Open) -> None:
    page = tab().open("/?q=lake")
    loaded(page)
    names = page.eval_on_selector_all(".tile img", "all => all.map((image) => image.alt)")
    page.locator(".tile a").nth(1).click()
    viewer = page.get_by_role("dialog", name="Large view")
    expect(viewer).to_be_visible()
    expect(viewer.locator(".viewer-name")).to_have_text(names[1])
    expect(viewer.locator("img.is-loaded")).to_have_attribute("alt", names[1])
    page.keyboard.press("ArrowRight")
    expect(viewer.locator(".viewer-name")).to_have_text(names[2])
    page.keyboard.press("i")
    expect(viewer.get_by_role("complementary", name="Details")).to_contain_text(names[2])
    expect(viewer.get_by_role("link", name="Open the original file")).to_have_attribute("href", re.compile(r"/file$"))
    viewer.get_by_role("button", name="Previous picture").click()
    expect(viewer.locator(".viewer-name")).to_have_text(names[1])
    page.go_back()
    expect(viewer).to_be_hidden()
    focus_comes_to(page, 1)


def test_the_large_view_leads_to_the_other_pictures_of_the_folder(tab: Open, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures/trip [1]", 2)
    make_pictures(tmp_path / "pictures/trip 1", 3, first=50)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    with serving(tmp_path / "library", tmp_path / "serve.log") as server:
        opened = tab(server)
        page = opened.open("/?in=*trip [[]1]*")
        page.locator(".tile a").first.click()
        viewer = page.get_by_role("dialog", name="Large view")
        page.keyboard.press("i")
        viewer.get_by_role("button", name="Show the pictures of the folder trip [1]").click()
        expect(viewer).to_be_hidden()
        expect(page.locator("#active-filters")).to_contain_text(f"in {tmp_path}/pictures/trip [[]1]")
        expect(page.locator(".tile")).to_have_count(2)
        page.goto(f"{server.address}/?image={page.locator('.tile[data-id]').first.get_attribute('data-id')}")
        expect(viewer.locator(".viewer-name")).not_to_be_empty()
        page.keyboard.press("f")
        expect(viewer).to_be_hidden()
        expect(page.locator(".tile")).to_have_count(2)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_contain_text("the other pictures of its folder")
        opened.close()


@pytest.mark.parametrize(
    ("locale", "date"),
    [("en", ", taken on May 17, 2020"), ("de", ", aufgenommen am 17. Mai 2020"), ("fr", ", prise le 17 mai 2020")],
)
def test_a_tile_is_named_with_its_date(tab: Open, locale: str, date: str) -> None:
    page = tab(locale=locale).open("/?q=beach&in=*beach-00.jpg")
    expect(page.locator(".tile a")).to_have_accessible_name(re.compile(rf"^beach-00\.jpg ?{re.escape(date)} "))
    page.goto(page.url.replace("beach-00", "again-60"))
    # It has no date of its own, and that of the file is not when it was taken.
    expect(page.locator(".tile a")).to_have_accessible_name(re.compile(r"^again-60\.jpg ?\D*\d[.,]\d\d$"))


def test_an_address_of_a_picture_opens_it(tab: Open) -> None:
    page = tab().open("/?q=lake")
    page.locator(".tile a").first.click()
    expect(page.locator(".viewer-name")).not_to_be_empty()
    name = page.locator(".viewer-name").inner_text()
    page.wait_for_url(lambda url: "image=" in url)
    page.reload()
    expect(page.locator(".viewer-name")).to_have_text(name)
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    page.wait_for_url(lambda url: "image=" not in url)


def test_a_double_click_that_closes_a_picture_leads_no_farther(tab: Open) -> None:
    page = tab().open("/?q=forest")
    page.fill("#words", "lake")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for lake")
    page.locator(".tile a").first.click()
    viewer = page.get_by_role("dialog", name="Large view")
    viewer.get_by_role("button", name="Close").evaluate("(close) => [close.click(), close.click()]")
    expect(viewer).to_be_hidden()
    # The way back that was asked for first has been gone, and so has another one.
    page.evaluate("() => fetch('/api/status').then(() => new Promise(requestAnimationFrame))")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for lake")


def test_the_address_of_a_picture_that_is_not_there_says_so(tab: Open) -> None:
    opened = tab()
    opened.expect_problems("status of 404 .*/api/images/999999$", "status of 404 .*/api/images/999999/thumbnail$")
    page = opened.open("/?image=999999")
    viewer = page.get_by_role("dialog", name="Large view")
    expect(viewer.locator(".viewer-broken")).to_have_text("This picture is no longer in the library.")
    expect(viewer.get_by_role("group", name="Zoom")).to_be_hidden()


@pytest.mark.parametrize("view", ["Library", "Map"])
def test_back_from_another_view_leads_to_the_place_in_the_pictures(tab: Open, view: str) -> None:
    page = tab().open("/?q=sky&fold=0")
    loaded(page)
    page.evaluate("scrollTo(0, 400)")
    # With the keyboard: Playwright may scroll before it clicks.
    page.get_by_role("link", name=view, exact=True).evaluate("link => link.focus({ preventScroll: true })")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=view)).to_be_visible()
    page.wait_for_function("() => scrollY === 0")
    page.wait_for_url(lambda url: "view=" in url)
    page.go_back()
    page.wait_for_function("() => scrollY === 400")
    expect(page.locator(".tile").first).to_be_visible()


def test_keys_on_results_that_were_just_opened_are_not_typed(tab: Open) -> None:
    page = tab().open("/?q=snow")
    loaded(page)
    page.keyboard.press("/")
    expect(page.locator("#words")).to_be_focused()
    assert "q=snow" in page.url
    page.locator("body").click(position={"x": 2, "y": 400})
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert page.url.endswith("/?q=snow")


def test_the_keyboard_alone_goes_all_the_way(tab: Open) -> None:
    page = tab().open()
    expect(page.locator("#words")).to_be_focused()
    page.keyboard.type("night")
    # What was found of the whole word, and not of its first letters.
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for night")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("night"))
    loaded(page)
    page.keyboard.press("ArrowDown")
    focus_comes_to(page, 0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.activeElement.closest('li')?.dataset.place > 1")
    at = focused(page)
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="Large view")
    expect(viewer).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.getElementById('viewer').contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    focus_comes_to(page, at - 1)
    page.keyboard.press("s")
    page.wait_for_url(lambda url: re.search(r"q=id%3A\d+$", url) is not None)
    expect(page.locator(".chip")).to_have_count(1)
    page.keyboard.press("/")
    expect(page.locator("#words")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.locator("#summary-line")).to_be_hidden()
    loaded(page)
    # Tab reaches every control of the header, and one picture.
    seen = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"choose", "filter", "library-link", "theme", "tile-link"} <= seen


@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "touch"])
def test_no_width_of_a_window_is_scrolled_sideways(tab: Open, touch: bool) -> None:
    page = tab(has_touch=touch, is_mobile=touch).open("/?q=beach")
    # The tools are all there: this library has a map of the collection.
    page.evaluate("document.getElementById('similarity-link').hidden = false")
    for width in (320, 340, 371, 375, 390, 412, 431, 480, 640, 761, 800, 900):
        page.set_viewport_size({"width": width, "height": 800})
        # The grid is laid out for a new width a moment later.
        page.wait_for_function(f"document.documentElement.scrollWidth === {width}")


@pytest.mark.parametrize("path", ["/", "/?q=beach+-night+%2Bid%3A3&shape=landscape&camera=nikon", "/?view=library"])
def test_a_phone_never_scrolls_sideways(tab: Open, path: str) -> None:
    page = tab(**PHONE).open(path)
    expect(page.locator(".tile, .ledger:visible").first).to_be_visible()
    assert 375 == page.evaluate("document.documentElement.scrollWidth")
    if "view" not in path:
        page.get_by_role("button", name="Filters").click()
        assert 375 == page.evaluate("document.documentElement.scrollWidth")
        page.get_by_role("button", name="Done").click()
        page.locator(".tile a").first.tap()
        expect(page.locator("#viewer")).to_be_visible()
        assert 375 == page.evaluate("document.getElementById('viewer').scrollWidth")
    small = page.eval_on_selector_all(
        "button, a.button, input:not([type=checkbox]):not([type=radio])",
        """all => all.filter((each) => each.checkVisibility({ visibilityProperty: true }))
             .map((each) => [each.id || each.className, each.getBoundingClientRect()])
             .filter(([, box]) => box.width && Math.min(box.width, box.height) < 34).map(([name]) => name)""",
    )
    assert [] == small


def test_the_theme_follows_the_system_until_one_is_chosen(tab: Open) -> None:
    page = tab(color_scheme="dark").open()
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Use the light theme").click()
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Use the dark theme")).to_be_visible()
    assert light == page.evaluate(ground)
    page.get_by_role("button", name="Use the dark theme").click()
    assert dark == page.evaluate(ground)


def test_a_screen_reader_finds_its_way(tab: Open) -> None:
    page = tab().open("/?q=lake")
    loaded(page)
    for role in ("banner", "search", "navigation", "main"):
        expect(page.get_by_role(role).first).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("of 54 pictures")
    expect(page.locator(".tile").first).to_have_attribute("aria-posinset", "1")
    expect(page.locator(".tile a[tabindex='0']")).to_have_count(1)
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, a, input:not([type=file])")]
           .filter((each) => each.checkVisibility() && !(each.getAttribute("aria-label") || each.textContent.trim() ||
             each.labels?.length || each.querySelector("img[alt]:not([alt=''])"))).map((each) => each.outerHTML)"""
    )
    assert [] == unnamed


def test_a_picture_that_could_not_be_loaded_is_asked_for_again(tab: Open) -> None:
    opened = tab()
    opened.expect_problems(r"net::ERR_FAILED /api/images/\d+/thumbnail$")
    opened.page.route("**/thumbnail*", lambda route: route.abort())
    page = opened.open("/?q=lake")
    expect(page.locator(".tile--broken").first).to_be_visible()
    page.unroute("**/thumbnail*")
    # The grid is laid out again, as it is when the server is back.
    page.set_viewport_size({"width": 900, "height": 700})
    expect(page.locator(".tile-image.is-loaded").first).to_be_visible()
    expect(page.locator(".tile--broken")).to_have_count(0)
