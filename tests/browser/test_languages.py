"""The page in other languages: which one, no text outside the message files, and from right to left."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pixfind

expect = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra dev)").expect

Open = Callable[..., Any]
Violations = Callable[[Any], list[tuple[str, str]]]
PAGE = Path(pixfind.__file__).parent / "server/page"
ENGLISH = json.loads((PAGE / "messages.en.json").read_text(encoding="utf-8"))

#: Every text and every attribute that is read out or shown, which no message file has: their elements' own, not those of what is in them.
OUTSIDE = r"""
() => {
  // Names of files, folders and cameras, commands, keys, what the server says, and queries that are offered.
  const data = "bdi, .map-credit, code, kbd, pre, noscript, option, .path, .brand-name, .button--idea, .empty-message, .legend strong, [hidden], .tile-score, .chip-words, .grid-heading, .viewer-name, .viewer-facts dd:not(:has(*)), .facts dd:not(:has(*)), .reason summary > span";
  const isText = (text) => /\p{L}{2}/u.test(text) && !text.includes("⟦");
  const found = new Set();
  const walk = (element) => {
    if (element.matches(data) || element.matches("script, style, title, svg")) return;
    for (const name of ["aria-label", "title", "placeholder", "alt", "aria-valuetext"]) {
      const text = element.getAttribute(name);
      // A picture is called after its file.
      if (text && isText(text) && !/\.(jpe?g|png)/i.test(text)) found.add(`${name}: ${text}`);
    }
    for (const node of element.childNodes) {
      if (node.nodeType === Node.TEXT_NODE && isText(node.textContent)) found.add(node.textContent.trim());
      if (node.nodeType === Node.ELEMENT_NODE) walk(node);
    }
  };
  walk(document.body);
  return [...found];
}
"""


def marked(message: Any) -> Any:
    """A message in brackets that no other text has."""
    return f"⟦{message}⟧" if isinstance(message, str) else {form: marked(text) for form, text in message.items()}


def with_marks(page: Any) -> None:
    """Let a page have English texts with marks."""
    texts = json.dumps({key: marked(message) for key, message in ENGLISH.items()})
    page.route("**/static/messages.en.json", lambda route: route.fulfill(body=texts, content_type="application/json"))


def from_right_to_left(page: Any) -> None:
    """Let a page think that it has Hebrew, with English texts."""
    script = (PAGE / "language.js").read_text(encoding="utf-8")
    assert 'en: "English",' in script
    changed = script.replace('en: "English",', 'he: "עברית", en: "English",')
    page.route("**/static/language.js", lambda route: route.fulfill(body=changed, content_type="text/javascript"))
    texts = json.dumps(ENGLISH)
    page.route("**/static/messages.he.json", lambda route: route.fulfill(body=texts, content_type="application/json"))


def test_the_language_is_the_browsers_and_then_the_chosen_one(tab: Open) -> None:
    page = tab(locale="de-AT").open()
    field = page.locator("#words")
    expect(field).to_have_attribute("placeholder", "In deinen Bildern suchen")
    assert "de" == page.evaluate("document.documentElement.lang")
    with page.expect_navigation():
        page.get_by_label("Sprache").select_option("fr")
    expect(field).to_have_attribute("placeholder", "Rechercher dans vos images")
    page.reload()
    expect(field).to_have_attribute("placeholder", "Rechercher dans vos images")
    # The browser's own again: not remembered, so that a change of the browser counts.
    with page.expect_navigation():
        page.get_by_label("Langue").select_option("de")
    expect(field).to_have_attribute("placeholder", "In deinen Bildern suchen")
    assert page.evaluate("localStorage.getItem('pixfind-language')") is None


def test_who_speaks_none_of_the_languages_gets_english(tab: Open) -> None:
    page = tab(locale="ja-JP").open()
    expect(page.locator("#words")).to_have_attribute("placeholder", "Search your pictures")


def test_figures_are_written_as_the_language_does(tab: Open) -> None:
    page = tab(locale="de-DE").open("/?q=lake")
    expect(page.locator(".tile-score").first).to_contain_text(",")
    page.get_by_role("button", name="Filter").first.click()
    expect(page.get_by_role("button", name="2021: 16 Bilder")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "day", "month", "thousands"),
    [
        ("en-GB", "from 5 January 2021", "before May 2022", "1,234"),
        ("en-US", "from January 5, 2021", "before May 2022", "1,234"),
        ("de-CH", "ab 5. Januar 2021", "vor Mai 2022", "1[^,.]234"),
        ("fr-FR", "à partir du 5 janvier 2021", "avant mai 2022", r"1\s234"),
    ],
)
def test_dates_of_filters_are_written_as_in_the_country(tab: Open, locale: str, day: str, month: str, thousands: str) -> None:  # fmt: skip
    page = tab(locale=locale).open("/?after=2021-01-05&before=2022-05&added_after=2019&added_before=2022-01-01&min_size=1234")  # fmt: skip
    chips = page.locator("#active-filters")
    for words in (day, month, "31", "2019", re.compile(thousands)):
        expect(chips).to_contain_text(words)
    expect(chips).not_to_contain_text("-0")


@pytest.mark.parametrize("locale", ["de-DE", "fr-FR"])
def test_every_view_opens_in_every_language(tab: Open, locale: str, violations: Violations) -> None:
    opened = tab(locale=locale)
    opened.expect_problems("status of 404 .*/api/search$")
    opened.allow_problems("status of 404 .*/api/images/999999/thumbnail$")
    for path in ("/", "/?q=lake", "/?q=qwxyzzy", "/?q=lake&in=nowhere", "/?view=library", "/?q=id%3A999999"):
        page = opened.open(path)
        expect(page.locator(".tile, #empty h2, .ledger").locator("visible=true").first).to_be_visible()
        assert [] == violations(page), path


def test_no_text_of_the_page_is_outside_the_message_files(tab: Open) -> None:
    opened = tab()
    with_marks(opened.page)
    for path in ("/", "/?q=lake", "/?q=qwxyzzy", "/?q=lake&in=nowhere", "/?view=library", "/?q=lake+-snow&camera=nikon&after=2020-01-01&before=2022-01-01&min_size=5&near=52,13,5"):  # fmt: skip
        page = opened.open(path)
        expect(page.locator(".tile, #empty h2, .ledger, #hint:not([hidden])").locator("visible=true").first).to_be_visible()  # fmt: skip
        assert [] == page.evaluate(OUTSIDE), path


def test_no_text_of_what_opens_is_outside_the_message_files(tab: Open) -> None:
    opened = tab()
    with_marks(opened.page)
    page = opened.open("/?q=lake")
    for wrong in ("-lake", '"lake', "lake.jpg"):
        page.fill("#words", wrong)
        expect(page.locator("#hint")).not_to_be_empty()
        assert [] == page.evaluate(OUTSIDE)
    page.fill("#words", "lake")
    expect(page.locator("#hint")).to_be_hidden()
    page.locator("#filter").click()
    expect(page.locator(".facet-value").first).to_be_visible()
    page.locator(".folder-toggle").first.click()
    expect(page.locator(".folder-none")).to_be_visible()
    assert [] == page.evaluate(OUTSIDE)
    page.locator("#filter").click()
    page.locator(".tile a").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("p")
    expect(page.locator(".selection-message")).to_be_visible()
    assert [] == page.evaluate(OUTSIDE)
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.keyboard.press("i")
    expect(page.locator(".viewer-facts dd").first).to_be_visible()
    page.keyboard.press("c")
    expect(page.locator(".viewer-said")).not_to_be_empty()
    assert [] == page.evaluate(OUTSIDE)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert [] == page.evaluate(OUTSIDE)
    page.goto(opened.server.address + "/?view=library")
    page.locator(".reason summary").first.click()
    page.locator(".log-card summary").click()
    expect(page.locator(".reason[open] .paths li").first).to_be_visible()
    page.get_by_role("button", name="⟦Leave out files of").click()
    assert [] == page.evaluate(OUTSIDE)
    page.goto(opened.server.address + "/?view=map")
    expect(page.locator("#map-view .map-said")).not_to_be_empty()
    assert [] == page.evaluate(OUTSIDE)


#: a run on a cluster, held back by its network
CLUSTER = {
    "running": True,
    "paused": False,
    "run": {"verb": "embed"},
    "bottleneck": "network",
    "because": "the model waits",
    "stages": {"read": 0.2, "network": 1.3, "decode": 0.5, "model": 0.1, "save": 0.0, "wait": 0.9, "pace": 0.0},
    "images_per_second": 2.0,
    "eta_seconds": 90.0,
    "workers": [
        {
            "worker": 1,
            "node": "n1",
            "host": "b2",
            "device": "cuda",
            "images": 5,
            "images_per_second": 2.0,
            "bottleneck": "network",
            "last_commit": None,
            "deaths": 0,
        }
    ],
}


def with_run(opened: Any, **state: Any) -> None:
    """Let a page see the run on a cluster."""
    status = opened.page.request.get(f"{opened.server.address}/api/status").json() | CLUSTER | state
    stream = f"event: status\ndata: {json.dumps(status)}\n\n"
    opened.page.route("**/api/events", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))


def test_a_run_on_a_cluster_is_told_in_the_language(tab: Open) -> None:
    opened = tab(locale="de-DE")
    with_run(opened)
    page = opened.open("/?view=library")
    expect(page.locator(".run .run-note")).to_contain_text("Das Netz bestimmt das Tempo")
    figures = "Das Modell wartet 90 % der Zeit; 1,5 Threads lesen, 0,5 entpacken."
    assert figures in page.locator(".run .run-note").inner_text().replace("\N{NO-BREAK SPACE}", " ")
    expect(page.locator(".run tbody tr")).to_contain_text("1 · auf b2 · cuda")
    expect(page.locator(".run tbody tr")).to_contain_text("Netz")


def test_why_a_run_and_a_watch_rest_is_said_in_the_language(tab: Open) -> None:
    opened = tab(locale="de-DE")
    hours = {
        "kind": "OutsideHours",
        "message": "paused: works between 22:00-06:00 only",
        "values": {"hours": "22:00-06:00"},
    }
    full = {"kind": "EndedBySignal", "message": "it was ended by SIGKILL.", "values": {"signal": "SIGKILL"}}
    watch = {"running": False, "stopped": full["message"], "stop": full, "starts_again_in": 90.0, "reasons": {}}
    with_run(opened, paused=True, pause_reason=hours["message"], pause=hours, watch=watch)
    page = opened.open("/?view=library")
    expect(page.locator(".run .run-note")).to_have_text("Gearbeitet wird nur zwischen 22:00-06:00.")
    expect(page.locator(".facts")).to_contain_text("angehalten: sie wurde durch SIGKILL beendet. Sie startet in")


def test_what_the_server_refuses_is_said_in_the_language(tab: Open) -> None:
    opened = tab(locale="de-DE")
    opened.expect_problems("status of 400 .*/api/search$")
    # It is asked for beside the search, and given up with the page.
    opened.allow_problems("status of 400 .*/api/timeline$")
    page = opened.open("/?after=gestern")
    expect(page.locator("#empty")).to_contain_text("Ein Filter versteht „gestern“ nicht")
    opened.open("/?label=Strand")
    expect(page.locator("#empty")).to_contain_text("Es gibt kein Etikett „Strand“.")


def test_why_pictures_failed_is_said_in_the_language(tab: Open) -> None:
    page = tab(locale="fr-FR").open("/?view=library")
    expect(page.locator(".reason").filter(has_text="tronqué")).to_be_visible()


def test_a_run_that_waits_for_a_store_says_so(tab: Open) -> None:
    opened = tab(locale="de-DE")
    with_run(opened, held_back="s3://pictures: throttled")
    page = opened.open("/?view=library")
    expect(page.locator(".run .run-note")).to_contain_text("Das Netz hält den Lauf auf (s3://pictures: throttled)")


def test_no_text_of_a_run_is_outside_the_message_files(tab: Open) -> None:
    opened = tab()
    with_marks(opened.page)
    with_run(opened)
    page = opened.open("/?view=library")
    expect(page.locator(".run tbody tr")).to_be_visible()
    assert [] == page.evaluate(OUTSIDE)


def test_from_right_to_left_everything_begins_at_the_right(tab: Open, violations: Violations) -> None:
    opened = tab(locale="he-IL")
    from_right_to_left(opened.page)
    page = opened.open("/?q=lake")
    expect(page.locator(".tile").nth(1)).to_be_visible()
    assert "rtl" == page.evaluate("document.documentElement.dir")
    first, second = (page.locator(f".tile[data-place='{place}']").bounding_box() for place in (0, 1))
    assert first["x"] > second["x"]
    assert page.locator(".brand").bounding_box()["x"] > page.locator(".tools").bounding_box()["x"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".tile a").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tile[data-place='1'] a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".viewer-step--back")).to_be_enabled()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".viewer-step--back")).to_be_disabled()
    assert page.get_by_role("button", name="Next picture").bounding_box()["x"] < 550
    page.keyboard.press("i")
    expect(page.locator(".viewer-facts dd").first).to_be_visible()
    assert [] == violations(page)
    assert page.locator(".viewer-side").bounding_box()["x"] == 0
