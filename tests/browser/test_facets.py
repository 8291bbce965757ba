"""Filters with counts: years and months as bars, cameras, shapes, folders; by mouse and by keyboard."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]


def panel(page: Page) -> Any:
    page.get_by_role("button", name="Filters").first.click()
    found = page.get_by_role("region", name="Filters")
    expect(found.get_by_role("heading", name="Cameras")).to_be_visible()
    return found


@pytest.mark.parametrize(
    ("locale", "filters", "note"),
    [
        ("en", "Filters", "counts by the time of its file"),
        ("de", "Filter", "zählt mit der Zeit seiner Datei"),
        ("fr", "Filtres", "compte avec la date de son fichier"),
    ],
)
def test_the_panel_says_which_date_a_picture_without_one_has(tab: Open, locale: str, filters: str, note: str) -> None:
    page = tab(locale=locale).open("/")
    page.get_by_role("button", name=filters, exact=True).click()
    expect(page.locator("#dates-note")).to_contain_text(note)
    for name in ("after", "before"):
        expect(page.locator(f"#filters input[name='{name}']")).to_have_accessible_description(re.compile(note))


BARS = """async (months) => {
  const { histogram } = await import("/static/histogram.js");
  const [, bars] = histogram(months, {}, () => {});
  return [...bars.children].map((bar) => [bar.textContent, bar.disabled]);
}"""


def test_years_without_pictures_have_their_place_among_the_others(tab: Open) -> None:
    page = tab().open("/")
    months = [{"month": "2026-11", "count": 3}, {"month": "2024-02", "count": 1}, {"month": "2023-05", "count": 2}]
    assert [["23", False], ["24", False], ["25", True], ["26", False]] == page.evaluate(BARS, months)
    # A camera whose clock was never set makes no bars for a century.
    months.append({"month": "1904-01", "count": 1})
    assert [["04", False], ["23", False], ["24", False], ["26", False]] == page.evaluate(BARS, months)


def test_without_a_filter_no_filters_are_spoken_of(tab: Open) -> None:
    opened = tab()
    page = opened.open("/")
    expect(panel(page).locator(".facet-note")).to_have_text(re.compile(r"^\d+ pictures\.$"))
    opened.open("/?min_size=1")
    expect(panel(page).locator(".facet-note")).to_contain_text("pictures with these filters.")


@pytest.mark.parametrize("touch", [True, False])
def test_opening_the_filters_calls_no_keyboard_on_a_phone(tab: Open, touch: bool) -> None:
    page = tab(viewport={"width": 390, "height": 844}, has_touch=touch, is_mobile=touch).open("/")
    panel(page)
    first = page.locator("#filters input").first
    expect(first).to_be_visible()
    if touch:
        expect(first).not_to_be_focused()
    else:
        expect(first).to_be_focused()


def test_a_camera_is_chosen_and_left_again(tab: Open) -> None:
    page = tab().open("/?q=lake")
    found = panel(page)
    expect(found.locator(".facet-note")).to_contain_text("best of this search")
    camera = found.get_by_role("region", name="Cameras").get_by_role("button", name="Nikon")
    camera.click()
    page.wait_for_url(re.compile("camera=Nikon"))
    expect(camera).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#active-filters")).to_contain_text("camera: Nikon")
    camera.click()
    page.wait_for_url(lambda url: "camera" not in url)


def test_a_year_and_then_a_month_are_chosen_with_the_keyboard(tab: Open) -> None:
    page = tab().open("/")
    found = panel(page)
    year = found.get_by_role("button", name=re.compile(r"^2021: \d+ pictures"))
    count = int(str(year.get_attribute("aria-label")).split()[1])
    year.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("after=2021-01-01&before=2022-01-01"))
    expect(found.locator(".facet-note")).to_have_text(f"{count} pictures with these filters.")
    # The keyboard is where it was: in the bars, which are months now.
    page.wait_for_function("() => document.activeElement.closest('.facet--dates')")
    found.get_by_role("button", name=f"May 2021: {count} pictures").press("Enter")
    page.wait_for_url(re.compile("after=2021-05-01&before=2021-06-01"))
    found.get_by_role("button", name="All years").click()
    page.wait_for_url(lambda url: "after" not in url)
    expect(found.get_by_role("button", name=re.compile("^2020: "))).to_be_visible()


def test_a_folder_is_chosen_in_the_tree(tab: Open, pictures: Path) -> None:
    page = tab().open("/")
    found = panel(page)
    folders = found.get_by_role("region", name="Folders")
    folders.get_by_role("button", name=f"Folders in {pictures}").click()
    expect(folders).to_contain_text("no folders")
    folders.locator(".folder-name").click()
    page.wait_for_url(re.compile("in=%2F"))
    expect(folders.locator(".folder-name")).to_have_attribute("aria-pressed", "true")


def test_a_place_that_is_not_understood_is_said_at_its_field_and_kept(tab: Open) -> None:
    page = tab().open("/")
    found = panel(page)
    near = found.get_by_label("Near a place")
    near.fill("Berlin")
    expect(near).not_to_have_attribute("aria-invalid", "true")
    near.press("Tab")
    expect(near).to_have_attribute("aria-invalid", "true")
    expect(near).to_have_accessible_description(re.compile("latitude, longitude and kilometres"))
    # Other filters hold, and what was typed can be corrected.
    found.get_by_role("radio", name="Portrait").check()
    page.wait_for_url(re.compile("shape=portrait"))
    assert "near" not in page.url
    expect(near).to_have_value("Berlin")
    found.get_by_role("button", name="Done").click()
    expect(near).to_be_focused()
    near.fill("52.5,13.4,10")
    expect(near).to_have_attribute("aria-invalid", "false")
    expect(page.locator("#near-note")).to_be_hidden()
    found.get_by_role("button", name="Done").click()
    page.wait_for_url(re.compile("near=52.5"))
    expect(found).to_be_hidden()


def test_the_facets_follow_other_filters(tab: Open) -> None:
    page = tab().open("/?camera=nikon")
    found = panel(page)
    expect(found.locator(".facet-note")).to_contain_text("24 pictures")
    found.get_by_role("radio", name="Portrait").check()
    page.wait_for_url(re.compile("shape=portrait"))
    expect(found.locator(".facet-note")).not_to_contain_text("24 pictures")
