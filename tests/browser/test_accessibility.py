"""Every view against the rules of axe-core, and by keyboard, on small screens, zoomed in, and with names of any direction."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library, make_pictures
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]
Violations = Callable[[Any], list[tuple[str, str]]]

SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True},
}
ZOOMED = {"width": 320, "height": 256}
VIEWS = {
    "home": "/",
    "results": "/?q=lake",
    "filters": "/?shape=portrait",
    "empty": "/?q=lake&in=nowhere",
    "unknown": "/?q=qwxyzzy",
    "refused": "/?q=id%3A999999",
    "library": "/?view=library",
}


def wrong(page: Page, screen: str, violations: Violations) -> list[tuple[str, str, str]]:
    """What axe-core finds: with which look of the page, the rule, and where. On a desktop the page may be dark, and zoomed in."""
    found = [("as it is", *each) for each in violations(page)]
    if screen == "desktop":
        page.emulate_media(color_scheme="dark")
        found += [("dark", *each) for each in violations(page)]
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(ZOOMED)
        # The grid is laid out again in the frame that follows.
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        found += [("zoomed in", *each) for each in violations(page)]
        page.set_viewport_size(SCREENS[screen]["viewport"])
    return found


@pytest.mark.parametrize("screen", SCREENS)
def test_no_view_breaks_a_rule_of_accessibility(tab: Open, screen: str, violations: Violations) -> None:
    opened = tab(**SCREENS[screen])
    opened.expect_problems("status of 404 .*/api/search$")
    # The picture that is not there, which is also in the search field; the next view may come before it.
    opened.allow_problems("status of 404 .*/api/images/999999/thumbnail$")
    for path in VIEWS.values():
        page = opened.open(path)
        expect(page.locator(".tile, #empty h2, .ledger").locator("visible=true").first).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert [] == wrong(page, screen, violations), path


@pytest.mark.parametrize("screen", SCREENS)
def test_no_dialog_breaks_a_rule_of_accessibility(tab: Open, screen: str, violations: Violations) -> None:
    page = tab(**SCREENS[screen]).open("/?q=lake")
    page.locator(".tile a").first.click()
    page.keyboard.press("i")
    expect(page.locator(".viewer-facts dd").first).to_be_visible()
    assert [] == wrong(page, screen, violations)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert [] == wrong(page, screen, violations)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that needs its token."""
    place: Path = tmp_path_factory.mktemp("guarded")
    make_pictures(place / "pictures", 1)
    make_library(place / "library", place / "pictures").close()
    with serving(place / "library", place / "serve.log", token=True) as running:
        yield running


@pytest.mark.parametrize("screen", SCREENS)
def test_the_form_for_the_token_breaks_no_rule_of_accessibility(
    tab: Open, guarded: Server, screen: str, violations: Violations
) -> None:
    opened = tab(guarded, **SCREENS[screen])
    opened.expect_problems("status of 401 .* /$")
    for path in ("/", "/?q=lake&token=wrong"):
        page = opened.open(path)
        expect(page.get_by_role("heading", level=1, name="Token needed")).to_be_visible()
        assert [] == wrong(page, screen, violations), path


@pytest.mark.parametrize("screen", SCREENS)
def test_a_selection_breaks_no_rule_of_accessibility(tab: Open, screen: str, violations: Violations) -> None:
    page = tab(**SCREENS[screen]).open("/?q=lake")
    page.locator(".tile a").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".selection-count")).to_have_text("2 selected")
    assert [] == wrong(page, screen, violations)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_filters_break_no_rule_of_accessibility(tab: Open, screen: str, violations: Violations) -> None:
    page = tab(**SCREENS[screen]).open("/?q=lake")
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("heading", name="Cameras")).to_be_visible()
    assert [] == wrong(page, screen, violations)


def test_results_are_announced(tab: Open) -> None:
    page = tab().open("/?q=lake")
    announced = page.locator("#search-view").get_by_role("status")
    expect(announced).to_contain_text("of 54 pictures")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for lake")
    page.fill("#words", "qwxyzzy")
    expect(announced).to_have_text("These words mean nothing to the model")


def test_the_list_of_keys_opens_and_closes_with_keys(tab: Open) -> None:
    page = tab().open()
    keys = page.get_by_role("dialog", name="Keys")
    # The last thing that the page does at its start.
    expect(page.locator("#words")).to_be_focused()
    page.keyboard.press("?")  # in the field, which is empty
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("more like this")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.type("lake?")
    expect(page.locator("#words")).to_have_value("lake?")
    expect(keys).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(keys).to_be_visible()
    keys.get_by_role("button", name="Close").click()
    expect(keys).to_be_hidden()


@pytest.mark.parametrize("size", [(1440, 900), (375, 700), (320, 256)], ids=["screen", "phone", "zoomed"])
def test_the_whole_list_of_keys_is_reached_by_scrolling_down(tab: Open, size: tuple[int, int]) -> None:
    page = tab(viewport={"width": size[0], "height": size[1]}).open()
    expect(page.locator("#words")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    # Every key and what it does lies between the sides of the box; what is below its end comes by scrolling down.
    outside = """() => {
      const box = document.querySelector(".keys-list");
      const { left, right } = box.getBoundingClientRect();
      return [...box.querySelectorAll("h2, kbd, dd")].filter((each) => {
        each.scrollIntoView({ block: "nearest", inline: "nearest" });
        const its = each.getBoundingClientRect();
        return its.left < left || its.right > right || box.scrollLeft !== 0;
      }).map((each) => each.textContent);
    }"""
    assert [] == page.evaluate(outside)


def test_zoomed_in_the_header_leaves_the_screen_to_the_pictures(tab: Open) -> None:
    page = tab(viewport=ZOOMED).open("/?q=lake")
    expect(page.locator(".tile").first).to_be_visible()
    page.evaluate("scrollTo(0, 400)")
    assert page.evaluate("document.getElementById('top').getBoundingClientRect().bottom") <= 0
    page.locator(".tile a").first.focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.activeElement.getBoundingClientRect().top >= 0")


def test_the_details_scroll_by_keyboard(tab: Open) -> None:
    page = tab(**SCREENS["phone"]).open("/?q=lake")
    page.locator(".tile a").first.click()
    page.keyboard.press("i")
    details = page.get_by_role("complementary", name="Details")
    expect(details.locator("dd").first).to_be_visible()
    details.focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('.viewer-side').scrollTop > 0")


def test_nothing_moves_where_less_motion_is_wanted(tab: Open) -> None:
    page = tab().open("/?q=lake")
    expect(page.locator(".tile").first).to_be_visible()
    moving = "[...document.querySelectorAll('*')].filter((each) => getComputedStyle(each).transitionDuration !== '0s' || getComputedStyle(each).animationName !== 'none').length"
    assert 0 == page.evaluate(moving)


def test_a_name_cannot_turn_the_writing_around(tab: Open) -> None:
    page = tab().open("/?q=lake")
    expect(page.locator("bdi.tile-name").first).to_be_attached()
    shown = page.evaluate(
        """async (names) => {
             const { safeName } = await import("/static/words.js");
             return names.map(safeName);
           }""",
        ["exe\u202egpj.jpg", "two\nlines.jpg", "\u05e9\u05dc\u05d5\u05dd.jpg"],
    )
    assert ["exe\ufffdgpj.jpg", "two\ufffdlines.jpg", "\u05e9\u05dc\u05d5\u05dd.jpg"] == shown
