"""Albums and labels over HTTP."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.library import albums
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.workflows import label

HEADERS = {"X-Pixfind": "1", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def labelled(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pictures with labels."""
    place = tmp_path_factory.mktemp("labelled")
    shutil.copytree(drawn, place / "library")
    with Library.open(place / "library", write=True) as library, library.lock("label"):
        label.define(library, [Definition("woods", '+"forest"', 1.5), Definition("snowy", '+"snow"', 1.5)])
    return place / "library"


@pytest.fixture(scope="module")
def served(labelled: Path, connect: Callable[..., Any]) -> Iterator[Any]:
    with connect(labelled, labelled.parent / "serve.log") as client:
        yield client


@pytest.fixture(autouse=True)
def _no_albums(labelled: Path) -> None:
    (labelled / albums.NAME).unlink(missing_ok=True)


def change(client: Any, body: Any, status: int = 200) -> Any:
    return client.post("/api/albums", status, data=json.dumps(body), headers=HEADERS).json()


def test_labels_are_a_filter_a_facet_and_a_fact(served: Any) -> None:
    assert ["woods", "snowy"] == served.get("/api/status").json()["labels"]
    facets = {each["value"]: each["count"] for each in served.get("/api/facets?in=*").json()["labels"]}
    assert facets
    for name, count in facets.items():
        hits = served.get(f"/api/search?label={name}&k=100").json()["hits"]
        assert count == len(hits)
        assert name in served.get(f"/api/images/{hits[0]['image_id']}").json()["labels"]
    everything = served.get("/api/search?in=*&k=100").json()["hits"]
    without = served.get("/api/search?label=-woods&label=-snowy&k=100").json()["hits"]
    assert all(not served.get(f"/api/images/{hit['image_id']}").json()["labels"] for hit in without)
    assert len(without) < len(everything)
    ranked = served.get("/api/facets?q=forest&label=woods").json()
    assert facets["woods"] >= ranked["count"] == next(e["count"] for e in ranked["labels"] if e["value"] == "woods")


def test_an_unknown_label_is_refused(served: Any) -> None:
    for path in ("search", "facets", "timeline", "folders"):
        assert "woods, snowy" in served.get(f"/api/{path}?label=sand", 400).json()["error"]["message"]


def test_an_album_is_made_replaced_and_removed(served: Any, labelled: Path) -> None:
    search = {"q": "forest", "label": ["woods"], "sort": "date", "after": "last summer", "all": True}
    found = change(served, {"name": "Woods", "search": search})

    assert found == served.get("/api/albums").json()
    (album,) = found["albums"]
    assert search.items() <= album["search"].items()
    assert search == albums.find(labelled, "woods").search
    change(served, {"name": "woods", "search": {"q": "snow"}})
    assert {"q": "snow"} == albums.find(labelled, "woods").search
    assert [] == change(served, {"name": "WOODS", "search": None})["albums"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a"},
        {"name": "", "search": {"q": "sea"}},
        {"name": "a", "search": {}},
        {"name": "a", "search": {"q": ""}},
        {"name": "a", "search": {"q": "-sea"}},
        {"name": "a", "search": {"q": "photo.jpg"}},
        {"name": "a", "search": {"q": "sea", "after": "one of these days"}},
        {"name": "a", "search": {"q": "sea", "min_size": 0}},
        {"name": "a", "search": {"q": "sea", "sort": "size"}},
        {"name": "a", "search": {"q": "sea", "colour": "red"}},
        {"name": "a", "search": {"q": "sea"}, "more": 1},
        {"name": "a", "search": {"q": "sea"}, "add": [1]},
        {"name": "a", "add": []},
        {"name": "a", "add": [0]},
        {"name": "a", "add": [1] * 1_001},
        [],
    ],
)
def test_what_could_not_be_searched_is_no_album(served: Any, body: Any) -> None:
    before = served.get("/api/albums").json()
    change(served, body, 400)
    assert before == served.get("/api/albums").json()


def test_pictures_are_put_into_an_album_which_every_question_can_ask_for(served: Any, labelled: Path) -> None:
    ids = [hit["image_id"] for hit in served.get("/api/search?in=*&k=5").json()["hits"]]
    (album,) = change(served, {"name": "Best", "add": ids})["albums"]
    assert ("Best", 5, "Best") == (album["name"], album["pictures"], album["search"]["album"])
    (album,) = change(served, {"name": "best", "take": ids[:1], "add": ids[1:2]})["albums"]
    assert 4 == album["pictures"]

    left = set(ids[1:])
    assert left == {hit["image_id"] for hit in served.get("/api/search?album=best").json()["hits"]}
    assert left == {hit["image_id"] for hit in served.get("/api/search?q=snow&all=true&album=Best").json()["hits"]}
    assert 4 == sum(month["count"] for month in served.get("/api/timeline?album=Best").json()["months"])
    assert 4 == served.get("/api/facets?album=Best").json()["count"]
    for path in ("search", "facets", "timeline", "folders", "places"):
        served.get(f"/api/{path}?album=Worst", 400)

    change(served, {"name": "Best", "search": {"q": "sea"}}, 400)
    change(served, {"name": "Best", "take": ids[1:3], "add": ids[2:4]}, 400)
    change(served, {"name": "Sea", "search": {"q": "sea", "album": "best"}})
    for unknown in ("Sea", "Worst"):
        change(served, {"name": "Other", "search": {"q": "sea", "album": unknown}}, 400)
    change(served, {"name": "Sea", "search": None})
    change(served, {"name": "Best", "add": [*ids, 10_000]}, 404)
    assert 4 == len(albums.find(labelled, "Best").pictures or ())
    assert [] == change(served, {"name": "Best", "search": None})["albums"]


def test_another_web_site_makes_no_album(served: Any) -> None:
    body = json.dumps({"name": "a", "search": {"q": "sea"}})
    served.post("/api/albums", 422, data=body, headers={"Content-Type": "application/json"})
    change(served, {"name": "nobody", "search": None}, 404)


def test_an_album_that_is_not_understood_hides_no_other(served: Any, labelled: Path) -> None:
    albums.keep(labelled, albums.Album("long", {"q": "sea", "in": "/" + "x" * 1_100}))
    albums.keep(labelled, albums.Album("newer", {"colour": 1}))

    assert ["a"] == [each["name"] for each in change(served, {"name": "a", "search": {"q": "sea"}})["albums"]]
    assert ["a"] == [each["name"] for each in served.get("/api/albums").json()["albums"]]
    assert ["long", "newer", "a"] == [each.name for each in albums.read(labelled)]


def test_a_file_that_is_damaged_is_named(served: Any, labelled: Path) -> None:
    (labelled / albums.NAME).write_text('{"albums": [{"name": 1}]}', encoding="utf-8")

    assert albums.NAME in served.get("/api/albums", 503).json()["error"]["message"]
