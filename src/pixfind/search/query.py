r"""
The query language: from a line of text to terms.

    beach +sunset -people +2:holiday.jpg +id:123

Owns the grammar and the errors that point at a character. Pure: it opens no file and knows no model.
Terms become one embedding in `search`.

A query is a sequence of terms. A term may begin with a sign (+ if there is none), then a weight and a colon, then its value:
words, "words in quotes", the name of an image file, `file:NAME`, `id:NUMBER` for an image of the library, `says:WORDS` for words that stand in the picture, or `name:WORDS` for words of its name. Words without
quotes extend to the next sign, so `black dog -red ball` has two terms. In quotes only \" and \\ are special.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pixfind.errors import InvalidQuery
from pixfind.images.suffixes import RAW, SUFFIXES
from pixfind.library import tokens

MAX_QUERY_CHARACTERS = 4_000
"""of a whole query"""

MAX_TEXT_CHARACTERS = 1_000
"""of one text: models read even fewer, and would ignore the rest silently"""

MAX_TERMS = 32
MAX_WEIGHT = 100.0

_SIGN = re.compile(r"[+-]")
# A digit after the colon makes it a time or a ratio: "3:10 to yuma", "16:9".
_WEIGHT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+):(?![0-9])")
_PREFIX = re.compile(r"(id|file|text|name|says):", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = re.compile(r"\S*")
_NEXT_TERM = re.compile(r'\s+(?=[+-]|"|(?:name|says):\S)', re.IGNORECASE)
_PATH_START = re.compile(r"(?:\.{1,2}|~[^\s/\\]*)?[/\\]|[A-Za-z]:[/\\]")
_WINDOW = 60


class TermKind(StrEnum):
    """What the value of a term is."""

    TEXT = "text"
    """words"""
    FILE = "file"
    """an image file anywhere"""
    ID = "id"
    """an image of the library"""
    NAME = "name"
    """words that must stand in the name of the file, of a folder around it or of the camera"""
    SAYS = "says"
    """words that must stand in the picture"""


#: What no embedding is made of: a hit has it or not.
WORD_KINDS = frozenset({TermKind.NAME, TermKind.SAYS})


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query."""

    kind: TermKind
    value: str
    """the words, the file name, or the digits of the id"""
    weight: float = 1.0
    """negative for what is not wanted; never 0"""
    at: int = 0
    """index of its first character in the query"""

    def __str__(self) -> str:
        """Return the term as text that parses to the same term."""
        sign, weight = ("-" if self.weight < 0 else "+"), abs(self.weight)
        value = self.value if self.kind is TermKind.ID else '"' + re.sub(r'(["\\])', r"\\\1", self.value) + '"'
        prefix = "" if self.kind is TermKind.TEXT else f"{self.kind}:"
        return f"{sign}{'' if weight == 1 else f'{weight!r}:'}{prefix}{value}"


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; at least one of its terms is wanted."""

    terms: tuple[Term, ...]
    source: str = ""
    """the text that was parsed"""

    def of_words(self) -> tuple[Term, ...]:
        """Return the terms that ask for words which stand somewhere."""
        return tuple(term for term in self.terms if term.kind in WORD_KINDS)

    def of_looks(self) -> "Query":
        """Return the query without these terms: what becomes an embedding."""
        return Query(tuple(term for term in self.terms if term.kind not in WORD_KINDS), self.source)

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


def parse(query: str | Sequence[str], *, require_positive: bool = True) -> Query:
    """
    Parse a query, or the arguments of a command line as one query (the shell has removed their quotes).

    `require_positive=False` allows a query of negative terms only, to go with an uploaded picture. Raises InvalidQuery, which points at the
    invalid character.
    """
    source = query if isinstance(query, str) else " ".join(query)
    if not source.strip():
        raise _wrong("it is empty", source, 0)
    if len(source) > MAX_QUERY_CHARACTERS:
        raise _wrong(
            f"it has {len(source):,} characters, over the limit of {MAX_QUERY_CHARACTERS:,}",
            source,
            MAX_QUERY_CHARACTERS,
        )
    terms = tuple(_terms(source))
    if len(terms) > MAX_TERMS:
        raise _wrong(f"it has {len(terms)} terms, over the limit of {MAX_TERMS}", source, terms[MAX_TERMS].at)
    if require_positive and all(term.weight < 0 for term in terms):
        raise _wrong("all terms are negative; add what to search for", source, terms[0].at)
    return Query(terms, source)


def text(words: str) -> Query:
    """Return a query of one text, as `search-text` does: signs, quotes and file names have no meaning. Raises InvalidQuery."""
    if not words.strip():
        raise _wrong("it is empty", words, 0)
    if len(words) > MAX_TEXT_CHARACTERS:
        raise _wrong(
            f"it has {len(words):,} characters, over the limit of {MAX_TEXT_CHARACTERS:,}", words, MAX_TEXT_CHARACTERS
        )
    return Query((Term(TermKind.TEXT, words.strip()),), words)


def image(path: str) -> Query:
    """Return a query for one image file, as `search-image` does; `id:123` is an image of the library. Raises InvalidQuery."""
    if re.fullmatch(r"id:\d+", path):
        return parse(path)
    if not path:
        raise _wrong("it is empty", path, 0)
    return Query((Term(TermKind.FILE, path),), path)


# --- the grammar ----------------------------------------------------------------------------------


def _terms(source: str) -> Iterator[Term]:
    at = _skip_space(source, 0)
    while at < len(source):
        term, at = _term(source, at)
        yield term
        at = _skip_space(source, at)


def _term(source: str, start: int) -> tuple[Term, int]:
    at, sign = start, 1.0
    if match := _SIGN.match(source, at):
        sign = -1.0 if match[0] == "-" else 1.0
        at = _skip_space(source, match.end())
    weight = 1.0
    if match := _WEIGHT.match(source, at):
        weight = _weight(match[1], source, at)
        at = match.end()
    prefix, begin = None, at
    if match := _PREFIX.match(source, at):
        prefix, at = TermKind(match[1].lower()), match.end()
    value, quoted, end = _id(source, at) if prefix is TermKind.ID else _value(source, at)
    if not value.strip():
        raise _wrong("expected words, a file or an id", source, at)
    kind = prefix or (TermKind.FILE if not quoted and _names_file(value) else TermKind.TEXT)
    _check_value(kind, value, source, begin if prefix is None else at)
    return Term(kind, value, sign * weight, start), end


def _weight(digits: str, source: str, at: int) -> float:
    weight = float(digits)
    if not 0 < weight <= MAX_WEIGHT:
        raise _wrong(f"a weight is above 0 and at most {MAX_WEIGHT:g}", source, at)
    return weight


def _id(source: str, at: int) -> tuple[str, bool, int]:
    match = _WORD.match(source, at)
    assert match is not None
    return match[0], False, match.end()


def _value(source: str, at: int) -> tuple[str, bool, int]:
    """Return the value of a term, whether it was quoted, and where it ends."""
    if source.startswith('"', at):
        match = _QUOTED.match(source, at)
        if not match:
            raise _wrong("this quote is not closed", source, at)
        end = match.end()
        if end < len(source) and not source[end].isspace():
            raise _wrong("expected a space after the quote", source, end)
        return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), True, end
    match = _NEXT_TERM.search(source, at)
    end = match.start() if match else len(source)
    return source[at:end].strip(), False, end


def _names_file(value: str) -> bool:
    _, dot, ending = value.rpartition(".")
    return bool(_PATH_START.match(value)) or (bool(dot) and f".{ending.lower()}" in SUFFIXES | RAW)


def _check_value(kind: TermKind, value: str, source: str, at: int) -> None:
    if kind is TermKind.ID and not re.fullmatch(r"[0-9]{1,18}", value):
        raise _wrong("an id is a whole number, as `--json` shows it", source, at)
    if kind is TermKind.FILE and "\0" in value:
        raise _wrong("file names cannot contain NUL", source, at)
    if kind in WORD_KINDS and not tokens.wanted(value):
        raise _wrong("expected a letter or a digit", source, at)
    if kind in {TermKind.TEXT, *WORD_KINDS} and len(value) > MAX_TEXT_CHARACTERS:
        detail = f"this text has {len(value):,} characters, over the limit of {MAX_TEXT_CHARACTERS:,}"
        raise _wrong(detail, source, at + MAX_TEXT_CHARACTERS)


def _skip_space(source: str, at: int) -> int:
    while at < len(source) and source[at].isspace():
        at += 1
    return at


# --- errors ---------------------------------------------------------------------------------------


def _wrong(detail: str, source: str, at: int) -> InvalidQuery:
    start = max(0, min(at, len(source)) - _WINDOW // 2)
    shown = source[start : start + _WINDOW]
    before = shown[: at - start]
    line = "".join(_printable(character) for character in shown)
    pointer = " " * sum(_columns(character) for character in before) + "^"
    return InvalidQuery(detail=detail, query=line, pointer=pointer, at=at)


def _printable(character: str) -> str:
    return character if character.isprintable() else " "


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
