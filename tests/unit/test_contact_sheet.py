"""The contact sheet is one file that shows the answers, whatever their names are made of."""

import base64
import html.parser
import os
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from pixfind.search import contact_sheet
from pixfind.testing.images import encode, picture


@dataclass(frozen=True)
class Hit:
    path: str
    score: float = 0.25


class Page(html.parser.HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


JPEG = encode(picture(1, (60, 40)), ".jpg")


def page(*hits: Hit, query: str = "sky", thumbnail: bytes | None = JPEG) -> Page:
    return Page(contact_sheet.render(query, hits, lambda _: thumbnail))


def test_the_page_shows_query_pictures_scores_and_paths_in_order() -> None:
    found = page(Hit("/pictures/a.jpg", 0.3141), Hit("/pictures/b.jpg", 0.27))

    assert ["sky", "sky", "2 pictures, best first"] == [word for word in found.words if "sky" in word or "best" in word]
    assert [word for word in found.words if word in {"a.jpg", "b.jpg", "0.314", "0.270"}] == [
        *("a.jpg", "0.314"),
        *("b.jpg", "0.270"),
    ]
    assert ["file:///pictures/a.jpg", "file:///pictures/b.jpg"] == [link["href"] for link in found.all("a")]


def test_the_pictures_are_inside_the_page() -> None:
    (image,) = page(Hit("/a.jpg")).all("img")
    kind, _, data = str(image["src"]).partition(",")

    assert "data:image/jpeg;base64" == kind
    assert JPEG == base64.b64decode(data)


def test_the_page_loads_and_runs_nothing() -> None:
    found = page(Hit("/a.jpg"))

    assert [] == found.all("script") + found.all("link") + found.all("iframe")
    assert any("default-src 'none'" in str(meta.get("content")) for meta in found.all("meta"))


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onload='x",
        "&lt;b&gt;",
        "{style}",
        "a</style>b",
    ],
)
def test_names_and_queries_are_text_and_never_markup(name: str) -> None:
    clean = page(Hit("/pictures/plain.jpg"))
    found = page(Hit(f"/pictures/{name.replace('/', '')}.jpg"), query=name)

    assert [tag for tag, _ in clean.tags] == [tag for tag, _ in found.tags]
    assert [set(attributes) for _, attributes in clean.tags] == [set(attributes) for _, attributes in found.tags]
    assert name in found.words


def test_a_name_that_is_no_utf8_can_be_written_and_followed() -> None:
    path = os.fsdecode(b"/pictures/caf\xe9.jpg")
    text = contact_sheet.render("x", [Hit(path)], lambda _: None)
    (link,) = Page(text).all("a")

    text.encode("utf-8")
    assert b"/pictures/caf\xe9.jpg" == unquote_to_bytes(urlsplit(str(link["href"])).path)


def test_characters_that_turn_or_break_a_line_are_marked() -> None:
    found = page(Hit("/pictures/a\u202egpj.exe"), Hit("/pictures/b\nc\u00a0d.jpg"))

    assert "a\ufffdgpj.exe" in found.words
    assert "b c d.jpg" in found.words


def test_a_hit_without_a_thumbnail_keeps_its_place() -> None:
    found = page(Hit("/a.jpg"), thumbnail=None)

    assert "no preview" in found.words
    assert 1 == len(found.all("figure"))


def test_the_shape_of_a_picture_sets_its_place_within_bounds() -> None:
    shapes = {(60, 40): "1.5000", (400, 20): "3.0000", (10, 90): "0.4000"}
    for size, shape in shapes.items():
        (figure,) = page(Hit("/a.jpg"), thumbnail=encode(picture(1, size), ".jpg")).all("figure")
        assert f"--shape:{shape}" == figure["style"]


def test_no_hits_make_a_page_that_says_so() -> None:
    assert "No picture fits." in page().words
    assert "0 pictures, best first" in page().words


def test_a_note_stands_below_the_picture_as_text() -> None:
    text = contact_sheet.render("x", [Hit("/a.jpg")], lambda _: None, note=lambda hit: f"<{hit.path[1:]}>")

    assert "<a.jpg>" in Page(text).words


def test_dark_and_light_are_both_there() -> None:
    text = contact_sheet.render("x", [], lambda _: None)

    assert "prefers-color-scheme:dark" in text
    assert '<meta name="color-scheme" content="light dark">' in text


def test_groups_stand_under_their_headings_and_count_their_pictures_anew() -> None:
    groups = [("1 <exact>", [Hit("/a.jpg"), Hit("/b.jpg")]), ("2 near", [Hit("/c.jpg")])]
    found = Page(contact_sheet.render_groups("duplicates", groups, lambda _: JPEG))

    shown = [word for word in found.words if word in {"1 <exact>", "2 near", "a.jpg", "b.jpg", "c.jpg", "1", "2"}]
    assert ["1 <exact>", "1", "a.jpg", "2", "b.jpg", "2 near", "1", "c.jpg"] == shown
    assert "2 groups" in found.words
    assert 3 == len(found.all("img"))


def test_no_groups_are_a_page_that_says_so() -> None:
    assert "No group." in Page(contact_sheet.render_groups("duplicates", [], lambda _: None)).words
