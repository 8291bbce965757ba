"""Pictures far down a list: their neighbours in the large view, and the place to which a reload comes back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library
from pixfind.testing.images import make_image
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]

COUNT = 700
BROWSED, FOUND = "in=*&distinct=true", "q=sky&distinct=true&all=true"
FIRST = """() => [...document.querySelectorAll(".tile")].map((tile) => ({ id: tile.dataset.id, top: Math.round(tile.getBoundingClientRect().top) }))
                 .filter(({ top }) => top >= 60).sort((one, other) => one.top - other.top)[0]"""
"""the first picture below the header, and where it lies"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of 700 tiny pictures, of which no camera tells the time: all are of one month."""
    place: Path = tmp_path_factory.mktemp("many")
    for number in range(COUNT):
        make_image(place / f"pictures/{number:04}.jpg", seed=number, size=(32, 24))
    make_library(place / "library", place / "pictures").close()
    with serving(place / "library", place / "serve.log") as running:
        yield running


def ids(page: Page, server: Server, query: str) -> list[int]:
    """All pictures of a list, in its order."""
    found: list[int] = []
    cursor = ""
    while True:
        answer = page.request.get(f"{server.address}/api/search?{query}&k=500{cursor}").json()
        found += [hit["image_id"] for hit in answer["hits"]]
        if not answer["next"]:
            return found
        cursor = f"&cursor={answer['next']}"


@pytest.mark.parametrize(("path", "query"), [("/?", BROWSED), ("/?sort=added&", f"{BROWSED}&sort=added"), ("/?q=sky&all=1&", FOUND)], ids=["browsing", "added", "results"])  # fmt: skip
def test_the_address_of_a_picture_far_down_has_its_neighbours(tab: Open, many: Server, path: str, query: str) -> None:
    opened = tab(many)
    far = ids(opened.page, many, query)
    assert 600 < len(far)
    page = opened.open(f"{path}image={far[570]}")
    viewer = page.get_by_role("dialog", name="Large view")
    for place, name in ((571, "Next"), (570, "Previous"), (569, "Previous")):
        viewer.get_by_role("button", name=f"{name} picture").click()
        page.wait_for_url(lambda url, place=place: f"image={far[place]}" in url)
    page.keyboard.press("Escape")
    expect(page.locator(f".tile[data-id='{far[569]}'] a")).to_be_focused()


def test_stepping_back_goes_on_beyond_the_page_before(tab: Open, many: Server) -> None:
    opened = tab(many)
    far = ids(opened.page, many, BROWSED)
    page = opened.open(f"/?at={far[570]}&image={far[570]}")
    back = page.get_by_role("button", name="Previous picture")
    for place in range(569, 500, -1):
        expect(back).to_be_enabled()
        page.keyboard.press("ArrowLeft")
        # Not the address: what drives the browser hears of it later than the page.
        expect(page.locator(".viewer-name")).to_have_text(f"{far[place] - 1:04}.jpg")


def test_pictures_above_the_place_at_which_a_list_was_entered_are_no_copies(tab: Open, many: Server) -> None:
    opened = tab(many)
    far = ids(opened.page, many, BROWSED)
    page = opened.open(f"/?in=pictures&at={far[-5]}&image={far[-5]}")
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Escape")
    # All that follow have come; those before are asked for once somebody scrolls up.
    expect(page.locator("#summary")).to_have_text(f"{COUNT} pictures, newest first")
    expect(page.locator("#after")).to_be_empty()


def test_a_picture_that_is_in_no_list_opens_without_neighbours(tab: Open, many: Server) -> None:
    opened = tab(many)
    page = opened.open("/?in=nowhere*&image=1")
    expect(page.locator(".viewer-name")).to_have_text("0000.jpg")
    expect(page.locator("#grid .tile")).to_have_count(0)
    expect(page.get_by_role("button", name="Next picture")).to_be_hidden()


@pytest.mark.parametrize(
    ("path", "depth"),
    # Some are the last of what is asked for first, 60 pictures and then 500 more: the page is still too short to come back to.
    [("/", 58), ("/", 200), ("/?sort=added", 200), ("/?q=sky&all=1", 30), ("/?q=sky&all=1", 560)],
)
def test_a_reload_comes_back_to_the_place(tab: Open, many: Server, path: str, depth: int) -> None:
    page = tab(many).open(path)
    expect(page.locator(".tile").first).to_be_visible()
    while not page.locator(f".tile[data-place='{depth}']").count():
        page.evaluate("scrollBy(0, 2000)")
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    page.locator(f".tile[data-place='{depth}']").evaluate("(tile) => tile.scrollIntoView({ block: 'start' })")
    expect(page.locator(".tile-image:not(.is-loaded)")).to_have_count(0)
    before = page.evaluate(FIRST)
    shown = "({ id, top }) => Math.abs(document.querySelector(`.tile[data-id='${id}']`)?.getBoundingClientRect().top - top) < 60"
    page.reload()
    page.wait_for_function(shown, arg=before)
    expect(page.locator(f".tile[data-id='{before['id']}']")).to_be_in_viewport()
    # The page is left for another one and comes back: what the browser itself keeps of it is not asked for.
    page.goto(f"{many.address}/?q=lake")
    expect(page.locator(".tile").first).to_be_visible()
    page.go_back()
    page.wait_for_function(shown, arg=before)


@pytest.mark.parametrize("moved", ["by the wheel", "by the bar of the window"])
def test_who_moves_meanwhile_is_not_pulled_away(tab: Open, many: Server, moved: str) -> None:
    page = tab(many).open("/?q=sky&all=1")
    expect(page.locator(".tile").first).to_be_visible()
    while not page.locator(".tile[data-place='200']").count():
        page.evaluate("scrollBy(0, 2000)")
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    held: list[Any] = []
    page.route("**/api/search*k=500*", lambda route: held.append(route))
    with page.expect_request("**/api/search*k=500*"):
        page.reload()
    page.mouse.move(400, 500)
    if moved == "by the wheel":
        page.mouse.wheel(0, 150)
    else:
        page.evaluate("scrollTo(0, 150)")
    page.wait_for_function("() => scrollY === 150")
    with page.expect_response("**/api/search*k=500*"):
        held[0].continue_()
    # The pictures that have come are there.
    page.wait_for_function("() => document.getElementById('grid').clientHeight > 20000")
    assert 150 == page.evaluate("scrollY")


def test_an_address_that_is_opened_anew_begins_at_the_top(tab: Open, many: Server) -> None:
    page = tab(many).open("/")
    expect(page.locator(".tile").first).to_be_visible()
    page.evaluate("scrollTo(0, 1500)")
    page.wait_for_function("() => scrollY > 1000")
    page.goto(f"{many.address}/")
    expect(page.locator(".tile[data-place='0']")).to_be_in_viewport()
    assert 0 == page.evaluate("scrollY")
