"""Selecting pictures, and taking them along: by mouse, keyboard and finger."""

import zipfile
from collections.abc import Callable
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]

PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True}
COPIES: dict[str, Any] = {"permissions": ["clipboard-read", "clipboard-write"]}


def opened(page: Page) -> Page:
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator(".tile-image:not(.is-loaded)")).to_have_count(0)
    return page


def selected(page: Page) -> list[int]:
    return [
        int(each) for each in page.eval_on_selector_all(".is-selected", "all => all.map((tile) => tile.dataset.place)")
    ]


def count(page: Page, number: int) -> None:
    expect(page.locator(".selection-count")).to_have_text(f"{number} selected")


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_click_on_the_mark_selects_and_shift_extends(tab: Open) -> None:
    page = opened(tab().open("/?q=lake&fold=0"))
    bar = page.get_by_role("region", name="Selection")
    expect(bar).to_be_hidden()
    page.locator(".tile").nth(1).hover()
    page.locator(".tile-mark").nth(1).click()
    count(page, 1)
    expect(page.locator(".tile-mark").nth(1)).to_have_attribute("aria-pressed", "true")
    # With a selection a click on a picture selects it; the large view stays closed.
    page.locator(".tile-link").nth(4).click(modifiers=["Shift"])
    count(page, 4)
    assert [1, 2, 3, 4] == selected(page)
    # A range that went too far is made smaller, as in a file manager.
    page.locator(".tile-link").nth(2).click(modifiers=["Shift"])
    count(page, 2)
    page.locator(".tile-link").nth(0).click(modifiers=["Shift"])
    count(page, 2)
    assert [0, 1] == selected(page)
    page.locator(".tile-link").nth(4).click(modifiers=["Shift"])
    count(page, 4)
    page.locator(".tile-link").nth(2).click()
    count(page, 3)
    assert "image=" not in page.url
    bar.get_by_role("button", name="Clear the selection").click()
    expect(bar).to_be_hidden()
    assert [] == selected(page)


#: pairs of controls of a tile that lie upon each other
UPON_EACH_OTHER = """(tile) => {
  const shown = [...tile.querySelectorAll(".tile-mark, .tile-fold, .tile-actions")].filter((each) => each.checkVisibility());
  const boxes = shown.map((each) => [each.className, each.getBoundingClientRect()]);
  return boxes.flatMap(([name, box], at) => boxes.slice(at + 1).filter(([, other]) => box.left < other.right && other.left < box.right).map(([other]) => [name, other]));
}"""


def test_on_narrow_pictures_no_control_lies_upon_the_mark_or_the_number_of_a_stack(tab: Open) -> None:
    page = opened(tab().open("/?q=beach"))
    stacked = page.locator(".tile:has(.tile-fold)").first
    single = page.locator(".tile:not(:has(.tile-fold))").first
    for tile in (stacked, single):
        for width in (115, 150, 180, 210, 240, 300):
            tile.evaluate("(tile, width) => { tile.style.width = `${width}px`; }", width)
            assert [] == tile.evaluate(UPON_EACH_OTHER), width
        # Where there is room for them, they are there.
        expect(tile.locator(".tile-actions")).not_to_have_css("display", "none")


