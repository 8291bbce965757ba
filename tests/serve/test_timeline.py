"""Months with their counts, and pages that lead from any of them in both directions."""

import calendar
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixfind.library import sql
from pixfind.search.filters import NO_FILTERS
from pixfind.testing import make_library, make_pictures

COUNT = 60


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of 60 pictures over five years, two of them from years that no calendar has, four at one instant."""
    place = tmp_path_factory.mktemp("dated")
    make_pictures(place / "pictures", COUNT)
    make_library(place / "library", place / "pictures").close()
    with sqlite3.connect(place / "library/metadata.db") as database:
        for number in range(COUNT):
            taken = calendar.timegm((2019 + number % 5, 1 + number % 7, 1 + number % 28, 12, 0, 0))
            database.execute("UPDATE images SET taken_at = ? WHERE id = ?", (taken, number + 1))
        database.execute("UPDATE images SET taken_at = ? WHERE id IN (11, 12, 13, 14)", (1_600_000_000,))
        database.execute("UPDATE images SET taken_at = ? WHERE id = 21", (-(10**14),))
        database.execute("UPDATE images SET taken_at = ? WHERE id = 22", (10**14,))
        database.execute("UPDATE images SET camera = 'Canon' WHERE id % 3 = 0")
    return place / "library"


@pytest.fixture(scope="module")
def served(dated: Path, connect: Callable[..., Any]) -> Any:
    with connect(dated, dated.parent / "serve.log") as client:
        yield client


def ids(page: dict[str, Any]) -> list[int]:
    return [hit["image_id"] for hit in page["hits"]]


def everything(client: Any, filters: str = "in=*") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/search?{filters}&k=100").json()["hits"]
    return found


@pytest.mark.parametrize(
    "filters", ["", "in=*", "camera=canon", "after=2021", "after=2020-02&before=2022-03&shape=landscape"]
)
def test_each_month_has_as_many_images_as_the_list(served: Any, filters: str) -> None:
    found = served.get(f"/api/timeline?{filters}").json()
    hits = everything(served, filters or "in=*")
    expected = Counter(hit["date"][:7] for hit in hits if hit["date"])
    # The two that no calendar has count for the first and the last month that one can have.
    counted = {each["month"]: each["count"] for each in found["months"] if each["month"][:4] not in ("0001", "9998")}

    assert {month: count for month, count in expected.items() if month[:4] in "2019 2020 2021 2022 2023"} == counted
    assert len(hits) == found["count"]
    assert sorted((each["month"] for each in found["months"]), reverse=True) == [
        each["month"] for each in found["months"]
    ]


@pytest.mark.parametrize("filters", ["in=*", "camera=canon"])
def test_a_month_begins_where_its_cursor_says(served: Any, filters: str) -> None:
    whole = [hit["image_id"] for hit in everything(served, filters)]
    before = 0
    for month in served.get(f"/api/timeline?{filters}").json()["months"]:
        page = served.get(
            "/api/search",
            params={**dict(part.split("=") for part in filters.split("&")), "k": 5, "cursor": month["cursor"]},
        ).json()
        assert whole[before : before + 5] == ids(page)
        assert before == page["offset"]
        before += month["count"]


@pytest.mark.parametrize("k", [1, 3, 7])
def test_pages_lead_back_to_the_newest(served: Any, k: int) -> None:
    whole = [hit["image_id"] for hit in everything(served)]
    month = served.get("/api/timeline").json()["months"][-3]
    page = served.get("/api/search", params={"in": "*", "k": k, "cursor": month["cursor"]}).json()
    start = page["offset"]
    found = ids(page)
    while page["previous"]:
        page = served.get("/api/search", params={"in": "*", "k": k, "cursor": page["previous"]}).json()
        found = ids(page) + found
    assert whole[: start + min(k, len(whole) - start)] == found
    # Forth again, from a page that was read backwards.
    following = served.get("/api/search", params={"in": "*", "k": 100, "cursor": page["next"]}).json()
    assert whole == ids(page) + ids(following)


def test_the_first_page_has_none_before_it(served: Any) -> None:
    assert served.get("/api/search?in=*&k=5").json()["previous"] is None
    assert served.get("/api/search?q=sky&k=5").json()["previous"] is None


def test_a_ranked_list_takes_no_cursor_of_a_month(served: Any) -> None:
    month = served.get("/api/timeline").json()["months"][0]
    error = served.get("/api/search", 400, params={"q": "sky", "cursor": month["cursor"]}).json()["error"]
    assert "another order" in error["message"]


def test_copies_of_a_file_are_browsed_once_also_where_the_first_is_filtered_out(
    tmp_path: Path, serve: Callable[..., Any]
) -> None:
    make_pictures(tmp_path / "pictures/a", 2)
    (tmp_path / "pictures/b").mkdir()
    for path in (tmp_path / "pictures/a").iterdir():
        (tmp_path / "pictures/b" / path.name).write_bytes(path.read_bytes())
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    client = serve(tmp_path / "library")

    assert 2 == len(everything(client))
    assert ["b", "b"] == [Path(hit["path"]).parent.name for hit in everything(client, "in=b")]


def test_the_order_of_browsing_has_an_index(dated: Path) -> None:
    """At a million images a page takes less than a millisecond with it, and a second without."""
    with sqlite3.connect(dated / "metadata.db") as database:
        database.create_function("km", 4, lambda *_: 0)
        database.create_function("from_hex", 1, bytes.fromhex)
        database.create_function("album_pictures", 1, lambda _: "[]")
        for name in ("browsed", "browsed_back"):
            statement = sql.queries("search.sql")[name]
            plan = database.execute(
                f"EXPLAIN QUERY PLAN {statement}", {**NO_FILTERS.parameters(), "key": 1, "id": 1, "limit": 1}
            )
            assert any("images_newest" in row[3] for row in plan), name


@pytest.mark.parametrize("sort", ["date", "added"])
@pytest.mark.parametrize("filters", ["in=*", "camera=canon"])
def test_a_list_begins_with_the_image_whose_cursor_it_gets(served: Any, sort: str, filters: str) -> None:
    hits = ids(served.get(f"/api/search?{filters}&sort={sort}&k=100").json())
    # 11 to 14 are of one instant; of 21 and 22 the year is in no calendar.
    for image_id in {hits[0], hits[len(hits) // 2], hits[-1]} | ({11, 13, 21, 22} & set(hits)):
        cursor = served.get(f"/api/images/{image_id}").json()["cursors"][sort]
        page = served.get(f"/api/search?{filters}&sort={sort}&k=100&cursor={cursor}").json()
        assert hits[hits.index(image_id) :] == ids(page)
        if page["previous"]:
            before = served.get(f"/api/search?{filters}&sort={sort}&k=100&cursor={page['previous']}").json()
            assert hits[: hits.index(image_id)] == ids(before)
