"""The large view: zooming and moving the original by mouse, keyboard and fingers, and what is folded behind a picture."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixfind.demo.collection import draw
from pixfind.search import build
from pixfind.testing import make_library, wait_for
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]

PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def sharp(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server of two pictures that are larger than the screen, the second as TIFF, which browsers do not show."""
    place: Path = tmp_path_factory.mktemp("sharp")
    (place / "pictures").mkdir()
    beach, forest = (
        draw(kind, np.random.default_rng(0), (600, 400)).resize((2400, 1600)) for kind in ("beach", "forest")
    )
    beach.save(place / "pictures/beach.jpg", "JPEG", quality=90)
    forest.save(place / "pictures/forest.tif", "TIFF", compression="jpeg")
    with make_library(place / "library", place / "pictures") as library:
        build.build_index(library)
    with serving(place / "library", place / "serve.log") as running:
        yield running


def large(page: Page, name: str) -> Page:
    page.locator(f".tile-link[title$='{name}']").click()
    return opened_large(page)


def opened_large(page: Page) -> Page:
    expect(page.locator(".viewer-canvas .is-loaded")).to_be_visible()
    page.wait_for_url(lambda url: "image=" in url)
    return page


def percent(page: Page) -> int:
    return int(page.locator(".zoom-percent").inner_text().removesuffix("%"))


def source(page: Page) -> Any:
    return page.locator(".viewer-canvas img").last


def edges(page: Page) -> dict[str, float]:
    """How far the picture's edges lie outside the stage, in pixels."""
    found: dict[str, float] = page.evaluate(
        """() => {
             const stage = document.querySelector(".viewer-stage").getBoundingClientRect();
             const all = document.querySelector(".viewer-canvas").getBoundingClientRect();
             const beside = Math.max(0, (all.width - all.height * 1.5) / 2);  // nothing is drawn there
             return { left: stage.left - all.left - beside, right: all.right - stage.right - beside };
           }"""
    )
    return found


def becomes(page: Page, is_right: Callable[[], bool]) -> None:
    """Wait until what was asked of the mouse or a key has come to the picture."""
    wait_for(is_right, what=lambda: f"{percent(page)} %, {edges(page)}")


def test_the_wheel_zooms_to_the_original_around_the_pointer(tab: Open, sharp: Server) -> None:
    page = large(tab(sharp).open("/?q=beach"), "beach.jpg")
    expect(source(page)).to_have_attribute("src", "/api/images/1/thumbnail?size=1024")
    whole = percent(page)
    assert whole < 50
    page.mouse.move(200, 300)
    page.mouse.wheel(0, -500)
    expect(source(page)).to_have_attribute("src", "/api/images/1/file")
    becomes(page, lambda: percent(page) > 2 * whole and edges(page)["left"] < edges(page)["right"])
    # Dragged far, it stops at its edge.
    page.mouse.down()
    page.mouse.move(1090, 300, steps=3)
    page.mouse.up()
    becomes(page, lambda: abs(edges(page)["left"]) < 1)
    page.mouse.wheel(0, 5000)
    becomes(page, lambda: whole == percent(page))


def test_the_original_stays_where_a_thumbnail_comes_after_it(tab: Open, sharp: Server) -> None:
    def enlarged(route: Any) -> None:
        answer = route.fetch()
        found = answer.json()
        for each in found["hits"]:
            each.update(width=4 * each["width"], height=4 * each["height"])
        route.fulfill(response=answer, json=found)

    opened = tab(sharp)
    held: list[Any] = []
    # Of a picture of 61 megapixels the largest thumbnail is asked for before the original.
    opened.page.route("**/api/search*", enlarged)
    opened.page.route("**/thumbnail?size=4096", lambda route: held.append(route))
    page = large(opened.open("/?q=beach"), "beach.jpg")
    zoom = page.get_by_role("group", name="Zoom")
    with page.expect_request("**/thumbnail?size=4096"):
        for _ in range(3):
            zoom.get_by_role("button", name="Larger").click()
    for _ in range(3):
        zoom.get_by_role("button", name="Larger").click()
    expect(source(page)).to_have_attribute("src", "/api/images/1/file")
    page.unroute("**/thumbnail?size=4096")
    with page.expect_response("**/thumbnail?size=4096"):
        held.pop().continue_()
    page.evaluate(
        """async () => {
             const late = new Image();
             late.src = "/api/images/1/thumbnail?size=4096";
             await late.decode();
             await new Promise(requestAnimationFrame);
           }"""
    )
    expect(source(page)).to_have_attribute("src", "/api/images/1/file")


