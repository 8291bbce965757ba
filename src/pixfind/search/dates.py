"""
Dates, also in words: `2021-05`, `yesterday`, `two weeks ago`, `may 2021`, `last summer`.

Owns what they mean, as spans on the calendar of this machine, and finds them in a query. English only. Pure: it opens no file.

`last` names the latest that is over: in November the last summer is that of the same year. A season has three whole months and is named by the year in which it
begins, so winter 2021 ends in February 2022. Without a word for it a season is that of the northern hemisphere; `southern summer` begins in December.
"""

import calendar
import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = {
    **dict.fromkeys(("a", "an", "one"), 1),
    **{
        word: place
        for place, word in enumerate(
            ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 2
        )
    },
}
_MONTHS: Final = {
    name.lower()[:length]: number
    for number, name in enumerate(
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        1,
    )
    for length in {3, 4 if name == "September" else 3, len(name)}
}
_WEEKDAYS: Final = {
    name: number
    for number, name in enumerate(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
}
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""first month, in the north"""

_FIRST_SHORT_DECADE: Final = 30
"""the 30s are those of the last century, the 20s those of this one"""

_NUMBER: Final = rf"(?P<count>\d{{1,4}}|{'|'.join(_NUMBERS)})"
_MONTH: Final = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})"
_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"(?P<year>\d{4})"

_ISO: Final = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?", re.ASCII | re.IGNORECASE
)

MAX_WORDS: Final = 5
"""of a date in a query"""

_INSIDE: Final = frozenset({"in", "from", "of", "on", "during", "taken"})
_SINCE: Final = frozenset({"since", "after"})
_BEFORE: Final = frozenset({"before"})
_UNTIL: Final = frozenset({"until", "till"})
_TO: Final = _UNTIL | {"to", "through"}
"""between the first and the last date of a range"""
_AND: Final = "and"
"""... where `between` leads to it"""
_BETWEEN: Final = "between"

_FIRST_YEAR: Final = 1900
"""A number below that, or of a year to come, is no year in a query."""

_ALONE: Final = re.compile(r"today|yesterday|\d{4}(?:-\d{1,2}){0,2}|\d{3}0s")
"""What is a date in a query without any word beside it: `may` and `fall` are words as well."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, by the clock on the wall."""

    start: dt.datetime
    end: dt.datetime
    """exclusive"""
    note: str = ""
    """what was assumed"""

    def __str__(self) -> str:
        last = self.end - dt.timedelta(seconds=1)
        if self.end.time() in (dt.time(), dt.time.max):
            last = _midnight(last)
        words = day(self.start) if self.start.date() == last.date() else f"{day(self.start)} to {day(last)}"
        return f"{words} ({self.note})" if self.note else words


@dataclass(frozen=True, slots=True)
class Found:
    """A date among other words."""

    first: int
    """index of its first character, that of a word such as "in" before it included"""
    end: int
    span: Span
    after: dt.datetime | None
    before: dt.datetime | None
    """exclusive"""


def parse(text: str, now: dt.datetime) -> Span | None:
    """Return what a date means at a moment; None for what is no date, or none that a calendar has."""
    words = " ".join(text.lower().replace(",", " ").split()).removeprefix("the ")
    try:
        if match := _ISO.fullmatch(words):
            return _iso(match)
        for pattern, make in _RULES:
            if match := pattern.fullmatch(words):
                return make(match, now)
    except (ValueError, OverflowError, OSError):
        # Beyond every calendar, or beyond the clock of the system.
        return None
    return None


def now() -> dt.datetime:
    """Return this moment by the clock of this machine."""
    return dt.datetime.now()  # noqa: DTZ005  by the clock on the wall


def is_in_words(text: str) -> bool:
    """Tell whether a date depends on what its words are taken for, so that it should be said."""
    return not _ISO.fullmatch(text.strip())


def day(moment: dt.datetime) -> str:
    """Return a moment as people write it: `17 May 2021`, with the time of day unless it is midnight."""
    clock = "" if moment.time() == dt.time() else f"{moment:%H:%M}, "
    return f"{clock}{moment.day} {moment:%B} {moment.year}"


def find(text: str, now: dt.datetime) -> Found | None:
    """Return a range of dates in a text, else the longest date, the first of these, with the words that lead to it; None where there is none."""
    words = [(match.start(), match.end()) for match in re.finditer(r"\S+", text)]
    dates = [
        (place, place + count, span)
        for count in range(min(MAX_WORDS, len(words)), 0, -1)
        for place in range(len(words) - count + 1)
        if (span := _certain(text[words[place][0] : words[place + count - 1][1]], now, alone=count == 1))
    ]
    for place, end, span in dates:
        if found := _range(text, words[:end], place, span, now):
            return found
    for place, end, span in dates:
        if _is_half_a_range([text[start:stop].lower() for start, stop in words[:place]]):
            return None
        return _led_to(text, words[:place], words[place][0], words[end - 1][1], span)
    return None


def _is_half_a_range(before: list[str]) -> bool:
    """Tell whether the words before a date begin a range that we do not understand: `from 5 to` before 8 may 2021."""
    return len(before) > 1 and before[-1] in _TO | {_AND} and before[-2].isdigit()


def _range(text: str, words: list[tuple[int, int]], place: int, last: Span, now: dt.datetime) -> Found | None:
    """Return the range that ends with the date in the words from a place on, `from may to july 2021`; None where none does."""
    texts = [text[start:stop].lower() for start, stop in words[: place + MAX_WORDS]]
    joining_word = texts[place - 1] if place else ""
    if joining_word not in _TO | {_AND}:
        return None
    for first in range(max(0, place - 1 - MAX_WORDS), place - 1):
        leading_word = texts[first - 1] if first else ""
        if (joining_word == _AND) != (leading_word == _BETWEEN):
            continue
        alone = first == place - 2 and leading_word not in _INSIDE | {_BETWEEN}
        start = _first(" ".join(texts[first : place - 1]), texts[-1], last, now, alone=alone)
        if start is None:
            continue
        span = Span(min(start.start, last.start), max(start.end, last.end), start.note or last.note)
        begin = first - (leading_word == _BETWEEN)
        found = _led_to(text, words[:begin], words[begin][0], words[-1][1], span)
        # `since 2019 until 2021` has two ends.
        return Found(found.first, found.end, span, span.start, span.end)
    return None


def _first(plain: str, last_word: str, last: Span, now: dt.datetime, *, alone: bool) -> Span | None:
    """Return the first date of a range, whose year may stand with the last word of the last date only; then it is the last such date before that."""
    if re.fullmatch(r"\d{4}", last_word) and not re.search(r"\d{4}", plain):
        found = _certain(f"{plain} {last_word}", now, alone=False)
        if found is not None and found.start > last.start:
            return _certain(f"{plain} {int(last_word) - 1}", now, alone=False)
        return found
    return _certain(plain, now, alone=alone)


def _certain(text: str, now: dt.datetime, *, alone: bool) -> Span | None:
    """Return the span of words that can hardly mean anything else, in whole days; None for others."""
    plain = text.lower().rstrip(",")
    if alone and not _ALONE.fullmatch(plain):
        return None
    span = parse(plain, now)
    if span is None or not _FIRST_YEAR <= span.start.year <= now.year:
        return None
    return span if span.start.time() == dt.time() == span.end.time() else None


def _led_to(text: str, before: list[tuple[int, int]], first: int, end: int, span: Span) -> Found:
    after_, before_ = span.start, span.end
    found = Found(first, end, span, after_, before_)
    while before:
        start, stop = before.pop()
        word = text[start:stop].lower()
        if word in _SINCE:
            return Found(start, end, span, after_, None)
        if word in _BEFORE | _UNTIL:
            return Found(start, end, span, None, after_ if word in _BEFORE else before_)
        if word not in _INSIDE:
            break
        found = Found(start, end, span, after_, before_)
    return found


# --- what a date means ----------------------------------------------------------------------------


def _iso(match: re.Match[str]) -> Span:
    year, month, day_, hour, minute, second = (int(part) if part else None for part in match.groups())
    start = _at(year or 0, month or 1, day_ or 1).replace(hour=hour or 0, minute=minute or 0, second=second or 0)
    if second is not None:
        return Span(start, start + dt.timedelta(seconds=1))
    if minute is not None:
        return Span(start, start + dt.timedelta(minutes=1))
    if day_ is not None:
        return Span(start, start + dt.timedelta(days=1))
    return Span(start, _months_later(start, 1 if month else 12))


def _at(year: int, month: int, day_: int) -> dt.datetime:
    return dt.datetime(year, month, day_)  # noqa: DTZ001  by the clock on the wall


def _midnight(moment: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(moment.date(), dt.time())


def _months_later(moment: dt.datetime, months: int) -> dt.datetime:
    """Return the same day of another month, or its last one; the end of the last year for the year behind it."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if year > dt.MAXYEAR:
        return dt.datetime.max  # noqa: DTZ901  by the clock on the wall
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def _count(match: re.Match[str]) -> int:
    word = match["count"]
    return _NUMBERS[word] if word in _NUMBERS else int(word)


def _back(moment: dt.datetime, count: int, unit: str) -> dt.datetime:
    """Return the moment so many units before: to the minute for hours and minutes, else the beginning of that day."""
    if unit in ("hour", "minute"):
        return _passed(moment.replace(second=0, microsecond=0), dt.timedelta(**{f"{unit}s": -count}))
    start = _midnight(moment)
    if unit in ("day", "week"):
        return start - dt.timedelta(**{f"{unit}s": count})
    return _months_later(start, -count * (12 if unit == "year" else 1))


def _passed(moment: dt.datetime, time: dt.timedelta) -> dt.datetime:
    """Return what the clock on the wall shows when a time has passed: in an hour another hour, but where it is put forward or back meanwhile."""
    return dt.datetime.fromtimestamp(moment.timestamp() + time.total_seconds())  # noqa: DTZ006  by the clock on the wall


def _ago(match: re.Match[str], now: dt.datetime) -> Span:
    start, unit = _back(now, _count(match), match["unit"]), match["unit"]
    lengths = {
        "minute": dt.timedelta(minutes=1),
        "hour": dt.timedelta(hours=1),
        "day": dt.timedelta(1),
        "week": dt.timedelta(7),
    }
    if unit in lengths:
        return Span(start, start + lengths[unit])
    return Span(start, _months_later(start, 12 if unit == "year" else 1))


def _rolling(match: re.Match[str], now: dt.datetime) -> Span:
    count = _count(match) if match["count"] else 1
    end = now.replace(microsecond=0) if match["unit"] in ("hour", "minute") else _midnight(now) + dt.timedelta(1)
    return Span(_back(now, count, match["unit"]), end)


def _day_before(match: re.Match[str], now: dt.datetime) -> Span:
    days = {"today": 0, "yesterday": 1, "day before yesterday": 2}[match[0]]
    start = _midnight(now) - dt.timedelta(days)
    return Span(start, start + dt.timedelta(1))


def _calendar(match: re.Match[str], now: dt.datetime) -> Span:
    """Return this or the last week (from Monday on), month or year."""
    today, last = _midnight(now), match["which"] == "last"
    if match["unit"] == "week":
        start = today - dt.timedelta(today.weekday() + 7 * last)
        return Span(start, start + dt.timedelta(7))
    months = 12 if match["unit"] == "year" else 1
    start = _months_later(today.replace(day=1, month=1 if months == 12 else today.month), -months * last)  # noqa: PLR2004  a year
    return Span(start, _months_later(start, months))


def _latest(spans: Iterator[Span], now: dt.datetime, *, over: bool) -> Span:
    """Return the first of spans, from the future into the past, that has begun, or that is over."""
    return next(span for span in spans if (span.end if over else span.start) <= now)


def _month(match: re.Match[str], now: dt.datetime) -> Span:
    number = _MONTHS[match["month"]]

    def of(year: int) -> Span:
        start = _at(year, number, 1)
        return Span(start, _months_later(start, 1))

    if match["year"]:
        return of(int(match["year"]))
    return _latest(map(of, range(now.year, 0, -1)), now, over=match["which"] == "last")


def _season(match: re.Match[str], now: dt.datetime) -> Span:
    hemisphere, season = match["hemisphere"], match["season"]
    first = _SEASONS[season]
    if hemisphere == "southern":
        first = (first + 5) % 12 + 1
    note = "" if hemisphere else f"northern hemisphere; or: southern {season}"

    def of(year: int) -> Span:
        start = _at(year, first, 1)
        return Span(start, _months_later(start, 3), note)

    if match["year"]:
        year, following = int(match["year"]), match["following"]
        if following and int(following) not in (year + 1, (year + 1) % 100):
            raise ValueError(following)
        return of(year)
    return _latest(map(of, range(now.year, 0, -1)), now, over=match["which"] == "last")


def _day_of_month(match: re.Match[str], now: dt.datetime) -> Span:
    month, number = _MONTHS[match["month"]], int(match["day"])

    def of(year: int) -> Span:
        start = _at(year, month, number)
        return Span(start, start + dt.timedelta(1))

    if match["year"]:
        return of(int(match["year"]))
    # 29 February is not in every year.
    years = (
        year for year in range(now.year, max(0, now.year - 9), -1) if number <= calendar.monthrange(year, month)[1]
    )
    return _latest(map(of, years), now, over=False)


def _weekday(match: re.Match[str], now: dt.datetime) -> Span:
    today = _midnight(now)
    start = today - dt.timedelta((today.weekday() - _WEEKDAYS[match["weekday"]] - 1) % 7 + 1)
    return Span(start, start + dt.timedelta(1))


def _decade(match: re.Match[str], _now: dt.datetime) -> Span:
    text = match["decade"]
    year = int(text)
    if len(text) == 2:  # noqa: PLR2004  "90s"
        year += 1900 if year >= _FIRST_SHORT_DECADE else 2000
    start = _at(year, 1, 1)
    return Span(start, _months_later(start, 120))


_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], dt.datetime], Span]], ...]] = tuple(
    (re.compile(pattern, re.ASCII), make)
    for pattern, make in (
        (r"today|yesterday|day before yesterday", _day_before),
        (rf"{_NUMBER} (?P<unit>minute|hour|day|week|month|year)s? ago", _ago),
        (rf"(?:last|past) {_NUMBER} (?P<unit>minute|hour|day|week|month|year)s?", _rolling),
        (r"past (?P<count>)(?P<unit>hour|day|week|month|year)", _rolling),
        (r"(?P<which>this|last) (?P<unit>week|month|year)", _calendar),
        (rf"(?:(?P<which>this|last) )?{_MONTH}(?P<year>)", _month),
        (rf"(?P<which>){_MONTH}(?: of)? {_YEAR}", _month),
        (
            rf"(?:(?P<which>this|last) )?(?:(?P<hemisphere>northern|southern) )?(?P<season>{'|'.join(_SEASONS)})"
            r"(?:(?: of)? (?P<year>\d{4})(?:[/-](?P<following>\d{4}|\d{2}))?)?",
            _season,
        ),
        (rf"{_DAY}(?: of)? {_MONTH}(?: {_YEAR})?", _day_of_month),
        (rf"{_MONTH} {_DAY}(?: {_YEAR})?", _day_of_month),
        (rf"(?:last )?(?P<weekday>{'|'.join(_WEEKDAYS)})", _weekday),
        (r"(?P<decade>\d{3}0|\d0)s", _decade),
    )
)
