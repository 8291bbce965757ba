"""Filters: what options mean, and what is refused."""

import datetime as dt
import json
import time
from typing import Any

import pytest

from pixfind import errors
from pixfind.search import filters
from pixfind.search.filters import Filters, GeoCircle, Shape


def test_no_option_is_no_filter() -> None:
    assert not filters.parse()
    assert filters.parse(min_size=1)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("1970", 0),
        ("1970-01-02", 86_400),
        ("2021-05", 1_619_827_200),
        ("2021-5-17", 1_621_209_600),
        ("2021-05-17T12:30", 1_621_254_600),
        ("2021-05-17 12:30:01", 1_621_254_601),
    ],
)
def test_a_date_is_the_beginning_of_what_it_names(value: str, instant: int) -> None:
    assert instant == filters.parse(after=value).after
    assert instant == filters.parse(before=value).before


@pytest.mark.parametrize("now", ["2026-10-25T01:30", "2026-03-29T01:30"], ids=["put back", "put forward"])
@pytest.mark.parametrize(("words", "minutes"), [("45 minutes ago", 45), ("an hour ago", 60), ("3 hours ago", 180)])
def test_hours_have_passed_also_where_the_clock_was_put_back_or_forward(
    monkeypatch: pytest.MonkeyPatch, now: str, words: str, minutes: int
) -> None:
    """Half an hour after it was, by Universal Time."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        instant = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC).timestamp()
        made = filters.parse(added_after=words, now=dt.datetime.fromtimestamp(instant))  # noqa: DTZ006  by the clock on the wall
    finally:
        monkeypatch.undo()
        time.tzset()

    assert instant - minutes * 60 == made.added_after


def test_a_date_in_words_is_counted_from_the_present() -> None:
    now = dt.datetime(2026, 11, 27, 6, 20)  # noqa: DTZ001  by the clock on the wall

    made = filters.parse(after="last summer", before="two weeks ago", now=now)

    assert filters.parse(after="2026-06-01", before="2026-11-13") == made


def test_registration_is_counted_in_real_time_and_taking_by_the_clock_of_the_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        made = filters.parse(after="2026-01-02", added_after="2026-01-02")
    finally:
        monkeypatch.undo()
        time.tzset()

    assert made.after is not None
    assert made.added_after == made.after + 5 * 3600


@pytest.mark.parametrize(
    "options",
    [
        {"after": "tomorrow"},
        {"added_after": "one of these days"},
        {"added_after": "yesterday", "added_before": "yesterday"},
        {"after": "2021-13"},
        {"after": "2021-02-30"},
        {"before": ""},
        {"before": "0000"},
        {"after": "2021", "before": "2021"},
        {"min_size": 0},
        {"max_size": -1},
        {"min_size": 100, "max_size": 99},
        {"shape": "round"},
        {"camera": " "},
        {"inside": ""},
        {"near": "berlin"},
        {"near": "52,13"},
        {"near": "91,13,1"},
        {"near": "52,181,1"},
        {"near": "52,13,0"},
        {"near": "nan,13,1"},
        {"near": "52,13,inf"},
        {"where": 7},
        {"label": None},
    ],
)
def test_what_no_filter_can_mean_is_refused_by_its_option(options: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidFilter) as caught:
        filters.parse(**options)  # type: ignore[arg-type]

    assert str(caught.value.fields["option"]).lstrip("-").split("-")[0] in {
        *(name.split("_")[0] for name in options),
        "in",
    }


def test_a_pattern_that_is_not_absolute_matches_anywhere() -> None:
    assert "*/2021" == filters.parse(inside="2021").inside
    assert "/photos/*" == filters.parse(inside="/photos/*").inside
    assert "*.jpg" == filters.parse(inside="*.jpg").inside
    assert "s3://bucket/2021" == filters.parse(inside="s3://bucket/2021").inside


def test_camera_names_match_as_they_are_written() -> None:
    assert r"%a\%b\_c\\%" == Filters(camera="a%b_c\\").parameters()["camera"]


@pytest.mark.parametrize("text", ["\ud800", "x\udcff"])
def test_what_is_no_text_of_unicode_can_be_asked_for_by_every_filter_that_takes_a_text(text: str) -> None:
    made = filters.parse(inside=text, camera=text, where=f"{text}={text}", label=text, album=text)
    assert json.dumps(made.parameters(), ensure_ascii=False).encode()


def test_all_options_together() -> None:
    made = filters.parse(shape="landscape", near="52.5,-13,10", camera=" canon ", min_size=10, max_size=20)

    assert (
        Filters(shape=Shape.LANDSCAPE, near=GeoCircle(52.5, -13, 10), camera="canon", min_size=10, max_size=20) == made
    )


@pytest.mark.parametrize(
    ("one", "two", "km"),
    [
        ((52.52, 13.405), (48.8566, 2.3522), 877.5),  # Berlin, Paris
        ((0, 179.5), (0, -179.5), 111.2),  # across the date line
        ((90, 0), (-90, 50), 20_015.1),
        ((10, 10), (10, 10), 0),
    ],
)
def test_distances_are_those_of_the_earth(one: tuple[float, float], two: tuple[float, float], km: float) -> None:
    assert km == pytest.approx(filters.kilometres(*one, *two), rel=0.005, abs=0.001)


@pytest.mark.parametrize("value", ["1 hour ago", "past 3 hours", "five minutes ago"])
@pytest.mark.parametrize("option", ["after", "before"])
def test_hours_before_now_are_for_when_a_picture_was_added(option: str, value: str) -> None:
    taken: dict[str, Any] = {option: value}
    added: dict[str, Any] = {f"added_{option}": value}

    with pytest.raises(errors.InvalidFilter, match=f"--added-{option}"):
        filters.parse(**taken)

    assert filters.parse(**added)
