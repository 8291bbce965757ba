"""Finding pictures in the page: typing, terms, filters, folding, pictures of one's own."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.models import hub
from pixfind.models.encoders import open_text_encoder
from pixfind.search import query
from pixfind.server.app import PAGE
from pixfind.testing import wait_for

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Page = Any
Open = Callable[..., Any]

DROP = """
async ([url, name]) => {
  const blob = await (await fetch(url)).blob();
  const moved = new DataTransfer();
  moved.items.add(new File([blob], name, { type: "image/jpeg" }));
  const send = (kind) => document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: moved, bubbles: true, cancelable: true }));
  send("dragenter");
  send("dragover");
  const shown = !document.getElementById("drop").hidden;
  send("drop");
  return shown;
}
"""
PASTE = """
async ([url]) => {
  const blob = await (await fetch(url)).blob();
  const copied = new DataTransfer();
  copied.items.add(new File([blob], "pasted.png", { type: "image/jpeg" }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: copied, bubbles: true, cancelable: true }));
}
"""


def names(page: Page) -> list[str]:
    """The names of the pictures on the screen, in order."""
    return page.eval_on_selector_all(".tile img", "all => all.map((image) => image.alt)")


def query_of(page: Page) -> str:
    return page.evaluate("new URLSearchParams(location.search).get('q') ?? ''")


def has_query(page: Page, text: str) -> None:
    """Wait until this is the query of the address: the page searches a moment after the last key."""
    page.wait_for_function("text => (new URLSearchParams(location.search).get('q') ?? '') === text", arg=text)


def first(page: Page, name: str | re.Pattern[str]) -> None:
    """Wait until this picture is the first."""
    expect(page.locator(".tile img").first).to_have_attribute("alt", name)


def folded(page: Page) -> Any:
    """The picture that others were folded into."""
    return page.locator(".tile", has=page.locator(".tile-fold")).first


def test_words_find_pictures_as_they_are_typed(tab: Open) -> None:
    page = tab().open()
    expect(page.get_by_role("heading", level=1)).to_contain_text("pictures. What are you looking for?")
    page.keyboard.type("snow in winter")  # the field has the focus from the start
    has_query(page, "snow in winter")
    first(page, re.compile("winter-"))
    expect(page.locator("#summary")).to_contain_text("of 54 pictures")


def test_only_the_latest_answer_is_shown(tab: Open) -> None:
    page = tab().open()
    # The first answer comes when the second is on the screen already.
    held: list[Any] = []
    page.route(re.compile(r"/api/search\?q=beach"), lambda route: held.append(route))
    with page.expect_request(re.compile("q=beach")):
        page.fill("#words", "beach")
    page.fill("#words", "snow in winter")
    first(page, re.compile("winter-"))
    shown = names(page)
    for route in held:
        route.fallback()
    page.unroute(re.compile(r"/api/search\?q=beach"))
    # An answer of its own, asked for later, is here: so are those that came before it.
    page.evaluate("() => fetch('/api/status').then(got => got.json()).then(() => new Promise(requestAnimationFrame))")
    assert shown == names(page)


def test_signs_make_chips_that_flip_and_go(tab: Open) -> None:
    page = tab().open()
    page.keyboard.type("beach -night")
    expect(page.locator(".chip")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(2)
    has_query(page, "beach -night")
    page.get_by_role("button", name="Unwanted: night").click()
    page.wait_for_url(lambda url: "%2Bnight" in url)
    page.get_by_role("button", name="Remove: night").click()
    page.wait_for_url(lambda url: "night" not in url)
    # Backspace takes the last chip back into the text.
    page.focus("#words")
    page.keyboard.press("Backspace")
    expect(page.locator("#words")).to_have_value("beach")


def test_what_is_wrong_with_a_query_is_said_below_the_field(tab: Open) -> None:
    page = tab().open()
    page.keyboard.type('sea +"sun')
    expect(page.locator("#hint")).to_have_text("This quote is not closed.")
    page.keyboard.type('set"')
    expect(page.locator("#hint")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.type("-night")
    expect(page.locator("#hint")).to_contain_text("add what to search for")


def test_the_address_holds_the_query(tab: Open) -> None:
    page = tab().open()
    page.fill("#words", "forest")
    first(page, re.compile("forest|copy"))
    page.keyboard.press("Enter")
    page.get_by_role("link", name="pixfind, start page").click()
    expect(page.locator("#words")).to_have_value("")
    page.wait_for_url(lambda url: "q=" not in url)
    page.go_back()
    expect(page.locator("#words")).to_have_value("forest")
    first(page, re.compile("forest|copy"))
    page.reload()
    expect(page.locator("#words")).to_have_value("forest")
    first(page, re.compile("forest|copy"))


def test_a_dropped_picture_finds_itself(tab: Open) -> None:
    opened = tab()
    page = opened.open("/?q=forest")
    first(page, re.compile("forest|copy"))
    url, name = page.eval_on_selector(".tile a", "link => [link.href, link.querySelector('img').alt]")
    opened.open("/")
    assert page.evaluate(DROP, [url, "mine.jpg"]), "no drop target was shown"
    expect(page.locator(".chip--picture")).to_contain_text("mine.jpg")
    first(page, name)
    # Words are added to it.
    page.focus("#words")
    page.keyboard.type("snow")
    page.wait_for_url(lambda url: "q=snow" in url and "picture=" in url)
    page.get_by_role("button", name="Remove: mine.jpg").click()
    expect(page.locator(".chip--picture")).to_have_count(0)
    page.wait_for_url(lambda url: "picture=" not in url)


def test_a_pasted_picture_finds_itself(tab: Open) -> None:
    page = tab().open("/?q=lake")
    first(page, re.compile("."))
    url, name = page.eval_on_selector(".tile:nth-child(3) a", "link => [link.href, link.querySelector('img').alt]")
    page.evaluate(PASTE, [url])
    expect(page.locator(".chip--picture")).to_be_visible()
    first(page, name)


def test_less_of_something_is_searched_for_beside_a_picture(tab: Open) -> None:
    page = tab().open("/?q=lake")
    first(page, re.compile("."))
    url = page.eval_on_selector(".tile:nth-child(3) a", "link => link.href")
    page.evaluate(PASTE, [url])
    expect(page.locator(".chip--picture")).to_be_visible()
    page.focus("#words")
    page.keyboard.type("-snow")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "q=-snow" in url and "picture=" in url)
    expect(page.locator("#hint")).to_be_hidden()
    first(page, re.compile("."))


def test_a_chosen_file_that_is_no_picture_is_refused_in_words(tab: Open, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    page = tab().open()
    page.set_input_files("#file", tmp_path / "letter.txt")
    expect(page.locator("#notice")).to_contain_text("letter.txt is not a picture")


def test_filters_narrow_and_are_taken_away_one_by_one(tab: Open) -> None:
    page = tab().open("/?q=sky&fold=0")
    first(page, re.compile("."))
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Portrait", exact=True).check()
    expect(page.locator("#summary")).to_contain_text("12 pictures")
    page.get_by_label("Camera", exact=True).fill("canon")
    page.get_by_label("Taken from", exact=True).fill("2021-01-01")
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".chip--filter")).to_have_count(3)
    expect(page.locator("#empty")).to_contain_text("No picture passes the filters")
    page.get_by_role("button", name="Remove: camera: canon").click()
    expect(page.locator("#empty")).to_be_hidden()
    expect(page.locator(".tile").first).to_be_visible()
    shapes = page.eval_on_selector_all(".tile", "all => all.map((tile) => tile.offsetWidth < tile.offsetHeight)")
    assert {True} == set(shapes)
    page.reload()
    expect(page.locator(".chip--filter")).to_have_count(2)


def test_near_duplicates_fold_and_unfold(tab: Open) -> None:
    page = tab().open("/?q=beach")
    tile = folded(page)
    expect(tile).to_be_visible()
    before = names(page)
    many = int(tile.locator(".tile-fold").inner_text())
    tile.locator(".tile-fold").click()
    expect(page.locator(".tile--member")).to_have_count(many)
    expect(folded(page).locator(".tile-fold")).to_have_attribute("aria-expanded", "true")
    folded(page).locator(".tile-fold").click()
    expect(page.locator(".tile--member")).to_have_count(0)
    assert before == names(page)
    page.get_by_label("Fold near-duplicates").uncheck()
    expect(page.locator(".tile-fold")).to_have_count(0)
    expect(page.locator("#summary")).to_contain_text("53 of 54")


def wide(page: Page) -> Any:
    """Return a tile that has room for its buttons."""
    found = page.wait_for_function(
        "() => [...document.querySelectorAll('.tile')].find((tile) => tile.clientWidth >= 240)?.dataset.id"
    )
    return page.locator(f".tile[data-id='{found.json_value()}']")


def test_more_and_less_like_this_change_the_query(tab: Open) -> None:
    page = tab().open("/?q=night")
    first(page, re.compile("night"))
    tile = wide(page)
    number = tile.get_attribute("data-id")
    tile.hover()
    tile.get_by_role("button", name="Less like this").click()
    page.wait_for_url(lambda url: f"-id%3A{number}" in url)
    expect(page.locator(".chip--minus")).to_have_count(1)
    expect(page.locator(f".tile[data-id='{number}']")).to_have_count(0)
    tile = wide(page)
    tile.hover()
    tile.get_by_role("button", name="More like this").click()
    page.wait_for_url(lambda url: re.search(r"q=id%3A\d+$", url) is not None)
    expect(page.locator(".chip")).to_have_count(1)


def test_words_that_the_model_does_not_know_are_named(tab: Open) -> None:
    page = tab().open()
    page.fill("#words", "qwxyzzy")
    expect(page.locator("#empty")).to_contain_text("“qwxyzzy”")
    page.locator("#empty").get_by_role("button", name="snow").click()
    first(page, re.compile("."))
    page.fill("#words", "beach +qwxyzzy")
    expect(page.locator("#summary")).to_contain_text("does not know “qwxyzzy”: ignored")


def test_a_word_that_the_model_does_not_know_is_named_within_others(tab: Open) -> None:
    page = tab().open("/?q=dog+on+the+beach")
    expect(page.locator("#summary")).to_contain_text("does not know “dog”: ignored")


def test_the_page_suggests_only_what_the_starter_knows() -> None:
    source = (PAGE / "empty.js").read_text(encoding="utf-8")
    ideas = json.loads(re.search(r"const IDEAS = (\[.*\]);", source)[1])  # type: ignore[index]
    encoder = open_text_encoder(hub.resolve("starter", image=False))
    assert len(ideas) > 5
    for idea in ideas:
        assert () == tuple(word for term in query.parse(idea).terms for word in encoder.unknown_words(term.value))


def test_the_limits_of_the_starter_are_said_until_they_are_hidden(tab: Open) -> None:
    page = tab().open()
    note = page.locator(".home-note")
    expect(note).to_contain_text("model switch clip-vit-b32")
    note.get_by_role("button", name="Hide this note").click()
    expect(note).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("54 pictures")
    expect(note).to_be_hidden()
    page.fill("#words", "qwxyzzy")
    expect(page.locator("#empty")).to_contain_text("knows colours and scenes only")


def test_the_command_that_a_phone_has_no_room_for_is_copied(tab: Open) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = tab(**options, permissions=["clipboard-read", "clipboard-write"]).open()
    note = page.locator(".home-note")
    expect(note).to_be_visible()
    note.get_by_role("button", name="Copy the command").click()
    command = note.locator("code").text_content()
    expect(page.locator("#notice")).to_have_text(f"Copied: {command}")
    assert command == page.evaluate("navigator.clipboard.readText()")
    assert 390 == page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize("model", ["starter", "siglip2-b32-256"])
def test_pictures_stay_where_they_are_when_the_model_becomes_known(tab: Open, model: str) -> None:
    opened = tab()
    status = opened.page.request.get(f"{opened.server.address}/api/status").json() | {"model": model}
    stream = f"event: status\ndata: {json.dumps(status)}\n\n"
    asked: list[Any] = []
    opened.page.route("**/api/events", lambda route: asked.append(route))
    for _ in range(2):
        with opened.page.expect_request("**/api/events"):
            page = opened.open()
        expect(page.locator(".tile").first).to_be_visible()
        before = page.locator(".tile").first.bounding_box()
        asked.pop().fulfill(body=stream, content_type="text/event-stream")
        expect(page.get_by_role("heading", level=1)).to_contain_text("54 pictures")
        assert before == page.locator(".tile").first.bounding_box()
        assert (model == "starter") == page.locator(".home-note").is_visible()
    # Once it is known that there is no note, it has no room.
    assert (model == "starter") == bool(page.locator(".home-note").count())


def test_a_slash_in_the_empty_field_is_the_key_and_no_query(tab: Open) -> None:
    page = tab().open()
    page.keyboard.type("/snow")
    expect(page.locator("#words")).to_have_value("snow")
    first(page, re.compile("."))


def test_what_is_typed_before_the_scripts_have_arrived_is_searched_for(tab: Open) -> None:
    page = tab().page
    waiting: list[Any] = []
    page.route("**/messages.en.json", lambda route: waiting.append(route))
    page.goto(tab().server.address, wait_until="commit")
    page.fill("#words", "forest")
    # Each question lets Playwright call the route's handler.
    wait_for(lambda: page.title() is not None and waiting)
    waiting.pop().continue_()

    expect(page).to_have_url(re.compile("q=forest"))


def test_a_query_that_names_a_file_is_explained_and_not_sent(tab: Open) -> None:
    page = tab().open()
    page.fill("#words", "/holiday.jpg")
    expect(page.locator("#hint")).to_contain_text("Files are not opened by name here")
    assert not query_of(page)


def test_a_refused_query_is_not_offered_again(tab: Open) -> None:
    opened = tab()
    opened.expect_problems("status of 404 .*/api/search$")
    opened.allow_problems("status of 404 .*/api/images/999999/thumbnail$")
    page = opened.open("/?q=id%3A999999")
    expect(page.locator("#empty")).to_contain_text("That did not work")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.get_by_role("button", name="Show all pictures").click()
    first(page, re.compile("."))


def test_names_of_files_are_only_text(tab: Open, pictures: Path) -> None:
    """A name that is markup is shown as it is, everywhere, and nothing of it runs."""
    hostile = [path.name for path in pictures.iterdir() if "(" in path.name]
    opened = tab()
    page = opened.open("/?q=flower&fold=0")
    first(page, re.compile("."))
    for name in hostile:
        page.locator(".tile", has=page.get_by_alt_text(name, exact=True)).locator("a").click()
        expect(page.locator(".viewer-name")).to_have_text(name)
        page.keyboard.press("i")
        expect(page.locator(".viewer-facts")).to_contain_text(name)
        page.keyboard.press("i")
        page.keyboard.press("Escape")
        expect(page.locator("#viewer")).to_be_hidden()
        with page.expect_response(re.compile("/api/search")):
            page.fill("#words", f'"{name.replace(chr(34), "")}"')
        opened.open("/?q=flower&fold=0")
        first(page, re.compile("."))
    assert 3 == len(hostile)
    assert 0 == page.locator("main img:not(.tile-image)").count()


def lines() -> list[str]:
    """Queries of every kind, and some that only chance writes."""
    written = [
        "", " ", "black dog on grass", "beach +sunset", "beach -people", "a t-shirt", "beach +2:sunset -0.5:people",
        "3:10 to yuma", "16:9", '"-40 degrees"', '"sunset.jpg"', r'"a \"quote\" and \\ more"', "holiday.jpg", "./scan",
        "/photos/a b.png", "file:scan", 'file:"my +1 scan"', "id:123", "id:x", "text:sunset.jpg", "-only", "0:zero",
        "101:heavy", 'open "quote', '"a"b', "+ spaced", "beach + sunset", "ID:5 -Id:6", "~/x y", "c:\\x", ".5:half",
        "says:hotel", 'says:"invoice 2023" beach', "-name:scans +x", "says:...", "says:", 'name:"統一"', "Says:x -SAYS:y", "name:2:x",
    ]  # fmt: skip
    chance = random.Random(7)
    parts = [
        "beach",
        " ",
        " +",
        " -",
        "-",
        '"',
        "2:",
        ":",
        "id:",
        "17",
        "text:",
        "file:",
        "says:",
        "name:",
        ".jpg",
        "\\",
        "a b",
        "/",
        "ü",
    ]
    return [*written, *("".join(chance.choices(parts, k=chance.randint(1, 8))) for _ in range(400))]


def test_the_page_reads_the_query_language_as_the_server_does(tab: Open) -> None:
    page = tab().open()
    read = page.evaluate(
        """async (lines) => {
             const { parse, write } = await import("/static/query.js");
             return lines.map((line) => {
               const { terms, problem } = parse(line);
               return { terms, problem, again: problem ? null : parse(write(terms)).terms };
             });
           }""",
        lines(),
    )
    for line, found in zip(lines(), read, strict=True):
        try:
            terms = [{"kind": str(t.kind), "value": t.value, "weight": t.weight} for t in query.parse(line).terms]
        except errors.InvalidQuery:
            assert found["problem"], line
        else:
            assert (terms, None) == (found["terms"], found["problem"]), line
            assert terms == found["again"], f"written and read again: {json.dumps(line)}"


def test_the_line_says_why_fewer_pictures_are_shown_than_pass(tab: Open) -> None:
    """54 pass, and one of them is a copy: it has no tile of its own."""
    page = tab().open()
    said = "53 pictures; 1 behind them: copies, or files of the same shot or video"
    end = page.locator("#after")
    expect(end).to_have_text(said)
    expect(end).to_be_visible()
    page = tab().open("/?in=*")
    expect(page.locator("#summary")).to_have_text(said)
    expect(page.locator("#summary")).to_be_visible()