def test_the_keyboard_alone_selects_and_takes(tab: Open) -> None:
    page = opened(tab(**COPIES).open("/?q=lake&fold=0"))
    page.locator(".tile a").first.focus()
    page.keyboard.press("x")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(f"Shift+{key}")
    count(page, 3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    count(page, 4)
    page.keyboard.press("p")
    expect(page.locator(".selection-message")).to_have_text("Copied 4 paths.")
    paths = clipboard(page).splitlines()
    assert [tile.get_attribute("title") for tile in page.locator(".is-selected .tile-link").all()] == paths
    page.keyboard.press("Control+a")
    count(page, 53)
    # A range from here takes away nothing of that.
    page.keyboard.press("Shift+ArrowLeft")
    count(page, 53)
    page.keyboard.press("Escape")
    expect(page.locator("#selection-bar")).to_be_hidden()


def test_a_selection_is_downloaded_as_a_zip(tab: Open) -> None:
    page = opened(tab().open("/?q=lake&fold=0"))
    page.locator(".tile a").first.focus()
    for key in ("x", "Shift+ArrowRight"):
        page.keyboard.press(key)
    count(page, 2)
    names = page.eval_on_selector_all(".is-selected .tile-image", "all => all.map((image) => image.alt)")
    with page.expect_download() as started:
        page.keyboard.press("d")
    assert "pictures.zip" == started.value.suggested_filename
    with zipfile.ZipFile(started.value.path()) as made:
        assert (names, None) == (made.namelist(), made.testzip())


def test_one_picture_is_downloaded_as_it_is(tab: Open) -> None:
    page = opened(tab().open("/?q=lake"))
    name = page.locator(".tile-image").first.get_attribute("alt")
    page.locator(".tile a").first.focus()
    page.keyboard.press("x")
    count(page, 1)
    with page.expect_download() as started:
        page.keyboard.press("d")
    assert name == started.value.suggested_filename


def test_a_contact_sheet_has_the_selected_pictures(tab: Open) -> None:
    page = opened(tab().open("/?q=lake&fold=0"))
    page.locator(".tile a").first.focus()
    for key in ("x", "Shift+ArrowRight"):
        page.keyboard.press(key)
    count(page, 2)
    with page.expect_download() as started:
        page.get_by_role("button", name="Contact sheet").click()
    assert "contact-sheet.html" == started.value.suggested_filename
    assert "2 pictures, as selected" in started.value.path().read_text(encoding="utf-8")


def test_what_cannot_be_read_is_named_and_the_others_can_be_had(tab: Open) -> None:
    def away(route: Any) -> None:
        answer = route.fetch()
        first = int(route.request.url.split("ids=")[1].split(",")[0])
        gone = [{"image_id": first, "detail": "away"}] if "," in route.request.url else []
        route.fulfill(response=answer, json={**answer.json(), "unavailable": gone})

    shown = tab()
    shown.page.route("**/api/selection?*", away)
    page = opened(shown.open("/?q=lake&fold=0"))
    page.locator(".tile a").first.focus()
    for key in ("x", "Shift+ArrowRight"):
        page.keyboard.press(key)
    count(page, 2)
    page.keyboard.press("d")
    expect(page.locator(".selection-message")).to_contain_text("1 picture cannot be read now")
    with page.expect_download():
        page.get_by_role("button", name="Download the other 1").click()


def test_a_selection_outlives_the_query(tab: Open) -> None:
    page = opened(tab().open("/?q=lake"))
    page.locator(".tile a").first.focus()
    page.keyboard.press("x")
    page.fill("#words", "night")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for night")
    count(page, 1)
    page.fill("#words", "lake")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for lake")
    expect(page.locator(".tile").first).to_have_class("tile is-selected")


def test_a_long_press_selects_and_a_tap_adds(tab: Open) -> None:
    page = opened(tab(**PHONE).open("/?q=lake&fold=0"))
    box = page.locator(".tile").nth(1).bounding_box()
    finger = page.context.new_cdp_session(page)
    at = {"x": box["x"] + 40, "y": box["y"] + 40}
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    count(page, 1)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.locator(".tile-link").nth(0).tap()
    count(page, 2)
    assert [0, 1] == selected(page)
    assert "image=" not in page.url
    assert 375 == page.evaluate("document.documentElement.scrollWidth")
    assert page.evaluate(
        "(() => { const bar = document.getElementById('selection-bar'); return bar.scrollWidth <= bar.clientWidth; })()"
    )


def test_the_large_view_selects_and_copies(tab: Open) -> None:
    page = opened(tab(**COPIES).open("/?q=lake"))
    path = page.locator(".tile-link").first.get_attribute("title")
    page.locator(".tile a").first.click()
    page.keyboard.press("x")
    expect(page.get_by_role("button", name="Select", exact=True)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("p")
    expect(page.locator(".viewer-said")).to_have_text("Copied 1 path.")
    assert path == clipboard(page)
    page.keyboard.press("c")
    expect(page.locator(".viewer-said")).to_have_text("Copied the address of this picture.")
    assert "image=" in clipboard(page)
    page.wait_for_url(clipboard(page))
    page.keyboard.press("Escape")
    count(page, 1)


def test_the_address_of_a_search_is_copied(tab: Open) -> None:
    page = opened(tab(**COPIES).open("/?q=lake&shape=portrait"))
    page.get_by_role("button", name="Copy the address of this search").click()
    expect(page.locator("#notice")).to_have_text("Copied the address of this search.")
    assert page.url == clipboard(page)


def test_text_is_copied_where_the_browser_gives_no_clipboard(tab: Open) -> None:
    """Over plain HTTP from another machine there is no `navigator.clipboard`."""
    shown = tab(**COPIES)
    page = shown.page
    page.add_init_script("Clipboard.prototype.writeText = () => Promise.reject(new Error('no'));")
    page = opened(shown.open("/?q=lake"))
    page.locator(".tile a").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("p")
    expect(page.locator(".selection-message")).to_have_text("Copied 1 path.")
    assert page.locator(".is-selected .tile-link").get_attribute("title") == clipboard(page)
