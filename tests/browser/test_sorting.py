"""The order of the pictures on the page, and a date in the query that is offered as a filter."""

import datetime as dt
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

COUNT = 24


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of 24 pictures, a month each, that were registered in the order of their names and taken in another."""
    place: Path = tmp_path_factory.mktemp("mixed")
    for number in range(COUNT):
        month = number * 7 % COUNT
        taken = dt.datetime(2020 + month // 12, 1 + month % 12, 5, 12)  # noqa: DTZ001  as cameras write it
        name = place / f"pictures/{number:02} {taken:%Y-%m}.jpg"
        make_image(name, seed=number, size=(160, 120), exif=exif_block(taken_at=taken))
    make_library(place / "library", place / "pictures").close()
    with serving(place / "library", place / "serve.log") as running:
        yield running


def names(page: Page) -> list[str]:
    return page.eval_on_selector_all(".tile img", "all => all.map((image) => image.alt)")


def begins_with(page: Page, name: str) -> None:
    page.wait_for_function("(name) => document.querySelector('.tile img')?.alt.startsWith(name)", arg=name)


def test_recently_added_pictures_are_one_click_away(tab: Open, mixed: Server) -> None:
    page = tab(mixed).open("/")
    page.get_by_role("button", name="Recently added").click()
    begins_with(page, f"{COUNT - 1} ")
    expect(page.locator("#summary")).to_contain_text("24 pictures")
    assert sorted(names(page), reverse=True) == names(page)
    expect(page.locator(".grid-heading")).to_have_count(0)
    page.get_by_label("Order").select_option("Newest first")
    expect(page.get_by_role("heading", name="December 2021")).to_be_visible()


def test_hits_of_a_query_are_sorted_by_date_and_the_address_knows(tab: Open, mixed: Server) -> None:
    page = tab(mixed).open("/?q=blue&all=1")
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_label("Order").select_option("Newest first")
    page.wait_for_function("() => new URLSearchParams(location.search).get('sort') === 'date'")
    expect(page.get_by_role("heading", name="December 2021")).to_be_visible()
    shown = names(page)
    assert sorted(shown, key=lambda name: name.split()[1], reverse=True) == shown
    page.reload()
    expect(page.get_by_label("Order")).to_have_value("date")
    expect(page.get_by_role("heading", name="December 2021")).to_be_visible()


def test_a_date_in_the_query_is_offered_taken_and_removed_again(tab: Open, mixed: Server) -> None:
    page = tab(mixed).open("/?all=1")
    page.fill("#words", "blue in may 2021")
    offer = page.locator("#offer")
    expect(offer).to_contain_text("“in may 2021”: taken May 1 \N{EN DASH} 31, 2021?")
    offer.get_by_role("button", name="Only pictures taken May 1").click()
    page.wait_for_function("() => new URLSearchParams(location.search).get('q') === 'blue'")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator("#active-filters")).to_contain_text("from May 1, 2021")
    expect(page.locator("#active-filters")).to_contain_text("until May 31, 2021")
    expect(offer).to_be_hidden()


@pytest.mark.parametrize(
    ("words", "locale", "offered"),
    [
        ("blue in may 2021", "de", "aufgenommen 1.\N{EN DASH}31. Mai 2021?"),
        ("blue in may 2021", "fr", "prises 1\N{EN DASH}31 mai 2021 ?"),
        ("blue since 2021", "de", "aufgenommen ab dem 1. Januar 2021?"),
        ("blue before may 2021", "en", "taken before May 1, 2021?"),
    ],
)
def test_a_date_is_offered_in_the_language_of_the_page(
    tab: Open, mixed: Server, words: str, locale: str, offered: str
) -> None:
    page = tab(mixed, locale=locale).open("/?all=1")
    page.fill("#words", words)
    expect(page.locator("#offer")).to_contain_text(offered)


def test_an_offer_that_was_refused_is_not_made_again(tab: Open, mixed: Server) -> None:
    page = tab(mixed).open("/?all=1")
    page.fill("#words", "blue may 2021")
    offer = page.locator("#offer")
    offer.get_by_role("button", name="Search for the words").click()
    expect(offer).to_be_hidden()
    page.fill("#words", "red may 2021")
    page.wait_for_function("() => new URLSearchParams(location.search).get('q') === 'red may 2021'")
    expect(page.locator(".tile").first).to_be_visible()
    expect(offer).to_be_hidden()


def test_an_offer_that_is_taken_in_the_library_view_shows_the_pictures(tab: Open, mixed: Server) -> None:
    page = tab(mixed).open("/?q=beach+in+may+2021")
    expect(page.locator("#offer")).to_be_visible()
    page.get_by_role("link", name="Library").click()
    expect(page.locator("#library-view")).to_be_visible()
    page.locator("#offer").get_by_role("button", name="Only pictures taken").click()
    expect(page.locator("#search-view")).to_be_visible()
    page.wait_for_url(lambda url: "view=" not in url)
