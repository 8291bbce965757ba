"""The folders of a library on the page: added, scanned, thinned, with what became of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library, make_pictures
from pixfind.testing.servers import serving

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]
Violations = Callable[[Any], list[tuple[str, str]]]


def test_a_folder_is_added_scanned_and_thinned_from_the_page(tab: Open, tmp_path: Path, violations: Violations) -> None:
    make_pictures(tmp_path / "first", 2)
    make_pictures(tmp_path / "second", 3, first=50)
    make_library(tmp_path / "library", tmp_path / "first").close()
    with serving(tmp_path / "library", tmp_path / "serve.log", token=True) as server:
        opened = tab(server=server)
        opened.expect_problems("status of 400 .*/api/roots$")
        page = opened.open(f"/?token={server.token}&view=library")
        page.goto(f"{server.address}/?view=library")
        card = page.get_by_role("region", name="Folders")
        expect(card).to_contain_text("2 can be searched")
        folder = card.get_by_label("Another folder")
        folder.fill("/no/such/folder")
        card.get_by_role("button", name="Add", exact=True).click()
        expect(card.locator(".root-message")).to_contain_text("/no/such/folder is not a folder")
        folder.fill(str(tmp_path / "second"))
        card.get_by_role("button", name="Add", exact=True).click()
        second = card.locator(".root", has_text="second")
        expect(second).to_contain_text("3 can be searched", timeout=120_000)
        expect(page.locator(".library-lead")).to_contain_text("5 pictures known; 5 can be searched", timeout=120_000)
        exclude = second.get_by_role("button", name="Leave out files of")
        expect(exclude).to_be_visible(timeout=120_000)
        exclude.click()
        second.get_by_label("Name or pattern").fill("*_00051.jpg")
        second.get_by_role("button", name="Leave out", exact=True).click()
        expect(second).to_contain_text("2 can be searched · 1 skipped", timeout=120_000)
        expect(second).to_contain_text("Left out: *_00051.jpg")
        make_pictures(tmp_path / "second", 1, first=90)
        second.get_by_role("button", name="Look again through").click(timeout=120_000)
        expect(second).to_contain_text("3 can be searched", timeout=120_000)
        page.locator(".log-card summary").first.click()
        expect(page.locator(".log-card")).to_contain_text("index, begun on")
        assert [] == violations(page)
        opened.close()


def test_without_a_token_folders_are_added_in_a_terminal(tab: Open) -> None:
    page = tab().open("/?view=library")
    card = page.get_by_role("region", name="Folders")
    expect(card.locator(".root")).to_contain_text("can be searched")
    expect(card).to_contain_text("index ~/Pictures")
    expect(card.get_by_label("Another folder")).to_be_hidden()
    expect(card.get_by_role("button", name="Leave out files of")).to_be_visible()


ROOT: dict[str, Any] = {
    "images": {"searchable": 1},
    "offline": None,
    "exclude": [],
    "left_out": {},
    "in_archives": False,
}
STATUS = {"images": {}, "folders": [], "offline": {}, "running": False, "can_control": True, "can_add_folders": False}
SHOW = """async (status) => {
  const { RootsCard } = await import("/static/roots.js");
  if (!window.card) {
    window.card = new RootsCard({ done: () => {} });
    document.getElementById("main").prepend(card.element);
  }
  await card.update(status);
}"""


def test_what_is_typed_stays_with_its_folder_while_others_come_and_go(tab: Open) -> None:
    page = tab().open("/?q=lake")
    paths, sent = ["/b"], []

    def answer(route: Any) -> None:
        if route.request.method == "POST":
            sent.append(json.loads(route.request.post_data))
            return route.fulfill(json=STATUS)
        return route.fulfill(json={"roots": [{"path": path, **ROOT} for path in paths]})

    page.route("**/api/roots", answer)
    page.evaluate(SHOW, STATUS)
    row = page.locator(".root", has_text="/b")
    row.get_by_role("button", name="Leave out files of").click()
    pattern = row.get_by_label("Name or pattern")
    pattern.press_sequentially("*.tm")
    paths.insert(0, "/a")
    page.evaluate(SHOW, {**STATUS, "folders": ["/a", "/b"]})
    expect(page.locator(".root .path")).to_have_text(["/a", "/b"])
    expect(pattern).to_be_focused()
    page.keyboard.type("p")
    paths.remove("/a")
    page.evaluate(SHOW, STATUS)
    expect(page.locator(".root .path")).to_have_text(["/b"])
    expect(pattern).to_be_focused()
    page.keyboard.press("Enter")
    expect(row.get_by_role("button", name="Leave out files of")).to_be_focused()
    assert [{"action": "exclude", "path": "/b", "exclude": ["*.tmp"]}] == sent


def test_the_focus_stays_on_a_button_while_a_run_goes_on(tab: Open) -> None:
    page = tab().open("/?q=lake")
    page.route("**/api/roots", lambda route: route.fulfill(json={"roots": [{"path": "/b", **ROOT}]}))
    page.evaluate(SHOW, STATUS)
    scan = page.get_by_role("button", name="Look again through")
    scan.focus()
    page.evaluate(SHOW, {**STATUS, "running": True})
    expect(scan).to_be_disabled()
    expect(scan).to_be_focused()


def test_what_is_being_done_is_no_longer_said_once_it_is_done(tab: Open) -> None:
    page = tab().open("/?q=lake")
    running = {**STATUS, "running": True}
    page.route("**/api/roots", lambda route: route.fulfill(json=running if route.request.method == "POST" else {"roots": [{"path": "/b", **ROOT}]}))  # fmt: skip
    page.evaluate(SHOW, STATUS)
    page.get_by_role("button", name="Look again through").click()
    message = page.locator(".root-message").first
    expect(message).to_contain_text("Looking through the folder")
    page.evaluate(SHOW, running)
    expect(message).to_be_visible()
    page.evaluate(SHOW, STATUS)
    expect(message).to_be_hidden()


def test_a_folder_with_videos_says_how_they_are_looked_into(tab: Open) -> None:
    page = tab().open("/?q=lake")
    root = {"path": "/my films", **ROOT, "left_out": {".mov": 2, ".mp4": 1, ".psd": 4}}
    page.route("**/api/roots", lambda route: route.fulfill(json={"roots": [root]}))
    page.evaluate(SHOW, STATUS)
    row = page.locator(".root", has_text="/my films")
    expect(row).to_contain_text("7 files of other kinds")
    expect(row).to_contain_text("3 of them are videos")
    expect(row.locator("code").first).to_contain_text("index '/my films' --video")
    root["left_out"] = {".psd": 4}
    page.evaluate(SHOW, {**STATUS, "folders": ["/my films"]})
    expect(row).to_contain_text("4 files of other kinds")
    expect(row.get_by_text("videos")).to_be_hidden()


def test_the_log_shows_no_figures_for_programs(tab: Open) -> None:
    page = tab().open("/?q=lake")
    lines = [
        "12:00:01 pixfind.worker: 3 pictures",
        '12:00:02 pixfind.coordinator: {"images": 56, "stages": {"read": 0.1}}',
    ]
    answer = {"verb": "index", "started": 1.0, "seconds": 2.0, "lines": lines}
    page.route("**/api/runs/last", lambda route: route.fulfill(json=answer))
    page.evaluate(
        """async () => {
          const { RunLog } = await import("/static/run_log.js");
          const log = new RunLog();
          document.getElementById("main").prepend(log.element);
          log.element.open = true;
        }"""
    )
    expect(page.locator(".log").first).to_have_text(lines[0])


def test_the_log_is_not_asked_for_at_every_change(tab: Open) -> None:
    page = tab().open("/?q=lake")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/api/runs/last") else None)
    page.evaluate(
        """async () => {
          const { RunLog } = await import("/static/run_log.js");
          window.log = new RunLog();
          document.getElementById("main").prepend(log.element);
        }"""
    )
    with page.expect_response("**/api/runs/last"):
        page.locator(".log-card summary").first.click()
    with page.expect_response("**/api/runs/last"):
        # Begun, ten changes, ended.
        page.evaluate(
            "() => { for (let at = 0; at < 10; at++) log.update({ running: true }); log.update({ running: false }); }"
        )
    assert 2 == len(asked)
