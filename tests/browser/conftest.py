"""Real Chromium before the real server; every page is watched, and must end without an error or a foreign request."""

import contextlib
import datetime as dt
import re
import shutil
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixfind.demo.collection import draw
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.testing import make_broken, make_library, make_slow_pictures
from pixfind.testing.images import exif_block
from pixfind.testing.servers import Server, serving

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = ("<img src=x onerror=alert(1)>.jpg", "\"'><svg onload=alert(2)>.jpg", "javascript:alert(3).jpg")
WAIT_MS = 60_000
"""for a state of a page: nothing is proved by a busy machine's being slow"""
WAITING = 300
"""pictures: some ten seconds of work, so that there is something to pause"""

KINDS = (
    "beach",
    "sunset-sea",
    "forest",
    "winter-mountains",
    "city-night",
    "flower",
    "blue-sky",
    "lake",
    "starry-night",
)
SIZES = ((160, 120), (120, 160), (144, 144), (192, 108))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; the tests are skipped where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium here: apt install chromium")


# One for a module and not for all tests: Playwright's loop would stand in the way of tests that run their own.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)")
    api.expect.set_options(timeout=WAIT_MS)
    with api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


class Tab:
    """A page of a server, and what went wrong on it; what must go wrong is said before it does, because the browser tells of it when it likes."""

    def __init__(self, page: Any, server: Server) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        self._expected: list[str] = []
        self._allowed: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._asked)

    def expect_problems(self, *patterns: str) -> None:
        """For each pattern a problem must come until the tab is closed; one of a request ends with its path."""
        self._expected += patterns

    def allow_problems(self, *patterns: str) -> None:
        """Problems that depend on what the browser was doing when: they may come or not."""
        self._allowed += patterns

    def wrong(self) -> list[str]:
        """Problems that nobody expects."""
        known = self._expected + self._allowed
        return [each for each in self.problems if not any(re.search(pattern, each) for pattern in known)]

    def missing(self) -> list[str]:
        """Patterns of problems that must come, and did not yet."""
        return [pattern for pattern in self._expected if not any(re.search(pattern, each) for each in self.problems)]

    def _logged(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.text} {urllib.parse.urlsplit(message.location['url']).path}".rstrip())

    def _asked(self, request: Any) -> None:
        where = urllib.parse.urlsplit(request.url)
        ours = urllib.parse.urlsplit(self.server.address)
        if where.scheme not in {"blob", "data"} and where.netloc != ours.netloc:
            self.problems.append(f"a request to {request.url}")

    def close(self) -> None:
        """Before the server ends: a browser reports a stream that breaks off as an error."""
        if not self.page.is_closed():
            self._wait_for_problems()
        self.page.context.close()

    def _wait_for_problems(self) -> None:
        """What a page shows of a refused request may come before the browser's message of it."""
        api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)")
        ending = time.monotonic() + WAIT_MS / 1000
        while self.missing() and (left := ending - time.monotonic()) > 0:
            with contextlib.suppress(api.TimeoutError):
                self.page.wait_for_event("console", timeout=1000 * left)

    def open(self, path: str = "/") -> Any:
        """Open an address and wait until the page's scripts have run, which ask for their texts first: keys that come before that go nowhere."""
        self.page.goto(self.server.address + path)
        if self.page.locator("#home-view").count():
            self.page.locator("#home-view > *").first.wait_for(state="attached")
        return self.page


@pytest.fixture
def tab(browser: Any, server: Server) -> Iterator[Callable[..., Tab]]:
    """Open tabs; options are those of Playwright's contexts, `server` another server."""
    tabs: list[Tab] = []

    def new(server: Server = server, **options: object) -> Tab:
        # What moves is drawn sixty times a second, and axe would see colours that are on their way.
        usual = {"viewport": {"width": 1100, "height": 760}, "reduced_motion": "reduce"}
        context = browser.new_context(**{**usual, **options})
        tabs.append(Tab(context.new_page(), server))
        return tabs[-1]

    yield new
    for each in tabs:
        each.close()
    assert ([], []) == (
        [problem for each in tabs for problem in each.wrong()],
        [pattern for each in tabs for pattern in each.missing()],
    )


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """54 drawn pictures, three of them nearly the same, one twice, three with hostile names; two that are broken."""
    folder = tmp_path_factory.mktemp("browser") / "pictures"
    folder.mkdir()
    for number in range(48):
        kind = KINDS[number % len(KINDS)]
        drawn = draw(kind, np.random.default_rng(number), SIZES[number % len(SIZES)])
        taken = exif_block(taken_at=dt.datetime(2020 + number % 3, 5, 17, 12), make="Nikon" if number % 2 else "Canon")  # noqa: DTZ001
        drawn.save(folder / f"{kind}-{number:02d}.jpg", "JPEG", quality=92, exif=taken)
    for quality in (60, 75):
        drawn = draw("beach", np.random.default_rng(0), SIZES[0])
        drawn.save(folder / f"again-{quality}.jpg", "JPEG", quality=quality)
    shutil.copy(folder / "forest-02.jpg", folder / "copy.jpg")
    for number, name in enumerate(HOSTILE):
        draw("flower", np.random.default_rng(100 + number), SIZES[0]).save(folder / name, "JPEG")
    for how in ("text", "truncated"):
        make_broken(folder / f"broken-{how}.jpg", how)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Server]:
    """A server of the drawn pictures, for tests that only look."""
    place = tmp_path_factory.mktemp("served")
    with make_library(place / "library", pictures) as library:
        build.build_index(library)
    with serving(place / "library", place / "serve.log") as running:
        yield running
    assert "Traceback" not in running.log.read_text(encoding="utf-8")
    with Library.open(place / "library") as library:
        assert [] == verify.verify(library)


@pytest.fixture
def violations() -> Callable[[Any], list[tuple[str, str]]]:
    """What axe-core finds on a page: the rule, and where."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (extra dev)")

    def found(page: Any) -> list[tuple[str, str]]:
        answer = axe.Axe().run(page).response
        return [(each["id"], node["html"]) for each in answer["violations"] for node in each["nodes"]]

    return found


@pytest.fixture
def pending(tmp_path: Path) -> Iterator[Server]:
    """A server of a library in which everything is pending."""
    make_slow_pictures(tmp_path / "waiting", WAITING)
    make_library(tmp_path / "library", tmp_path / "waiting", embed=False).close()
    with serving(tmp_path / "library", tmp_path / "serve.log") as running:
        yield running
    with Library.open(tmp_path / "library") as library:
        assert [] == verify.verify(library)
