"""
Words: which images have those of a query in their picture or their name, and what that is worth beside what they look like.

Owns what a term such as `says:"invoice 2023"` asks for, and the lift of an image that has words of a plain text. Must not know embeddings; `searcher`
joins both. Why a lift is added to a standardised score: docs/decisions/0029-one-ranking.md; how far it goes: `ranking.Reach`.
"""

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeVar

from pixfind import errors
from pixfind.library import fulltext, texts, tokens
from pixfind.library.fulltext import Column, FullText
from pixfind.library.library import Library
from pixfind.library.tokens import Word
from pixfind.search.query import Query, Term, TermKind
from pixfind.search.ranking import NO_LIFT, Lift
from pixfind.types import TextLine

T = TypeVar("T")

LIFTS: Final = {Column.TEXTS: 5.0, Column.NAMES: 2.0}
"""Standard deviations of the scores of a query that all its words are worth, in the picture and in the name (benchmarks/text.py)."""

_MIN_COVERAGE: Final = 0.2
"""Share of a text's words, by their rarity, below which they are no reason to lift an image."""

_MIN_TOGETHER: Final = 0.5
"""Share of a text's words, by their rarity, from which several that stand in one place are no coincidence."""

_MAX_PLACES: Final = 20_000
"""A word that stands in more places lifts nothing: it tells too little, and all these rows would have to be scored."""

_COLUMNS: Final = {TermKind.NAME: Column.NAMES, TermKind.SAYS: Column.TEXTS}


@dataclass(frozen=True, slots=True)
class WordMatches:
    """What the words of a query leave over."""

    wanted: Mapping[int, float] | None
    """image id -> relevance, 0 to the sum of the weights; None: no word is wanted, so any image may be a hit"""
    unwanted: frozenset[int] = frozenset()
    """ids of images that are no hits"""

    def allows(self, image_id: int) -> bool:
        """Tell whether an image may be a hit."""
        return image_id not in self.unwanted and (self.wanted is None or image_id in self.wanted)


EVERYTHING = WordMatches(None)


@dataclass(frozen=True, slots=True)
class Lifts:
    """What the words of a query's plain texts are worth."""

    of_images: Mapping[int, Lift]
    """by image id"""
    named: frozenset[int] = frozenset()
    """ids of images with such words in their name"""
    problem: str | None = None
    """why nothing is lifted although text was read"""


NO_LIFTS = Lifts({})


def matches(library: Library, terms: Sequence[Term]) -> WordMatches:
    """Find the images that have the words of all wanted terms and of no unwanted one; raises WordsNotIndexed."""
    if not terms:
        return EVERYTHING
    wanted: dict[int, float] | None = None
    unwanted: set[int] = set()
    with fulltext.searching(library) as index:
        for term in terms:
            column = _COLUMNS[term.kind]
            found = _images(library, column, index.having_all(column, tokens.wanted(term.value)))
            if term.weight < 0:
                unwanted.update(found)
                continue
            best = max(found.values(), default=1.0)
            share = {image_id: term.weight * relevance / best for image_id, relevance in found.items()}
            if wanted is not None:
                share = {image_id: value + wanted[image_id] for image_id, value in share.items() if image_id in wanted}
            wanted = share
    if wanted is not None:
        wanted = {image_id: value for image_id, value in wanted.items() if image_id not in unwanted}
    return WordMatches(wanted, frozenset(unwanted))


def lifts(library: Library, query: Query, unknown: Iterable[str] = ()) -> Lifts:
    """Return which images the words of the query's plain texts lift, of which the model does not know some: none in a library in which no text was read."""
    wanted = [term for term in query.terms if term.kind is TermKind.TEXT and term.weight > 0]
    if not wanted or not texts.any_read(library.catalogue):
        return NO_LIFTS
    found: dict[int, Lift] = {}
    named: set[int] = set()
    strange = {token for word in unknown for token in tokens.indexed(word)}
    try:
        with fulltext.searching(library) as index:
            for term in wanted:
                share = term.weight / sum(each.weight for each in wanted)
                for column, most in LIFTS.items():
                    covered = _images(library, column, _coverage(index, column, term.value, strange))
                    for image_id, part in covered.items():
                        found[image_id] = found.get(image_id, NO_LIFT).plus(part.times(most * share))
                    if column is Column.NAMES:
                        named.update(covered)
    except errors.WordsNotIndexed as error:
        # What the pictures look like is an answer too; the result says what is missing.
        return Lifts({}, problem=f"{error.fields['path']}: {error.fields['detail']}")
    return Lifts(found, frozenset(named))


def in_names(library: Library, unknown: Iterable[str]) -> tuple[str, ...]:
    """Return those of some words that stand in the name of an image; none where names cannot be searched."""
    with contextlib.suppress(errors.WordsNotIndexed), fulltext.searching(library) as index:
        return tuple(
            text
            for text in unknown
            if len(found := tokens.wanted(text)) == 1 and index.having(Column.NAMES, found[0], 1)
        )
    return ()


def lines(library: Library, query: Query, ids: Iterable[int]) -> Mapping[int, tuple[TextLine, ...]]:
    """Return image id -> the lines of its picture in which wanted words of the query stand."""
    kinds = {TermKind.TEXT, TermKind.SAYS}
    wanted = [
        word for term in query.terms if term.kind in kinds and term.weight > 0 for word in tokens.wanted(term.value)
    ]
    if not wanted:
        return {}
    return {image_id: _with_words(read, wanted) for image_id, read in texts.lines(library.catalogue, ids).items()}


def _with_words(read: Iterable[TextLine], words: Sequence[Word]) -> tuple[TextLine, ...]:
    return tuple(line for line in read if any(word.stands_in(tokens.indexed(line.text)) for word in words))


def _coverage(index: FullText, column: Column, text: str, strange: AbstractSet[str]) -> dict[int, Lift]:
    """
    Return where words of a text stand -> what that is worth, 0 to 1: the root of the share of its words, by their rarity, that stand there.

    `strange` are the tokens of words that the model does not know.
    """
    count = index.count(column)
    rarity: list[tuple[float, bool, list[int]]] = []
    for word in set(tokens.wanted(text)):
        if word.is_letter:
            continue
        places = index.having(column, word, _MAX_PLACES + 1)
        if len(places) <= _MAX_PLACES:
            idf = math.log1p((max(count - len(places), 0) + 0.5) / (len(places) + 0.5))
            # A word that stands nowhere may be one for looks, so it counts half against those that stand somewhere.
            rarity.append((idf if places else idf / 2, not strange.isdisjoint(word.tokens), places))
    total = sum(idf for idf, _, _ in rarity)
    shares: dict[int, float] = {}
    standing: dict[int, int] = {}
    unseen: set[int] = set()
    for idf, is_strange, places in rarity:
        for place in places:
            shares[place] = shares.get(place, 0.0) + idf / total
            standing[place] = standing.get(place, 0) + 1
        if is_strange:
            unseen.update(places)
    return {
        place: Lift(min(share, 1.0) ** 0.5, sure=place in unseen or (standing[place] > 1 and share >= _MIN_TOGETHER))
        for place, share in shares.items()
        if share >= _MIN_COVERAGE
    }


def _images(library: Library, column: Column, found: Mapping[int, T]) -> dict[int, T]:
    """Return image id -> value for what was found in a column: a text is that of all images with its row."""
    if column is Column.NAMES:
        return dict(found)
    rows = library.catalogue.rows("members", "search.sql", rows=json.dumps(list(found)))
    return {image_id: found[row] for row, image_id, *_ in rows}
