"""The map: pins where pictures were taken, moved and zoomed by mouse, finger and keyboard, and a way to the pictures."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pixfind.search import build
from pixfind.testing import make_library, make_pictures
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]
Violations = Callable[[Any], list[tuple[str, str]]]
Page = Any

#: fourteen pictures in two parts of Berlin, four in Sydney, two nowhere
BERLIN, SYDNEY = 14, 4

#: how opaque each pixel of a canvas is: land is, the sea is not. Read from a copy: browsers warn of a canvas that is read again and again.
OPAQUE = """(selector) => {
  const canvas = document.querySelector(selector);
  const copy = new OffscreenCanvas(Math.max(1, canvas.width), Math.max(1, canvas.height)).getContext("2d", { willReadFrequently: true });
  if (canvas.width) copy.drawImage(canvas, 0, 0);
  const { data, width } = copy.getImageData(0, 0, copy.canvas.width, copy.canvas.height);
  return Object.assign(data.filter((_, at) => at % 4 === 3), { width });
}"""


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of 20 pictures, of which 18 have a place."""
    place = tmp_path_factory.mktemp("map")
    make_pictures(place / "pictures", BERLIN + SYDNEY + 2)
    with make_library(place / "library", place / "pictures") as library:
        build.build_index(library)
    with sqlite3.connect(place / "library/metadata.db") as database:
        for number in range(BERLIN):
            longitude = (13.30 if number % 2 else 13.50) + number / 1e5
            database.execute(
                "UPDATE images SET latitude = 52.52, longitude = ?, camera = 'Canon' WHERE id = ?",
                (longitude, number + 1),
            )
        for number in range(SYDNEY):
            database.execute(
                "UPDATE images SET latitude = -33.87, longitude = 151.2, camera = 'Nikon' WHERE id = ?",
                (BERLIN + number + 1,),
            )
    with serving(place / "library", place / "serve.log") as server:
        yield server
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def pins(page: Page) -> Any:
    return page.get_by_role("list", name="Places with pictures").get_by_role("button")


def test_the_map_opens_with_all_places_on_the_screen(tab: Open, travelled: Server, violations: Violations) -> None:
    page = tab(travelled).open("/")
    page.get_by_role("link", name="Map").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Map")
    expect(pins(page)).to_have_count(2)
    expect(page.locator("#map-view .map-said")).to_have_text("18 of 18 pictures with a place are in this part")
    expect(page.get_by_role("button", name=f"{BERLIN} pictures near Berlin")).to_be_visible()
    expect(page.get_by_role("button", name=f"{SYDNEY} pictures near Sydney")).to_be_visible()
    for pin in pins(page).all():
        box = pin.bounding_box()
        assert 0 <= box["x"] <= 1100 and 0 <= box["y"] <= 760  # noqa: PT018  both in one
    # Land is drawn, and the sea is not.
    page.wait_for_function(f"() => new Set(({OPAQUE})('.map-canvas')).size > 1")
    assert [] == violations(page)


def test_where_no_picture_has_a_place_filters_are_blamed_only_where_there_are_some(tab: Open) -> None:
    opened = tab()
    nowhere: dict[str, Any] = {"count": 0, "in_view": 0, "bounds": None, "places": [], "missing": [], "current": True}
    opened.page.route("**/api/places?*", lambda route: route.fulfill(json=nowhere))
    page = opened.open("/?view=map")
    expect(page.locator("#map-view .map-said")).to_have_text("No picture has a place.")
    opened.open("/?view=map&shape=square")
    expect(page.locator("#map-view .map-said")).to_have_text("No picture with these filters has a place.")


