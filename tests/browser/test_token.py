"""A real browser and the token: how it comes in, and what a link on another site opens."""

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.library.library import Library
from pixfind.search import build
from pixfind.testing import make_library, make_pictures
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that needs its token, and its library."""
    place = tmp_path_factory.mktemp("guarded")
    make_pictures(place / "pictures", 6)
    with make_library(place / "library", place / "pictures") as library:
        build.build_index(library)
    with serving(place / "library", place / "serve.log", token=True) as server:
        yield server, place / "library"
    assert "Traceback" not in server.log.read_text(encoding="utf-8")
    Library.open(place / "library").close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def elsewhere(guarded: tuple[Server, Path]) -> Iterator[str]:
    """The address of a page on another site, with a link to a search."""
    link = f'<a href="{guarded[0].address}/?q=sky">link</a>'.encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(link)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        # Another name, and so another site than 127.0.0.1.
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_file_that_starts_the_browser_opens_the_page(guarded: tuple[Server, Path], page: Any) -> None:
    server, library = guarded
    page.goto((library / f"serve-{server.port}.html").as_uri())
    page.wait_for_url(f"{server.address}/")

    page.get_by_role("button", name="picture_00000.jpg").or_(page.locator("img").first).first.wait_for()
    assert server.token not in page.context.cookies()[0]["value"]
    assert page.evaluate("document.cookie") == ""


def test_without_a_session_the_token_can_be_entered(guarded: tuple[Server, Path], page: Any) -> None:
    server, _ = guarded
    page.goto(server.address)
    page.get_by_label("Token").fill(server.token)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"{server.address}/")

    assert page.evaluate("fetch('/api/status').then(answer => answer.status)") == 200


def test_the_token_form_leads_to_the_whole_address_and_says_that_a_token_is_wrong(
    guarded: tuple[Server, Path], page: Any
) -> None:
    server, _ = guarded
    page.goto(f"{server.address}/?q=%22two%20words%22&in=a%26b&image=3")
    # A value is no markup, and none is lost.
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is wrong")
    expect(page.get_by_label("Token")).to_be_focused()
    expect(page.get_by_label("Token")).to_have_accessible_description(re.compile("This token is wrong"))
    page.get_by_label("Token").fill(server.token)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"{server.address}/?q=%22two+words%22&in=a%26b&image=3")
    expect(page.get_by_role("dialog", name="Large view")).to_be_visible()


def test_a_link_on_another_site_opens_the_page_with_the_session(
    guarded: tuple[Server, Path], page: Any, elsewhere: str
) -> None:
    server, _ = guarded
    page.goto(elsewhere)
    page.get_by_role("link").click()
    page.get_by_role("heading", name="Token needed").wait_for()
    page.goto(f"{server.address}/?token={server.token}")
    page.goto(elsewhere)
    page.get_by_role("link").click()
    page.wait_for_url(f"{server.address}/?q=sky*")

    assert page.get_by_role("heading", name="Token needed").count() == 0
    assert page.evaluate("fetch('/api/search?q=sky').then(answer => answer.status)") == 200


def test_a_server_that_was_started_again_asks_an_open_page_for_its_token(page: Any, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 6)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        build.build_index(library)
    with serving(tmp_path / "library", tmp_path / "serve.log", token=True) as server:
        page.goto(f"{server.address}/?q=sky&token={server.token}")
        expect(page.locator(".tile").first).to_be_visible()
    with serving(tmp_path / "library", tmp_path / "again.log", "--port", str(server.port), token=True):
        expect(page.locator("input[type=password]")).to_be_visible(timeout=60_000)
        page.wait_for_url(lambda url: "q=sky" in url)
