"""What the images of a result have in common, and the tree of their folders: each count is that of the list with this filter."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_library
from pixfind.testing.images import make_image

SIZES = ((64, 48), (48, 64), (50, 50))
NAMES = ("2021/trip", "2021/a.b", "2022", "2022/[x]* y", "2022/caf\udce9")


@pytest.fixture(scope="module")
def sorted_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of 30 pictures in five folders, of three shapes and two kinds, by three cameras."""
    place = tmp_path_factory.mktemp("facets")
    for number in range(30):
        folder = place / "pictures" / NAMES[number % 5]
        folder.mkdir(parents=True, exist_ok=True)
        suffix = "png" if number % 4 == 0 else "jpg"
        make_image(folder / f"{number:02}.{suffix}", seed=number, size=SIZES[number % 3])
    make_library(place / "library", place / "pictures").close()
    with sqlite3.connect(place / "library/metadata.db") as database:
        database.execute("UPDATE images SET camera = CASE id % 3 WHEN 0 THEN 'Canon' WHEN 1 THEN 'Nikon' ELSE '' END")
        database.execute("UPDATE images SET taken_at = 1600000000 + 40000000 * (id % 2)")
    return place / "library"


@pytest.fixture(scope="module")
def served(sorted_library: Path, connect: Callable[..., Any]) -> Any:
    with connect(sorted_library, sorted_library.parent / "serve.log") as client:
        yield client


def values(found: dict[str, Any], name: str) -> dict[str, int]:
    return {each["value"]: each["count"] for each in found[name]}


def hits(client: Any, **filters: str) -> int:
    return len(client.get("/api/search", params={"in": "*", "k": 100, **filters}).json()["hits"])


def test_each_value_has_as_many_images_as_its_filter_finds(served: Any) -> None:
    found = served.get("/api/facets").json()

    assert (30, False) == (found["count"], found["ranked"])
    assert {"Canon", "Nikon"} == set(values(found, "cameras"))
    assert {"jpg", "png"} == set(values(found, "kinds"))
    for camera, count in values(found, "cameras").items():
        assert count == hits(served, camera=camera)
    for shape, count in values(found, "shapes").items():
        assert count == hits(served, shape=shape)
    for year, count in values(found, "years").items():
        assert count == hits(served, after=year, before=str(int(year) + 1))
    for kind, count in values(found, "kinds").items():
        assert count == hits(served, **{"in": f"*.{kind}"})


def test_facets_are_those_of_the_present_filters(served: Any) -> None:
    found = served.get("/api/facets?camera=canon&shape=portrait").json()
    assert hits(served, camera="canon", shape="portrait") == found["count"]
    assert ["Canon"] == list(values(found, "cameras"))


def test_a_query_has_the_facets_of_its_hits(served: Any) -> None:
    best = served.get("/api/search?q=sky&k=500&all=true&camera=canon").json()["hits"]
    found = served.get("/api/facets?q=sky&all=true&camera=canon").json()
    assert (len(best), True) == (found["count"], found["ranked"])
    assert "InvalidQuery" == served.get("/api/facets?q=-sky", 400).json()["error"]["kind"]


def test_folders_are_a_tree_whose_counts_are_those_of_their_filters(served: Any, sorted_library: Path) -> None:
    (root,) = served.get("/api/folders").json()["folders"]
    assert (str(sorted_library.parent / "pictures"), 30) == (root["path"], root["count"])

    waiting, seen = [root], []
    while waiting:
        folder = waiting.pop()
        seen.append(folder["name"])
        inside = "".join(f"[{each}]" if each in "[*?" else each for each in folder["path"])
        assert folder["count"] == hits(served, **{"in": inside}), folder
        waiting += served.get("/api/folders", params={"below": folder["path"]}).json()["folders"]
    assert {"2021", "trip", "a.b", "2022", "[x]* y", r"caf\xe9"} == set(seen[1:])


def test_folders_pass_the_other_filters(served: Any) -> None:
    (root,) = served.get("/api/folders?camera=canon").json()["folders"]
    assert hits(served, camera="canon") == root["count"]
    assert [] == served.get("/api/folders?camera=leica").json()["folders"]
    assert [] == served.get("/api/folders?below=/nowhere").json()["folders"]


def test_counts_know_the_filter_on_places(served: Any) -> None:
    for path in ("facets", "folders", "timeline"):
        assert served.get(f"/api/{path}?near=52.5,13.4,10").json()
