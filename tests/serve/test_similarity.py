"""The similarity map over HTTP: each image in one group, fewer in a group the closer one looks, filters, and what has no map."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_drawn_pictures, make_library, make_pictures
from pixfind.workflows.build_index import build_index

COUNT = 60


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Any:
    place: Path = tmp_path_factory.mktemp("similarity")
    make_drawn_pictures(place / "pictures", COUNT)
    with make_library(place / "library", place / "pictures") as library, library.lock("test"):
        build_index(library)
    with connect(place / "library", place / "serve.log") as client:
        yield client


def similarity(client: Any, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/similarity", params=parameters).json()
    return found


@pytest.mark.parametrize("zoom", [0, 1, 2, 4, 8, 14])
def test_each_image_is_in_one_group(served: Any, zoom: int) -> None:
    found = similarity(served, zoom=zoom)
    assert (COUNT, COUNT) == (found["count"], found["in_view"])
    assert COUNT == sum(group["count"] for group in found["groups"])
    images = [group["image_id"] for group in found["groups"]]
    assert len(images) == len(set(images))
    counts = [group["count"] for group in found["groups"]]
    assert sorted(counts, reverse=True) == counts
    for group in found["groups"]:
        assert found["bounds"]["left"] <= group["x"] <= found["bounds"]["right"]
        assert found["bounds"]["top"] <= group["y"] <= found["bounds"]["bottom"]


def test_groups_come_apart_as_one_looks_closer(served: Any) -> None:
    assert len(similarity(served, zoom=0)["groups"]) < len(similarity(served, zoom=2)["groups"])
    assert all(group["count"] == 1 for group in similarity(served, zoom=14)["groups"])


def test_a_group_lies_within_its_reach(served: Any) -> None:
    group = similarity(served, zoom=2)["groups"][0]
    box = {
        "left": max(0, group["x"] - group["reach"] - 1e-5),
        "right": min(1, group["x"] + group["reach"] + 1e-5),
        "top": max(0, group["y"] - group["reach"] - 1e-5),
        "bottom": min(1, group["y"] + group["reach"] + 1e-5),
    }
    assert group["count"] <= similarity(served, zoom=2, **box)["in_view"] < COUNT


def test_only_what_passes_the_filters_is_on_it(served: Any) -> None:
    shown = served.get("/api/facets", params={"shape": "portrait"}).json()["count"]
    assert 0 < shown < COUNT
    assert shown == similarity(served, shape="portrait")["count"]
    none = similarity(served, after="2999")
    assert (0, None, []) == (none["count"], none["bounds"], none["groups"])


def test_the_status_tells_that_there_is_one(served: Any) -> None:
    assert served.get("/api/status").json()["has_similarity_map"]


def test_without_a_map_the_answer_says_how_to_make_one(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 3)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    client = serve(tmp_path / "library")
    assert not client.get("/api/status").json()["has_similarity_map"]
    answer = client.get("/api/similarity", status=404)
    assert "pip install 'pixfind[map]'" in answer.json()["detail"]


def test_a_map_that_is_made_later_is_shown(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 20)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        client = serve(tmp_path / "library")
        client.get("/api/similarity", status=404)
        with library.lock("test"):
            build_index(library)
    assert 20 == similarity(client)["count"]
