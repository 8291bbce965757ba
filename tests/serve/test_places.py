"""Places on a map: each image in one of them, each a circle that the filter `near` finds again, and the newest image stands for it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.errors import LibraryTooLargeForMap
from pixfind.library.library import Library
from pixfind.search.filters import Filters, kilometres
from pixfind.server import count_schemas
from pixfind.server import places as map_places
from pixfind.testing import make_library, make_pictures

#: Berlin, Potsdam nearby, Sydney, a ship on the date line on both sides, the poles, and three without a place
POINTS = (
    *((52.50 + number / 1_000, 13.40) for number in range(8)),
    *((52.40, 13.06 + number / 1_000) for number in range(4)),
    (-33.87, 151.21),
    (0.0, 179.99),
    (0.0, -179.99),
    (89.9, 0.0),
    (-90.0, 180.0),
    *((None, None) for _ in range(3)),
)
LOCATED = 17


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Any:
    place = tmp_path_factory.mktemp("places")
    make_pictures(place / "pictures", len(POINTS))
    make_library(place / "library", place / "pictures").close()
    with sqlite3.connect(place / "library/metadata.db") as database:
        for number, (latitude, longitude) in enumerate(POINTS):
            database.execute(
                "UPDATE images SET latitude = ?, longitude = ?, taken_at = 1600000000 + 1000 * (id * 7 % 20), camera = CASE id % 2 WHEN 0 THEN 'Canon' ELSE 'Nikon' END WHERE id = ?",
                (latitude, longitude, number + 1),
            )
    with connect(place / "library", place / "serve.log") as client:
        yield client


def places(client: Any, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/places", params=parameters).json()
    return found


@pytest.mark.parametrize("zoom", [0, 2, 5, 8, 11, 14, 22])
def test_every_image_with_a_place_is_in_one_of_them(served: Any, zoom: int) -> None:
    found = places(served, zoom=zoom)
    assert (LOCATED, LOCATED) == (found["count"], found["in_view"])
    assert LOCATED == sum(place["count"] for place in found["places"])
    assert {"west": -179.99, "south": -90.0, "east": 180.0, "north": 89.9} == found["bounds"]
    counts = [place["count"] for place in found["places"]]
    assert sorted(counts, reverse=True) == counts


@pytest.mark.parametrize("zoom", [0, 4, 9, 16])
def test_the_circle_of_a_place_finds_its_images_again(served: Any, zoom: int) -> None:
    for place in places(served, zoom=zoom)["places"]:
        near = f"{place['latitude']},{place['longitude']},{place['km']}"
        hits = served.get("/api/search", params={"near": near, "k": 100}).json()["hits"]
        assert len(hits) >= place["count"]
        assert place["image_id"] in {hit["image_id"] for hit in hits}


def test_the_newest_image_stands_for_a_place(served: Any) -> None:
    (berlin,) = [place for place in places(served, zoom=10)["places"] if place["count"] > 4]
    hits = served.get("/api/search", params={"near": "52.5,13.4,3", "k": 100}).json()["hits"]
    # Berlin's eight, and no other.
    assert 8 == len(hits) == berlin["count"]
    assert hits[0]["image_id"] == berlin["image_id"]


def test_closer_places_come_apart_and_moving_the_map_moves_none(served: Any) -> None:
    far, near = places(served, zoom=4), places(served, zoom=10)
    assert len(far["places"]) < len(near["places"])
    part = places(served, zoom=10, west=13.2, east=14, south=52, north=53)
    assert 8 == part["in_view"] == sum(place["count"] for place in part["places"])
    assert [place for place in near["places"] if 13.2 < place["longitude"] < 14] == part["places"]
    assert LOCATED == part["count"]


def test_places_pass_the_filters(served: Any) -> None:
    canon = places(served, zoom=3, camera="canon")
    assert 0 < canon["count"] < LOCATED
    assert canon["count"] == sum(place["count"] for place in canon["places"])
    nothing = places(served, camera="leica")
    assert (0, 0, None, []) == tuple(nothing[name] for name in ("count", "in_view", "bounds", "places"))


@pytest.mark.parametrize(
    ("parameters", "status"), [({"zoom": 40}, 422), ({"west": -200}, 422), ({"north": "nan"}, 422), ({"near": "here"}, 400)]
)  # fmt: skip
def test_a_wrong_view_is_refused(served: Any, parameters: dict[str, Any], status: int) -> None:
    assert served.get("/api/places", status, params=parameters).json()["error"]["message"]


def test_a_library_without_columns_says_that_it_is_too_large(tmp_path: Path) -> None:
    with Library.create(tmp_path / "library") as library, pytest.raises(LibraryTooLargeForMap, match="5,000,000"):
        map_places.places(library, Filters(), count_schemas.MapView.model_validate({}), None)


def test_places_of_several_libraries_are_one_where_they_would_lie_over_each_other() -> None:
    def place(latitude: float, longitude: float, count: int, image_id: int) -> count_schemas.Place:
        return count_schemas.Place(latitude=latitude, longitude=longitude, km=2, count=count, image_id=image_id)

    several = [place(52.5, 13.4, 3, 1), place(-33.9, 151.2, 9, 2), place(52.52, 13.41, 5, 3)]
    far = map_places.joined(several, 4)
    assert [(9, 2), (8, 3)] == [(each.count, each.image_id) for each in far]
    # The circle has all images of both.
    distance = kilometres(52.5, 13.4, 52.52, 13.41)
    assert far[1].km >= 2 + distance - 1e-6
    assert [9, 5, 3] == [each.count for each in map_places.joined(several, 14)]
    assert [] == map_places.joined([], 4)
