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


def test_the_facets_follow_other_filters(tab: Open) -> None:
    page = tab().open("/?camera=nikon")
    found = panel(page)
    expect(found.locator(".facet-note")).to_contain_text("24 pictures")
    found.get_by_role("radio", name="Portrait").check()
    page.wait_for_url(re.compile("shape=portrait"))
    expect(found.locator(".facet-note")).not_to_contain_text("24 pictures")
