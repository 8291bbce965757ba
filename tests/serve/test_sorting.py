"""The order of hits over HTTP, "recently added", and a date in the query as an offer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.serve.test_paging import ids, pages

from pixfind.index.header import IndexKind
from pixfind.search.query import Query
from pixfind.search.results import Hit, SearchResult
from pixfind.server import ranked_page, schemas


@pytest.mark.parametrize("sort", ["date", "added"])
@pytest.mark.parametrize("query", ["in=*", "q=sky", "q=beach"])
def test_cursors_lead_through_a_sorted_list(client: Any, query: str, sort: str) -> None:
    whole = client.get(f"/api/search?{query}&sort={sort}&k=100").json()
    found = list(pages(client, f"/api/search?{query}&sort={sort}", k=4))

    assert ids([whole]) == ids(found)
    assert list(range(1, len(ids(found)) + 1)) == [hit["rank"] for page in found for hit in page["hits"]]


def found_in(hits: Sequence[Hit], k: int) -> SearchResult:
    """What a search sorted by date finds: the newest first."""
    newest = tuple(sorted(hits, key=lambda hit: (-(hit.date or 0), -hit.image_id)))[:k]
    return SearchResult(Query(()), newest, 0, None, (), (), len(hits), IndexKind.EXACT, None, 0.0)


def taken(*days: int) -> list[Hit]:
    return [Hit(1, f"/{day}.jpg", 0.5, image_id=day, embedding_index=day, date=day) for day in days]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("arrived", [0, 1, 20])
def test_pictures_that_arrive_between_two_pages_repeat_no_hit(arrived: int, *, gone: bool) -> None:
    page = schemas.Page.model_validate({"k": 4, "sort": "date"})
    old = taken(*range(1, 11))
    asked = ranked_page.RankedRequest(Query(()), page)
    first = ranked_page.response(ranked_page.filled(asked, lambda _, k, *__, **___: found_in(old, k)), {}, "")
    now = [hit for hit in old if not (gone and hit.image_id == 7)] + taken(*range(11, 11 + arrived))
    following = replace(asked, page=page.model_copy(update={"cursor": first.next}))
    second = ranked_page.filled(following, lambda _, k, *__, **___: found_in(now, k))

    assert [10, 9, 8, 7] == ids([first.model_dump()])
    assert [6, 5, 4, 3] == [hit.image_id for hit in second.shown]


def test_a_query_sorted_by_date_has_the_hits_of_the_one_sorted_by_score(client: Any) -> None:
    by_score, by_date = (client.get(f"/api/search?q=beach&k=100{sort}").json() for sort in ("", "&sort=date"))

    assert set(ids([by_score])) == set(ids([by_date]))
    dates = [hit["date"] for hit in by_date["hits"]]
    assert sorted(dates, reverse=True) == dates


def test_recently_added_leads_back_as_well(client: Any) -> None:
    path = "/api/search?in=*&sort=added&k=7"
    first = client.get(path).json()
    second = client.get(f"{path}&cursor={first['next']}").json()
    back = client.get(f"{path}&cursor={second['previous']}").json()

    assert sorted(ids([first]), reverse=True) == ids([first]) == ids([back])
    assert 0 == back["offset"]
    assert all(hit["added"] for hit in first["hits"])


def test_without_a_query_there_is_no_score_to_sort_by(client: Any) -> None:
    newest = client.get("/api/search?in=*&k=7").json()

    assert newest == client.get("/api/search?in=*&k=7&sort=score").json()
    client.get(f"/api/search?in=*&k=7&sort=score&cursor={newest['next']}")


def test_a_cursor_belongs_to_its_order(client: Any) -> None:
    following = client.get("/api/search?in=*&sort=added&k=7").json()["next"]

    client.get(f"/api/search?in=*&k=7&cursor={following}", status=400)
    client.get(f"/api/search?q=sky&sort=added&k=7&cursor={following}", status=400)


def test_an_unknown_order_is_refused(client: Any) -> None:
    client.get("/api/search?q=sky&sort=size", status=422)


def test_a_date_in_the_query_is_offered_and_filters_nothing(client: Any) -> None:
    dated = client.get("/api/search", params={"q": "beach may 2021"}).json()
    filtered = client.get("/api/search", params={"q": "beach may 2021", "after": "1990"}).json()

    assert {
        "words": "may 2021",
        "meaning": "1 May 2021 to 31 May 2021",
        "query": "beach",
        "after": "2021-05-01",
        "before": "2021-06-01",
    } == dated["date"]
    assert dated["hits"]
    assert filtered["date"] is None


def test_dates_in_words_are_filters(client: Any) -> None:
    everything = client.get("/api/search?in=*&k=100").json()["hits"]

    assert everything == client.get("/api/search", params={"added_after": "two hours ago", "k": 100}).json()["hits"]
    assert [] == client.get("/api/search", params={"added_before": "yesterday"}).json()["hits"]
    client.get("/api/search", params={"after": "one of these days"}, status=400)
