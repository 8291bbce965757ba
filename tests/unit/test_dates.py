"""Dates in words: what they mean on a day in November, and where they are found in a query."""

import datetime as dt

import pytest

from pixfind.search import dates, query
from pixfind.server import date_in_query

NOW = dt.datetime(2026, 11, 27, 6, 20, 5)  # noqa: DTZ001  a Friday, by the clock on the wall


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("2021", "2021-01-01", "2022-01-01"),
        ("2021-05", "2021-05-01", "2021-06-01"),
        ("2021-05-17", "2021-05-17", "2021-05-18"),
        ("today", "2026-11-27", "2026-11-28"),
        ("Yesterday", "2026-11-26", "2026-11-27"),
        ("the day before yesterday", "2026-11-25", "2026-11-26"),
        ("3 days ago", "2026-11-24", "2026-11-25"),
        ("two weeks ago", "2026-11-13", "2026-11-20"),
        ("a month ago", "2026-10-27", "2026-11-27"),
        ("twelve years ago", "2014-11-27", "2015-11-27"),
        ("last two weeks", "2026-11-13", "2026-11-28"),
        ("past year", "2025-11-27", "2026-11-28"),
        ("this week", "2026-11-23", "2026-11-30"),
        ("last week", "2026-11-16", "2026-11-23"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("may 2021", "2021-05-01", "2021-06-01"),
        ("Sept of 2020", "2020-09-01", "2020-10-01"),
        ("may", "2026-05-01", "2026-06-01"),
        ("june 2021", "2021-06-01", "2021-07-01"),
        ("4 July 2021", "2021-07-04", "2021-07-05"),
        ("december", "2025-12-01", "2026-01-01"),
        ("this november", "2026-11-01", "2026-12-01"),
        ("last november", "2025-11-01", "2025-12-01"),
        ("17 may 2021", "2021-05-17", "2021-05-18"),
        ("May 17th, 2021", "2021-05-17", "2021-05-18"),
        ("29 february", "2024-02-29", "2024-03-01"),
        ("last friday", "2026-11-20", "2026-11-21"),
        ("thursday", "2026-11-26", "2026-11-27"),
        ("the 90s", "1990-01-01", "2000-01-01"),
        ("2010s", "2010-01-01", "2020-01-01"),
    ],
)
def test_words_name_a_span_of_whole_days(words: str, start: str, end: str) -> None:
    span = dates.parse(words, NOW)

    assert span is not None
    assert (start, end) == (span.start.date().isoformat(), span.end.date().isoformat())
    assert dt.time() == span.start.time() == span.end.time()


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("last summer", "2026-06-01", "2026-09-01"),
        ("this winter", "2025-12-01", "2026-03-01"),
        ("summer 2021", "2021-06-01", "2021-09-01"),
        ("fall of 2019", "2019-09-01", "2019-12-01"),
        ("winter 2020", "2020-12-01", "2021-03-01"),
        ("winter 2020/21", "2020-12-01", "2021-03-01"),
        ("last southern summer", "2025-12-01", "2026-03-01"),
        ("southern winter 2019", "2019-06-01", "2019-09-01"),
    ],
)
def test_a_season_has_three_months_and_the_year_in_which_it_begins(words: str, start: str, end: str) -> None:
    span = dates.parse(words, NOW)

    assert span is not None
    assert (start, end) == (span.start.date().isoformat(), span.end.date().isoformat())
    assert ("southern" in words) == (not span.note)


def test_the_last_summer_is_over() -> None:
    in_july = dates.parse("last summer", dt.datetime(2026, 7, 1))  # noqa: DTZ001  as NOW

    assert in_july is not None
    assert 2025 == in_july.start.year


def test_hours_are_counted_to_the_minute() -> None:
    span = dates.parse("two hours ago", NOW)

    assert span is not None
    assert (4, 20, 0) == (span.start.hour, span.start.minute, span.start.second)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "soon",
        "2021-13",
        "2021-02-30",
        "0000",
        "29 february 2021",
        "winter 2020/23",
        "9999 years ago",
        "last",
        "ago",
        "13th may 20",
        "95s",
    ],
)
def test_what_no_calendar_has_is_no_date(words: str) -> None:
    assert dates.parse(words, NOW) is None


def test_the_last_year_of_the_calendar_has_an_end() -> None:
    span = dates.parse("9999", NOW)

    assert span is not None
    assert "1 January 9999 to 31 December 9999" == str(span)


@pytest.mark.parametrize(
    ("line", "rest", "after", "before"),
    [
        ("beach last summer", "beach", "2026-06-01", "2026-09-01"),
        ("snow in may 2021", "snow", "2021-05-01", "2021-06-01"),
        ("photos taken in the 90s with dogs", "photos with dogs", "1990-01-01", "2000-01-01"),
        ("paris 2021", "paris", "2021-01-01", "2022-01-01"),
        ("dog since 2020", "dog", "2020-01-01", None),
        ("cat before 2020", "cat", None, "2020-01-01"),
        ("cat until 2020", "cat", None, "2021-01-01"),
        ("last summer", "", "2026-06-01", "2026-09-01"),
        ("beach +last summer -people", "beach -people", "2026-06-01", "2026-09-01"),
        ("from 2019 to 2021", "", "2019-01-01", "2022-01-01"),
        ("beach from 2019 to 2021 with dogs", "beach with dogs", "2019-01-01", "2022-01-01"),
        ("beach between 2019 and 2021", "beach", "2019-01-01", "2022-01-01"),
        ("beach since 2019 until 2021", "beach", "2019-01-01", "2022-01-01"),
        ("beach from 2021 to 2019", "beach", "2019-01-01", "2022-01-01"),
        ("snow from december 2019 to february 2020", "snow", "2019-12-01", "2020-03-01"),
        ("beach from may to july 2021", "beach", "2021-05-01", "2021-08-01"),
        ("snow from december to february 2021", "snow", "2020-12-01", "2021-03-01"),
        ("from 24 december to 2 january 2021", "", "2020-12-24", "2021-01-03"),
        ("cats and dogs 2019", "cats and dogs", "2019-01-01", "2020-01-01"),
        ("2019 and 2021", "and 2021", "2019-01-01", "2020-01-01"),
        ("back to 2019", "back to", "2019-01-01", "2020-01-01"),
        ("2:beach yesterday +sun", "2:beach +sun", "2026-11-26", "2026-11-27"),
    ],
)
def test_a_date_in_a_query_is_offered_with_what_is_left(
    line: str, rest: str, after: str | None, before: str | None
) -> None:
    found = date_in_query.find(query.parse(line), NOW)

    assert found is not None
    assert (rest, after, before) == (found.query, found.after, found.before)


@pytest.mark.parametrize(
    "line",
    [
        "spring flowers",
        "a fall in the snow",
        "may",
        "march of the penguins",
        "1000 people",
        "christmas 2031",
        "12 monkeys",
        '"last summer"',
        "beach -2021",
        "says:2021",
        "id:2021",
        "two hours ago",
        "beach 3 to 5 may 2021",
        "from 5 to 8 may 2021",
    ],
)
def test_what_may_mean_something_else_is_not_offered(line: str) -> None:
    assert date_in_query.find(query.parse(line), NOW) is None
