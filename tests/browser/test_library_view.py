"""The library view: a real embed started, paused, resumed and stopped from its buttons, seen live."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library, make_pictures
from pixfind.testing.servers import Server, serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]
LONG_MS = 120_000
"""An embed starts workers, which load a model, and goes through all pictures."""


@pytest.mark.timeout(1200)
def test_an_embed_is_started_paused_resumed_and_stopped_from_the_page(pending: Server, tab: Open) -> None:
    page = tab(pending).open()
    # Nothing can be found yet; the page says so and offers the next step.
    page.get_by_role("button", name="Embed 300 pictures").click()
    library = page.get_by_role("region", name="Library")
    library.get_by_role("button", name="Pause", exact=True).click(timeout=LONG_MS)
    expect(library.get_by_role("heading", name="Paused")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#live")).to_be_visible()
    library.get_by_role("button", name="Resume").click()
    expect(library.get_by_role("heading", name="Embedding")).to_be_visible(timeout=LONG_MS)
    library.get_by_role("button", name="Pause", exact=True).click(timeout=LONG_MS)
    library.get_by_role("button", name="Resume").wait_for(timeout=LONG_MS)
    library.get_by_role("button", name="Stop").click(timeout=LONG_MS)
    # What is left is offered again, and found when it is done.
    expect(page.locator("#run-title")).to_have_text(re.compile(r"[\d,]+ pictures to embed"), timeout=LONG_MS)
    library.get_by_role("button", name="Start embedding").click()
    expect(library.get_by_role("heading", name="Everything is embedded")).to_be_visible(timeout=LONG_MS)
    expect(library.locator(".legend")).to_contain_text("300 embedded")
    expect(page.locator("#live")).to_be_hidden()
    page.get_by_role("link", name="Library").click()
    expect(page.locator(".tile").first).to_be_visible(timeout=LONG_MS)


def test_failures_open_to_their_paths(tab: Open, pictures: Path) -> None:
    page = tab().open("/?view=library")
    expect(page.locator(".legend")).to_contain_text("2 failed")
    expect(page.locator(".legend")).to_contain_text("1 byte-identical")
    expect(page.locator(".reason").first).to_be_visible()
    shown = []
    for reason in page.locator(".reason").all():
        reason.locator("summary").click()
        expect(reason.locator(".paths li").first).to_be_visible()
        shown += reason.locator(".paths li").all_inner_texts()
    assert sorted(str(path) for path in pictures.glob("broken-*")) == sorted(shown)


def test_the_library_and_its_folders_count_the_same_pictures(tab: Open) -> None:
    page = tab().open("/?view=library")
    # 53 that are embedded, and a copy of one of them.
    expect(page.locator(".library-lead")).to_contain_text("56 pictures known; 54 can be searched")
    expect(page.locator(".root-counts").first).to_contain_text("54 can be searched · 2 failed")


def told(tab: Open, path: str, changes: dict[str, Any], **options: Any) -> Any:
    """Open the page with a status of which some is otherwise."""
    opened = tab(**options)
    status = opened.page.request.get(f"{opened.server.address}/api/status").json() | changes
    stream = f"event: status\ndata: {json.dumps(status)}\n\n"
    opened.page.route("**/api/events", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    return opened.open(path)


def test_folders_say_that_pictures_can_be_searched_when_the_library_does(tab: Open) -> None:
    page = told(tab, "/?view=library", {"searchable_images": 0})
    expect(page.locator(".library-lead")).to_have_text("56 pictures known; none can be searched yet.")
    expect(page.locator(".root-counts").first).to_contain_text("54 embedded · 2 failed")


@pytest.mark.parametrize(
    "path", ["/srv/photos", "/srv/My 'best' photos", "/srv/$(rm -rf x)", '/srv/a"b', "/srv/a\\b", "/srv/Größe;x"]
)
def test_commands_on_the_page_name_the_library(tab: Open, path: str) -> None:
    page = told(tab, "/", {"library": path})
    command = page.locator(".home-note code")
    expect(command).to_contain_text("--library")
    words = shlex.split(str(command.text_content()))
    assert ["pixfind", "--library", path, "model", "switch", "clip-vit-b32"] == words


def test_commands_of_the_default_library_and_of_names_that_cannot_be_seen_are_short(tab: Open) -> None:
    page = told(tab, "/?view=library", {"library": "/srv/photos", "is_default_library": True})
    expect(page.locator(".card code").first).to_have_text("pixfind index ~/Pictures")
    page = told(tab, "/?view=library", {"library": "/srv/\u202egpj"})
    expect(page.locator(".card code").first).to_have_text("pixfind --library LIBRARY index ~/Pictures")


@pytest.mark.parametrize(
    ("locale", "model"), [("en", "clip-vit-b32"), ("de", "xlm-roberta-vit-b32"), ("fr", "xlm-roberta-vit-b32")]
)
def test_the_model_that_is_offered_knows_the_language_of_the_page(tab: Open, locale: str, model: str) -> None:
    page = tab(locale=locale).open("/")
    expect(page.locator(".home-note code")).to_contain_text(f"model switch {model}")


def test_failures_say_what_to_do(tab: Open) -> None:
    page = tab().open("/?view=library")
    page.locator(".reason summary", has_text="truncated").click()
    expect(page.locator(".reason[open] .reason-remedy")).to_contain_text("Copy them again")


def test_new_pictures_are_looked_for_from_the_page(tab: Open, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 3)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    with serving(tmp_path / "library", tmp_path / "serve.log") as server:
        opened = tab(server=server)
        page = opened.open("/?view=library")
        expect(page.locator(".library-lead")).to_contain_text("3 pictures known")
        make_pictures(tmp_path / "pictures", 2, first=100)
        held: list[Any] = []
        # Until the run has begun, which is no longer than it takes.
        page.route("**/api/embed", lambda route: held.append(route))
        with page.expect_request("**/api/embed"):
            page.get_by_role("button", name="Look for new pictures").click()
        expect(page.locator(".run-message")).to_contain_text("Looking through the folders")
        held.pop().continue_()
        expect(page.locator(".library-lead")).to_contain_text("5 pictures known; 5 can be searched", timeout=120_000)
        opened.close()


def test_an_empty_library_says_what_to_do(tab: Open, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    make_library(tmp_path / "library", tmp_path / "nothing", embed=False).close()
    with serving(tmp_path / "library", tmp_path / "serve.log") as running:
        opened = tab(running)
        page = opened.open()
        expect(page.locator("#empty")).to_contain_text(f"pixfind --library {tmp_path / 'library'} index ~/Pictures")
        page.get_by_role("link", name="Library").click()
        expect(page.locator("#run-title")).to_have_text("Nothing to embed yet")
        opened.close()


def test_a_server_that_hangs_is_reported_too(tab: Open) -> None:
    opened = tab()
    opened.expect_problems("net::ERR_FAILED /api/events$")
    opened.page.route("**/api/events", lambda route: route.abort())
    # Whether it wants its token again is asked, and never answered.
    opened.page.route("**/api/status", lambda route: None if route.request.method == "HEAD" else route.continue_())
    page = opened.open("/?q=lake")
    expect(page.locator("#notice")).to_contain_text("The server does not answer")
    opened.page.unroute_all(behavior="ignoreErrors")


def test_a_server_that_went_away_is_reported_and_found_again(tab: Open, tmp_path: Path, pictures: Path) -> None:
    make_library(tmp_path / "library", pictures).close()
    with serving(tmp_path / "library", tmp_path / "serve.log") as running:
        opened = tab(running)
        # Only what keeps in touch with the server is on its way while it is gone.
        opened.expect_problems(r"net::ERR_(CONNECTION|INCOMPLETE|EMPTY_RESPONSE|SOCKET)\w* /api/(events|status)$")
        page = opened.open("/?q=beach")
        expect(page.locator(".tile").first).to_be_visible()
        # A picture that is on its way when the server ends is an error of its own in the browser.
        expect(page.locator(".tile-image:not(.is-loaded)")).to_have_count(0)
    expect(page.locator("#notice")).to_contain_text("The server does not answer")
    with serving(tmp_path / "library", tmp_path / "serve.log", "--port", str(running.port)):
        expect(page.locator("#notice")).to_be_hidden(timeout=LONG_MS)
        page.fill("#words", "forest")
        expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("forest|copy"))
        opened.close()