def test_a_place_comes_apart_and_leads_to_its_pictures(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map")
    page.get_by_role("button", name=f"{BERLIN} pictures near Berlin").click()
    expect(pins(page)).to_have_count(2)
    expect(page.locator("#map-view .map-said")).to_have_text("14 of 18 pictures with a place are in this part")
    # Now each is small enough to be looked at.
    pins(page).first.click()
    page.wait_for_url(re.compile(r"near=52\.52"))
    expect(page.locator(".tile")).to_have_count(7)
    page.go_back()
    expect(pins(page)).to_have_count(2)
    expect(page.locator("#map-view .map-said")).to_have_text("14 of 18 pictures with a place are in this part")


def test_the_part_on_the_screen_is_in_the_address(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map&map=-33.87,151.2,9")
    expect(pins(page)).to_have_count(1)
    expect(page.get_by_role("button", name="4 pictures near Sydney")).to_be_visible()
    page.get_by_role("button", name="Farther").click()
    page.wait_for_url(re.compile(r"map=-33\.\d+%2C151\.\d+%2C8\.00"))
    page.reload()
    expect(pins(page)).to_have_count(1)
    page.get_by_role("button", name="Show the pictures around here").click()
    page.wait_for_url(re.compile("near="))
    expect(page.locator(".tile")).to_have_count(SYDNEY)


def test_the_keyboard_moves_zooms_and_opens(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map&map=52.52,13.4,6")
    expect(pins(page)).to_have_count(1)
    stage = page.get_by_role("group", name=re.compile("^Map of the places"))
    stage.focus()
    before = pins(page).first.bounding_box()["x"]
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(before) => document.querySelector('.map-pin').getBoundingClientRect().x < before - 100", arg=before)  # fmt: skip
    page.keyboard.press("ArrowLeft")
    for _ in range(4):
        page.keyboard.press("+")
    expect(pins(page)).to_have_count(2)
    page.keyboard.press("0")
    expect(pins(page)).to_have_count(2)
    expect(page.locator("#map-view .map-said")).to_contain_text("18 of 18")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    # The keyboard is with the place that was opened, or with the map.
    expect(page.locator("#map-view .map-said")).to_contain_text("14 of 18")
    page.wait_for_function("() => document.activeElement.closest('.map-stage')")


def test_the_mouse_drags_and_the_wheel_zooms_around_it(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map&map=52.52,13.4,6")
    pin = pins(page).first
    expect(pin).to_be_visible()
    box = pin.bounding_box()
    x, y = box["x"] + 28, box["y"] + 28
    page.mouse.move(x + 80, y + 60)
    page.mouse.down()
    page.mouse.move(x + 180, y + 90, steps=4)
    page.mouse.up()
    page.wait_for_function("([x]) => Math.abs(document.querySelector('.map-pin').getBoundingClientRect().x + 28 - x) < 3", arg=[x + 100])  # fmt: skip
    page.mouse.move(x + 100, y + 30)
    page.mouse.wheel(0, -960)
    # Around the pointer: what lay there still lies there, in the middle of the two pins that come apart.
    page.wait_for_function(
        """([x]) => {
          const pins = [...document.querySelectorAll(".map-pin")].map((pin) => pin.getBoundingClientRect().x + 28);
          return pins.length === 2 && Math.abs((pins[0] + pins[1]) / 2 - x) < 40;
        }""",
        arg=[x + 100],
    )


def test_the_map_has_the_pictures_that_pass_the_filters(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map&camera=nikon")
    expect(pins(page)).to_have_count(1)
    expect(page.locator("#map-view .map-said")).to_have_text("4 of 4 pictures with a place are in this part")
    page.get_by_role("button", name="Remove: camera: nikon").click()
    expect(page.locator("#map-view .map-said")).to_contain_text("of 18")
    page.wait_for_url(lambda url: "view=map" in url and "camera" not in url)
    page = tab(travelled).open("/?view=map&camera=leica")
    expect(page.locator("#map-view .map-said")).to_have_text("No picture with these filters has a place.")
    expect(page.get_by_role("button", name="Show the pictures around here")).to_be_hidden()


@pytest.mark.parametrize("options", [{"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 256}}])  # fmt: skip
def test_the_map_breaks_no_rule_of_accessibility(
    tab: Open, travelled: Server, options: dict[str, Any], violations: Violations
) -> None:
    page = tab(travelled, **options).open("/?view=map")
    expect(pins(page).first).to_be_attached()
    expect(page.locator("#map-view .map-said")).to_contain_text("pictures with a place")
    assert [] == violations(page)


#: what is seen in a phone's portrait format, from the north to the south
TALL = {"count": 2, "in_view": 2, "bounds": {"west": 10.0, "east": 10.1, "north": 54.0, "south": 47.5}, "current": True, "missing": []}  # fmt: skip
TALL["places"] = [{"latitude": latitude, "longitude": 10.05, "km": 0.1, "count": 1, "image_id": 1} for latitude in (54.0, 47.5)]  # fmt: skip


def zoom_in_address(page: Page) -> float:
    page.wait_for_url(re.compile("map="))
    return float(page.evaluate("() => new URLSearchParams(location.search).get('map').split(',')[2]"))


def test_the_answer_for_a_part_that_was_left_is_not_shown(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map&map=52.52,13.4,6")
    expect(pins(page)).to_have_count(1)
    page.route("**/api/places*", lambda _route: None)  # from now on nothing is answered
    stage = page.get_by_role("group", name=re.compile("^Map of the places"))
    with page.expect_request("**/api/places*"):
        stage.press("ArrowRight")
    with page.expect_event("requestfailed"):
        stage.press("ArrowLeft")


def test_who_moves_the_map_before_the_places_are_there_keeps_what_is_seen(tab: Open, travelled: Server) -> None:
    opened = tab(travelled)
    held: list[Any] = []
    opened.page.route("**/api/places*", lambda route: held.append(route) if not held else route.continue_())
    with opened.page.expect_request("**/api/places*"):
        page = opened.open("/?view=map&camera=nikon")
    page.get_by_role("button", name="Closer").click()
    expect(page.locator("#map-view .map-said")).to_contain_text("of 4 pictures with a place")
    assert zoom_in_address(page) < 4


def test_at_the_whole_world_zooming_out_moves_nothing(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map&map=10,13.4,3")
    expect(pins(page).first).to_be_attached()
    for _ in range(3):
        page.get_by_role("button", name="Farther").click()
    before, after = page.evaluate(
        """() => {
          const stage = document.querySelector("#map-view .map-stage");
          const place = () => document.querySelector(".map-pins li").firstChild.style.transform || document.querySelector(".map-pins li").style.transform;
          const before = place();
          stage.dispatchEvent(new WheelEvent("wheel", { deltaY: 480, clientX: 200, clientY: 600, cancelable: true }));
          return [before, place()];
        }"""
    )
    assert before.startswith("translate")
    assert before == after


def test_a_double_click_on_a_pin_is_a_click(tab: Open, travelled: Server) -> None:
    zooms = []
    for count in (1, 2):
        page = tab(travelled).open("/?view=map&map=52.52,13.4,6")
        expect(pins(page)).to_have_count(1)
        box = pins(page).first.bounding_box()
        page.mouse.click(box["x"] + 28, box["y"] + 28, click_count=count)
        expect(pins(page)).to_have_count(2)
        page.wait_for_url(lambda url: "map=52.52,13.4,6" not in url)
        zooms.append(zoom_in_address(page))
    assert zooms[0] == zooms[1]


def test_outlines_are_fetched_once_for_all_maps_of_the_page(tab: Open, travelled: Server) -> None:
    opened = tab(travelled)
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/outlines.json") else None)  # fmt: skip
    page = opened.open("/?view=map&camera=nikon")
    expect(pins(page)).to_have_count(1)
    page.get_by_role("button", name="Show the pictures around here").click()
    page.locator(".tile").first.click()
    page.keyboard.press("i")
    expect(page.locator(".small-map")).to_be_visible()
    # Its land has been drawn.
    page.wait_for_function(f"() => ({OPAQUE})('.small-map canvas').some(Boolean)")
    assert 1 == len(asked)


def test_pins_are_called_after_cities_that_come_later(tab: Open, travelled: Server) -> None:
    opened = tab(travelled)
    held: list[Any] = []
    opened.page.route("**/static/cities.json", lambda route: held.append(route))
    page = opened.open("/?view=map")
    expect(page.get_by_role("button", name=f"{BERLIN} pictures at this place", exact=True)).to_be_visible()
    held.pop().continue_()
    expect(page.get_by_role("button", name=f"{BERLIN} pictures near Berlin", exact=True)).to_be_visible()


def test_without_outlines_the_pins_are_there_all_the_same(tab: Open, travelled: Server) -> None:
    opened = tab(travelled)
    opened.expect_problems("status of 500 .*/static/outlines.json$")
    opened.page.route("**/static/outlines.json", lambda route: route.fulfill(status=500, json={"error": {"message": "broken"}}))  # fmt: skip
    page = opened.open("/?view=map")
    expect(page.get_by_role("button", name=f"{SYDNEY} pictures at this place", exact=True)).to_be_visible()


def test_the_bar_of_a_phone_lies_over_no_pin(tab: Open, travelled: Server) -> None:
    opened = tab(travelled, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    opened.page.route("**/api/places*", lambda route: route.fulfill(json=TALL))
    page = opened.open("/?view=map")
    expect(pins(page)).to_have_count(2)
    bar = page.locator("#map-view .map-bar").bounding_box()
    lowest = max(pin.bounding_box()["y"] + 56 for pin in pins(page).all())
    assert lowest <= bar["y"]


def test_a_phone_shows_all_places_of_the_world(tab: Open, travelled: Server) -> None:
    opened = tab(travelled, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = opened.open("/?view=map")
    expect(page.locator("#map-view .map-said")).to_contain_text("18 of 18")
    for name in ("Closer", "All places"):
        page.get_by_role("button", name=name).click()
    expect(page.locator("#map-view .map-said")).to_contain_text("18 of 18")
    for pin in pins(page).all():
        box = pin.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    page.reload()
    expect(page.locator("#map-view .map-said")).to_contain_text("18 of 18")


def test_the_view_that_is_shown_is_marked_in_the_header(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?view=map")
    current = page.locator(".tools [aria-current]")
    expect(current).to_have_attribute("aria-current", "page")
    expect(current).to_have_id("map-link")
    page.get_by_role("link", name="Library").click()
    expect(current).to_have_id("library-link")
    colours = [current.evaluate("(link) => getComputedStyle(link).color")]
    page.get_by_role("link", name="Map").click()
    expect(current).to_have_id("map-link")
    colours.append(current.evaluate("(link) => getComputedStyle(link).color"))
    assert colours[0] == colours[1]
    page.get_by_role("link", name="Map").click()
    expect(current).to_have_count(0)


def test_a_place_that_is_filtered_by_has_the_name_of_its_city(tab: Open, travelled: Server) -> None:
    opened = tab(travelled)
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/cities.json") else None)  # fmt: skip
    page = opened.open("/?camera=canon")
    expect(page.locator(".tile").first).to_be_visible()
    page.locator(".tile").first.click()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    assert [] == asked
    opened.open("/?near=52.52001,13.40001,2794")
    words = page.locator("#active-filters .chip-words")
    expect(words).to_have_text("within 2,794 km of Berlin")
    expect(words).to_have_attribute("title", "within 2,794 km of 52.52001, 13.40001")
    page.get_by_role("button", name="Remove: within 2,794 km of Berlin").click()
    expect(page.locator("#active-filters")).to_be_hidden()
    assert 1 == len(asked)
    # In the open sea there are coordinates, which end with an ellipsis where there is no room for them.
    opened.open("/?near=0.12345,-30.12345,10")
    expect(words).to_have_text("within 10 km of 0.12345, -30.12345")
    for at in ("overflow-x", "text-overflow", "display"):
        expect(words).to_have_css(at, {"overflow-x": "hidden", "text-overflow": "ellipsis", "display": "block"}[at])


def test_the_details_name_the_city_of_a_picture(tab: Open, travelled: Server) -> None:
    page = tab(travelled).open("/?camera=nikon")
    page.locator(".tile").first.click()
    page.keyboard.press("i")
    expect(page.locator(".viewer-facts")).to_contain_text("near Sydney")


#: seas as far from the line of the date as can be, at the latitudes at which land crosses it
@pytest.mark.parametrize("at", ["71.2,0", "66.5,1", "-16.5,-20", "-75,-35"])
def test_land_that_crosses_the_line_of_the_date_is_drawn_at_both_sides_and_not_across(tab: Open, travelled: Server, at: str) -> None:  # fmt: skip
    page = tab(travelled).open(f"/?view=map&map={at},4")
    expect(page.locator("#map-view .map-said")).not_to_be_empty()
    page.wait_for_function(f"() => ({OPAQUE})('.map-canvas').some(Boolean)")
    middle = page.evaluate(
        f"() => {{ const all = ({OPAQUE})('.map-canvas'); return all[all.length / 2 + all.width / 2]; }}"
    )
    assert 0 == middle
