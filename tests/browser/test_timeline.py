"""Browsing by time: months between the pictures, and a strip that leads to any of them."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library
from pixfind.testing.images import exif_block, make_image
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]

PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True}
COUNT = 240


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of 240 small pictures: ten for each month of two years."""
    place: Path = tmp_path_factory.mktemp("years")
    for number in range(COUNT):
        taken = dt.datetime(2021 + number // 120, 1 + number % 120 // 10, 1 + number % 10, 12)  # noqa: DTZ001  as cameras write it
        make_image(place / f"pictures/{number:03}.jpg", seed=number, size=(60, 45), exif=exif_block(taken_at=taken))
    make_library(place / "library", place / "pictures").close()
    with serving(place / "library", place / "serve.log") as running:
        yield running


def month(page: Page) -> Any:
    return page.get_by_role("slider", name="Month")


def heading_comes(page: Page, name: str) -> None:
    page.wait_for_function(
        """(name) => [...document.querySelectorAll(".grid-heading")].map((each) => [each.getBoundingClientRect().top, each.textContent])
             .filter(([top]) => top > 60).sort(([one], [other]) => one - other)[0]?.[1] === name""",
        arg=name,
    )


def test_months_stand_between_the_pictures(tab: Open, years: Server) -> None:
    page = tab(years).open("/")
    expect(page.get_by_role("heading", name="December 2022")).to_be_visible()
    expect(month(page)).to_have_attribute("aria-valuetext", "December 2022, 10 pictures")
    page.fill("#words", "sky")
    expect(page.locator("#summary")).to_contain_text("best first")
    expect(page.locator(".grid-heading")).to_have_count(0)
    expect(page.locator("#scrubber")).to_be_hidden()


@pytest.mark.parametrize(
    ("address", "words"),
    [("/?", "newest first"), ("/?q=sky&all=1&", "best first"), ("/?sort=added&", "last added first")],
)
def test_the_line_above_the_pictures_counts_those_that_pass_the_filters(
    tab: Open, years: Server, address: str, words: str
) -> None:
    page = tab(years).open(f"{address}after=2022-01-01&fold=0")
    expect(page.locator("#summary")).to_contain_text(f"120 pictures, {words}")
    # It is what screen readers read out, too.
    expect(page.locator("#announcement")).to_contain_text(f"120 pictures, {words}")


def test_keys_lead_from_month_to_month_and_year_to_year(tab: Open, years: Server) -> None:
    page = tab(years).open("/")
    expect(month(page)).to_have_attribute("aria-valuetext", "December 2022, 10 pictures")
    month(page).focus()
    page.keyboard.press("ArrowDown")
    heading_comes(page, "November 2022")
    page.keyboard.press("PageDown")
    heading_comes(page, "December 2021")
    page.wait_for_url(lambda url: "at=2021-12" in url)
    page.keyboard.press("End")
    heading_comes(page, "January 2021")
    page.keyboard.press("Home")
    heading_comes(page, "December 2022")


def test_each_press_of_a_key_leads_one_month_on(tab: Open, years: Server) -> None:
    page = tab(years).open("/?at=2021-12")
    heading_comes(page, "December 2021")
    month(page).focus()
    for name, at in (("November 2021", "2021-11"), ("October 2021", "2021-10"), ("September 2021", "2021-09")):
        page.keyboard.press("ArrowDown")
        heading_comes(page, name)
        # The pictures of newer months come above, and the strip follows what is on the screen.
        page.wait_for_function("() => Number(document.querySelector('.tile').dataset.place) > 0")
        heading_comes(page, name)
        expect(month(page)).to_have_attribute("aria-valuetext", f"{name}, 10 pictures")
        page.wait_for_url(f"**/?at={at}")


def test_the_strip_is_dragged_to_a_month_and_the_pictures_go_on_in_both_directions(tab: Open, years: Server) -> None:
    page = tab(years).open("/")
    expect(page.locator("#scrubber")).to_be_visible()
    box = page.locator("#scrubber").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 30, box["y"] + box["height"] * 0.72, steps=4)
    page.mouse.up()
    # Not the address that drives the browser: it may be one of those on the way.
    at = page.evaluate("new URLSearchParams(location.search).get('at')")
    assert at.startswith("2021-")
    heading_comes(page, page.evaluate("async (month) => (await import('/static/words.js')).monthName(month)", at))
    seen: set[str] = set()
    # Up to the newest one: each picture once, none left out.
    while len(seen) < COUNT:
        seen |= set(page.eval_on_selector_all(".tile", "all => all.map((tile) => tile.dataset.id)"))
        if page.evaluate("scrollY") == 0 and page.locator(".grid-heading", has_text="December 2022").count():
            break
        page.evaluate("scrollBy(0, -300)")
        page.wait_for_function("() => document.querySelector('.tile')")
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_role("heading", name="December 2022")).to_be_visible()
    places = page.eval_on_selector_all(".tile", "all => all.map((tile) => Number(tile.dataset.place))")
    assert len(places) == len(set(places))
    assert 0 in places


def test_nothing_moves_while_newer_pictures_come_above(tab: Open, years: Server) -> None:
    page = tab(years).open("/?at=2021-06")
    heading_comes(page, "June 2021")
    top = "document.querySelector('.grid-heading h2').closest('li').parentElement.querySelectorAll('.grid-heading')"
    where = f"[...{top}].find((each) => each.textContent === 'June 2021').getBoundingClientRect().top"
    # The page before is there: there are pictures above.
    page.wait_for_function("() => Number(document.querySelector('.tile').dataset.place) > 0")
    header = "document.getElementById('top').getBoundingClientRect().bottom"
    # Rows keep their place once the frame that has them is drawn.
    page.wait_for_function(f"() => Math.abs({where} - {header}) < 30")


def test_the_strip_follows_the_pictures(tab: Open, years: Server) -> None:
    page = tab(years).open("/")
    expect(month(page)).to_have_attribute("aria-valuetext", "December 2022, 10 pictures")
    # The months may come before the pictures, and then there is nothing to scroll.
    expect(page.locator(".tile").first).to_be_visible()
    page.mouse.move(400, 400)
    page.mouse.wheel(0, 1500)
    expect(month(page)).not_to_have_attribute("aria-valuetext", "December 2022, 10 pictures")


def test_an_address_of_a_month_is_reloaded(tab: Open, years: Server) -> None:
    page = tab(years).open("/?at=2021-06")
    heading_comes(page, "June 2021")
    page.reload()
    heading_comes(page, "June 2021")
    page.locator(".tile:visible a").nth(8).click()
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    page.wait_for_url("**/?at=2021-06")


def test_a_phone_has_the_strip_too_and_does_not_scroll_sideways(tab: Open, years: Server) -> None:
    page = tab(years, **PHONE).open("/")
    expect(page.locator("#scrubber")).to_be_visible()
    assert 375 == page.evaluate("document.documentElement.scrollWidth")
    page.touchscreen.tap(368, 600)
    page.wait_for_url(re.compile("at=2021-"))
