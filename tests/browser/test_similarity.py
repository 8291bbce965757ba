"""The similarity map in a browser: groups that come apart, and a way to pictures that look alike."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pixfind.testing import make_drawn_pictures, make_library
from pixfind.testing.servers import Server, serving
from pixfind.workflows.build_index import build_index

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]
Violations = Callable[[Any], list[tuple[str, str]]]
Page = Any
COUNT = 60


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("similarity")
    make_drawn_pictures(place / "pictures", COUNT)
    with make_library(place / "library", place / "pictures") as library, library.lock("test"):
        build_index(library)
    with serving(place / "library", place / "serve.log") as server:
        yield server
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def groups(page: Page) -> Any:
    return page.get_by_role("list", name="Groups of similar pictures").get_by_role("button")


def said(page: Page) -> Any:
    return page.locator("#similarity-view .map-said")


def test_it_opens_with_all_pictures_on_the_screen(tab: Open, drawn: Server, violations: Violations) -> None:
    page = tab(drawn).open("/")
    page.get_by_role("link", name="Similarity map").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Similarity map")
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    bar = page.locator("#similarity-view .map-bar").bounding_box()
    for group in groups(page).all():
        box = group.bounding_box()
        assert box["y"] + box["height"] / 2 < bar["y"]
    assert [] == violations(page)


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"viewport": {"width": 375, "height": 667}}], ids=str)
def test_it_breaks_no_rule_of_accessibility(
    tab: Open, drawn: Server, options: dict[str, Any], violations: Violations
) -> None:
    page = tab(drawn, **options).open("/?view=similarity")
    expect(said(page)).to_contain_text(f"of {COUNT} pictures")
    assert [] == violations(page)


@pytest.mark.parametrize("hover", [True, False])
def test_the_narrowest_screen_has_room_for_its_button(tab: Open, drawn: Server, hover: bool) -> None:
    page = tab(drawn, viewport={"width": 320, "height": 600}, has_touch=not hover, is_mobile=not hover).open("/")
    expect(page.get_by_role("link", name="Similarity map")).to_be_visible()
    assert 320 == page.evaluate("document.documentElement.scrollWidth")


def test_a_group_comes_apart_and_a_picture_leads_to_those_like_it(tab: Open, drawn: Server) -> None:
    page = tab(drawn).open("/?view=similarity")
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    groups(page).first.click()
    expect(said(page)).not_to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    # As far as one can look: each picture by itself.
    page.wait_for_url(re.compile("map="))
    page.goto(re.sub(r"map=.*", "map=0.5%2C0.5%2C12", page.url))
    expect(said(page)).to_contain_text(f"of {COUNT} pictures")
    page.get_by_role("button", name="All pictures").click()
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    page.get_by_role("button", name="Search for pictures like these").click()
    page.wait_for_url(re.compile(r"q=id"))
    expect(page.locator("#summary")).to_contain_text(f"of {COUNT} pictures")


def test_the_keyboard_moves_and_zooms(tab: Open, drawn: Server) -> None:
    page = tab(drawn).open("/?view=similarity")
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    page.locator("#similarity-view .map-stage").focus()
    for _ in range(3):
        page.keyboard.press("+")
    expect(said(page)).not_to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    page.keyboard.press("0")
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")


def test_the_two_maps_do_not_take_each_other_for_themselves(tab: Open, drawn: Server) -> None:
    page = tab(drawn).open("/?view=similarity")
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    page.get_by_role("link", name="Map", exact=True).click()
    expect(page.locator("#map-view .map-said")).to_contain_text("place")
    page.wait_for_url(lambda url: "view=map" in url)
    page.go_back()
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")


def test_filters_hold_on_it(tab: Open, drawn: Server) -> None:
    page = tab(drawn).open("/?view=similarity&shape=portrait")
    expect(said(page)).not_to_be_empty()
    expect(said(page)).not_to_contain_text(f"of {COUNT} pictures")
    page = tab(drawn).open("/?view=similarity&after=2999")
    expect(said(page)).to_have_text("No picture passes the filters.")


def test_the_smallest_screen_has_it_too_and_comes_back_to_where_it_was(tab: Open, drawn: Server) -> None:
    page = tab(drawn, viewport={"width": 320, "height": 330}).open("/?view=similarity")
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
    page.wait_for_url(lambda url: "map=" in url and float(url.split("%2C")[-1]) < 0)
    page.get_by_role("link", name="Library").click()
    page.wait_for_url(lambda url: "view=library" in url)
    page.go_back()
    expect(said(page)).to_have_text(f"{COUNT} of {COUNT} pictures are in this part")
