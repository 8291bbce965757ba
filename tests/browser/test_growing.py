"""A library that grows while its page is open: filters and the map count what is new, without a reload."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.embedding.runners.serial import Serial
from pixfind.library.library import Library
from pixfind.testing.images import exif_block, picture
from pixfind.testing.libraries import QUIET
from pixfind.testing.servers import Server, serving
from pixfind.workflows.index import index

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]
TAKEN = dt.datetime(2021, 5, 17, 12)  # noqa: DTZ001  as cameras write it


def add(place: Path, numbers: range, make: str, position: tuple[float, float]) -> None:
    """Let a library grow by pictures of a camera that were taken somewhere."""
    folder = place / "pictures" / make
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        exif = exif_block(taken_at=TAKEN, make=make, position=position)
        picture(number, (160, 120)).save(folder / f"{make}-{number}.jpg", "JPEG", exif=exif)
    with Library.open(place / "library", write=True) as library:
        index(library, [place / "pictures"], QUIET, runner=Serial())


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Server]:
    """A server of three pictures of Berlin, two cameras."""
    Library.create(tmp_path / "library").close()
    add(tmp_path, range(2), "canon", (52.52, 13.4))
    add(tmp_path, range(2, 3), "nikon", (52.52, 13.4))
    with serving(tmp_path / "library", tmp_path / "serve.log") as server:
        yield server


def test_filters_and_map_count_what_is_new(tab: Open, growing: Server, tmp_path: Path) -> None:
    filters, world = tab(growing), tab(growing)
    page = filters.open("/?camera=nikon")
    page.locator("#filter").click()
    expect(page.locator(".facet-note")).to_have_text("1 picture with these filters.")
    folders = page.get_by_role("region", name="Folders")
    folders.locator(".folder-toggle").first.click()
    name = folders.locator(".folder-name", has_text="nikon")
    name.focus()
    on_map = world.open("/?view=map")
    expect(on_map.locator("#map-view .map-said")).to_have_text("3 of 3 pictures with a place are in this part")
    add(tmp_path, range(3, 5), "nikon", (-33.87, 151.2))
    expect(page.locator(".facet-note")).to_have_text("3 pictures with these filters.")
    expect(name).to_contain_text("3")
    # What was open stays open, and the keyboard where it was.
    expect(name).to_be_focused()
    expect(on_map.locator("#map-view .map-said")).to_contain_text("of 5 pictures with a place")
    for each in (filters, world):
        each.close()


def test_pictures_that_have_gone_are_not_counted(tab: Open, growing: Server, tmp_path: Path) -> None:
    opened = tab(growing)
    page = opened.open("/")
    expect(page.locator(".home-title")).to_have_text("3 pictures. What are you looking for?")
    # Its thumbnail may be asked for in the moment in which it goes.
    opened.allow_problems(r"status of 404 .*/api/images/\d+/thumbnail$")
    (tmp_path / "pictures/canon/canon-0.jpg").unlink()
    with Library.open(tmp_path / "library", write=True) as library:
        index(library, [tmp_path / "pictures"], QUIET, runner=Serial())
    expect(page.locator(".home-title")).to_have_text("2 pictures. What are you looking for?")
    page.fill("#words", "snow")
    expect(page.locator("#summary")).to_contain_text("2 pictures, best first")
    page.get_by_role("link", name="Library").click()
    expect(page.locator(".library-lead")).to_have_text("2 pictures known; 2 can be searched.")
    opened.close()


def test_a_search_that_was_open_while_the_library_grew_is_made_again(
    tab: Open, growing: Server, tmp_path: Path
) -> None:
    opened = tab(growing)
    page = opened.open("/?q=snow")
    expect(page.locator(".tile")).to_have_count(3)
    add(tmp_path, range(3, 5), "nikon", (52.52, 13.4))
    expect(page.locator("#summary")).to_contain_text("of 5 pictures")
    # What is being looked at stays until it is left.
    expect(page.locator(".tile")).to_have_count(3)
    page.fill("#words", "sky")
    page.wait_for_url(lambda url: "q=sky" in url)
    expect(page.locator(".tile")).to_have_count(5)
    page.fill("#words", "snow")
    page.wait_for_url(lambda url: "q=snow" in url)
    expect(page.locator(".tile")).to_have_count(5)
    opened.close()


def test_the_map_counts_again_when_it_is_opened_after_the_library_grew(
    tab: Open, growing: Server, tmp_path: Path
) -> None:
    opened = tab(growing)
    page = opened.open("/?view=map")
    expect(page.locator("#map-view .map-said")).to_contain_text("3 of 3")
    page.get_by_role("link", name="Library").click()
    expect(page.locator(".library-lead")).to_contain_text("3 pictures known")
    add(tmp_path, range(3, 5), "nikon", (52.52, 13.4))
    expect(page.locator(".library-lead")).to_contain_text("5 pictures known; 5 can be searched")
    page.get_by_role("link", name="Map").click()
    expect(page.locator("#map-view .map-said")).to_contain_text("5 of 5")
    opened.close()
