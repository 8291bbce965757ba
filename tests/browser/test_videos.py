"""Videos on the page: a hit plays from its moment; where the browser cannot play it, its frame is shown."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.images.source import Sampling
from pixfind.search import build
from pixfind.testing import images, make_library
from pixfind.testing.libraries import QUIET
from pixfind.testing.servers import Server, serving
from pixfind.testing.videos import make_video
from pixfind.workflows import index

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a picture, a video that every Chromium plays, and one that none does."""
    place = tmp_path_factory.mktemp("videos")
    images.make_image(place / "pictures" / "a.jpg", seed=3)
    make_video(place / "pictures" / "plays.webm", 4, codec="libvpx", size=(320, 240))
    make_video(place / "pictures" / "does-not.avi", 2, codec="mpeg4", size=(320, 240))
    with make_library(place / "library", place / "pictures", embed=False) as library:
        index.index(library, [str(place / "pictures")], QUIET, settings=Sampling(every=1).settings())
        build.build_index(library)
    with serving(place / "library", place / "serve.log") as running:
        yield running


def open_video(tab: Open, server: Server, name: str) -> Any:
    page = tab(server).open("/?in=*")
    tile = page.locator(".tile", has_text=name)
    expect(tile).to_have_count(1)
    tile.locator("[data-do=open]").click()
    return page


def test_a_video_is_one_tile_and_plays_from_its_moment(tab: Open, videos: Server) -> None:
    page = open_video(tab, videos, "plays.webm")
    video = page.locator("#viewer video")
    expect(video).to_be_visible()
    time = float(str(video.get_attribute("src")).partition("#t=")[2])
    page.wait_for_function(
        """(time) => {
          const { readyState, seeking, currentTime } = document.querySelector("#viewer video");
          return readyState >= 2 && !seeking && Math.abs(currentTime - time) < 0.2;
        }""",
        arg=time,
    )
    page.keyboard.press("Escape")
    expect(page.locator("#viewer video")).to_have_count(0)


def test_the_address_of_a_moment_plays_it_after_a_reload(tab: Open, videos: Server) -> None:
    page = open_video(tab, videos, "plays.webm")
    expect(page.locator("#viewer video")).to_be_visible()
    page.reload()
    expect(page.locator("#viewer video")).to_be_visible()


def test_a_video_that_the_browser_cannot_play_shows_its_frame(tab: Open, videos: Server) -> None:
    page = open_video(tab, videos, "does-not.avi")
    expect(page.locator("#viewer .viewer-image.is-loaded")).to_be_visible()
    expect(page.locator("#viewer video")).to_have_count(0)


def test_the_tile_says_the_moment(tab: Open, videos: Server) -> None:
    page = tab(videos).open("/?in=*")
    caption = page.locator(".tile", has_text="plays.webm").locator(".tile-caption")
    expect(caption).to_contain_text("moment 0:0")
    assert Path(videos.log).exists()