def test_keys_zoom_and_move_and_then_step_again(tab: Open, sharp: Server) -> None:
    page = large(tab(sharp).open("/?q=beach&all=1"), "beach.jpg")
    address = page.url
    whole = percent(page)
    page.keyboard.press("0")
    becomes(page, lambda: percent(page) == 100)
    left = edges(page)["left"]
    page.keyboard.press("ArrowRight")
    becomes(page, lambda: edges(page)["left"] > left)
    assert page.url == address
    page.keyboard.press("-")
    page.keyboard.press("+")
    page.keyboard.press("0")
    becomes(page, lambda: percent(page) == whole)
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: url != address)
    page.wait_for_function("() => document.querySelector('.viewer-canvas')?.style.transform === ''")


def test_the_buttons_zoom_too(tab: Open, sharp: Server) -> None:
    page = large(tab(sharp).open("/?q=beach"), "beach.jpg")
    whole = percent(page)
    zoom = page.get_by_role("group", name="Zoom")
    zoom.get_by_role("button", name="Larger").click()
    becomes(page, lambda: percent(page) > whole)
    zoom.get_by_role("button", name="show the whole picture").click()
    becomes(page, lambda: whole == percent(page))
    page.locator(".viewer-stage").dblclick()
    becomes(page, lambda: 100 == percent(page))


def test_what_browsers_do_not_show_gets_a_larger_thumbnail(tab: Open, sharp: Server) -> None:
    page = large(tab(sharp).open("/?q=forest&all=1"), "forest.tif")
    page.keyboard.press("0")
    expect(source(page)).to_have_attribute("src", "/api/images/2/thumbnail?size=4096")
    page.wait_for_function(
        "() => { const { naturalWidth, naturalHeight } = document.querySelector('.viewer-canvas img'); return naturalWidth === 2400 && naturalHeight === 1600; }"
    )


def test_fingers_pinch_move_and_tap_twice(tab: Open, sharp: Server) -> None:
    page = tab(sharp, **PHONE).open("/?q=beach&all=1")
    page.locator(".tile-link[title$='beach.jpg']").tap()
    address = opened_large(page).url
    screen = page.context.new_cdp_session(page)
    clock = itertools.count(time.time(), 0.02)

    def touch(kind: str, *points: tuple[int, int]) -> None:
        """A fiftieth of a second after the one before, however long it takes to send it: two taps are one gesture only in a short time."""
        named = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": named, "timestamp": next(clock)})

    touch("touchStart", (150, 300), (220, 300))
    for step in range(1, 9):
        touch("touchMove", (150 - 10 * step, 300), (220 + 10 * step, 300))
    touch("touchEnd")
    expect(page.locator(".viewer-stage")).to_have_class("viewer-stage is-zoomed")
    # While it is zoomed, a finger moves the picture; it does not step.
    touch("touchStart", (300, 300))
    touch("touchMove", (100, 300))
    touch("touchEnd")
    assert page.url == address
    for _ in range(2):
        touch("touchStart", (180, 300))
        touch("touchEnd")
    expect(page.locator(".viewer-stage")).to_have_class("viewer-stage")
    touch("touchStart", (300, 300))
    touch("touchMove", (100, 300))
    touch("touchEnd")
    page.wait_for_url(lambda url: url != address)


def test_near_duplicates_are_shown_behind_a_picture(tab: Open) -> None:
    page = tab().open("/?q=beach")
    page.locator(".tile:has(.tile-fold) .tile-link").first.click()
    page.keyboard.press("i")
    behind = page.locator(".viewer-behind button")
    expect(behind.first).to_be_visible()
    name = behind.first.get_attribute("title")
    behind.first.click()
    expect(page.locator(".viewer-name")).to_have_text(str(name))
