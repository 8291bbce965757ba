"""RAW and JPEG of one shot through the server: one hit on whatever page, in lists of both orders, and both files in the metadata."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.search import build
from pixfind.testing import images, make_library
from pixfind.testing.raw import make_dng


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Any:
    """A client of a server of five shots with RAW and JPEG, and two JPEGs."""
    place = tmp_path_factory.mktemp("shots")
    for seed in range(5):
        make_dng(place / "pictures" / f"IMG_{seed}.dng", images.picture(seed, (320, 240)))
    for seed in range(7):
        images.make_image(place / "pictures" / f"IMG_{seed}.jpg", seed=seed, size=(320, 240))
    with make_library(place / "library", place / "pictures") as library:
        build.build_index(library)
    with connect(place / "library", place / "serve.log") as made:
        yield made


def names(hit: dict[str, Any]) -> list[str]:
    return sorted(Path(path).name for path in (hit["path"], *hit["same_shot"]))


SHOTS = [*([f"IMG_{seed}.dng", f"IMG_{seed}.jpg"] for seed in range(5)), ["IMG_5.jpg"], ["IMG_6.jpg"]]


@pytest.mark.parametrize("query", ["in=*", "q=red&all=true"])
@pytest.mark.parametrize("k", [1, 2, 3, 50])
def test_each_shot_is_one_hit_on_one_page(client: Any, query: str, k: int) -> None:
    hits, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/search?{query}&k={k}{f'&cursor={cursor}' if cursor else ''}").json()
        hits += page["hits"]
        cursor = page["next"]

    assert SHOTS == sorted(map(names, hits))
    by_offset = [client.get(f"/api/search?{query}&k=1&offset={offset}").json()["hits"][0] for offset in range(7)]
    assert [hit["image_id"] for hit in hits] == [hit["image_id"] for hit in by_offset]


@pytest.mark.parametrize("query", ["in=*", "q=red&all=true"])
def test_each_file_is_a_hit_on_request(client: Any, query: str) -> None:
    hits = client.get(f"/api/search?{query}&each_file=true").json()["hits"]

    assert 12 == len(hits)
    assert all([] == hit["same_shot"] for hit in hits)


def test_a_filter_that_only_one_file_passes_shows_that_one(client: Any) -> None:
    hits = client.get("/api/search?in=*.dng").json()["hits"]

    assert [[f"IMG_{seed}.dng"] for seed in range(5)] == sorted(map(names, hits))


def test_pictures_like_one_are_not_the_other_files_of_its_shot(client: Any) -> None:
    (hit,) = [hit for hit in client.get("/api/search?in=*").json()["hits"] if "IMG_3" in hit["name"]]

    found = client.get(f"/api/images/{hit['image_id']}/similar?all=true").json()["hits"]
    assert [each for each in SHOTS if each != names(hit)] == sorted(map(names, found))


def test_the_metadata_name_the_other_files(client: Any) -> None:
    for hit in client.get("/api/search?in=*&each_file=true").json()["hits"]:
        known = client.get(f"/api/images/{hit['image_id']}").json()
        assert [each for each in SHOTS if hit["name"] in each] == [names(known)]
