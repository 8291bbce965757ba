"""
From text to the tokens of the full-text index, for what is indexed and for what is searched for.

Owns folding (case, diacritics, width), where words begin and end, and bigrams for scripts without spaces: FTS5's own tokenizers take a Chinese
sentence for one word, and its trigrams find nothing below three characters. Pure.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_MARKS = re.compile("[\u0300-\u036f]")
"""diacritics of Latin, Greek and Cyrillic; marks of other scripts are letters of their words"""

_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""between the words of a name such as BeachHoliday"""

_SPACELESS = "\u3040-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003ffff"
"""Hiragana, Katakana, Han and Hangul, which are written without spaces, or with endings behind the word; the dot between words of Katakana is none of them"""

_PIECE = re.compile(rf"(?P<run>[{_SPACELESS}]+)|(?P<digits>\d+)|(?P<word>[^\W\d_{_SPACELESS}]+)")

_MIN_PREFIX = 4
"""letters of a word that also finds longer ones, such as "invoice" the word "invoices"; shorter ones begin too many"""

_MAX_TOKEN = 64
"""characters of one token: what is longer is no word that anybody searches for"""


class Word(NamedTuple):
    """A word that is searched for."""

    tokens: tuple[str, ...]
    """that stand one after the other"""
    prefix: bool
    """whether the last may be the beginning of a longer one"""

    @property
    def expression(self) -> str:
        """The word in the query language of FTS5."""
        return f'"{" ".join(self.tokens)}"' + (" *" if self.prefix else "")

    @property
    def is_letter(self) -> bool:
        """Whether it is a single letter or digit of a script in which words have several, such as "a"."""
        return len(self.tokens) == 1 and len(self.tokens[0]) == 1 and not self.prefix

    def stands_in(self, tokens: Sequence[str]) -> bool:
        """Tell whether the word is among the tokens of a text, as FTS5 finds it."""
        *first, last = self.tokens
        for at in range(len(tokens) - len(first)):
            end = tokens[at + len(first)]
            if (end.startswith(last) if self.prefix else end == last) and list(tokens[at : at + len(first)]) == first:
                return True
        return False


def fold(text: str) -> str:
    """Return a text without differences of case, diacritics and width."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    # Again: the parts of such as the sign for degrees Celsius may be capitals.
    return unicodedata.normalize("NFC", _MARKS.sub("", decomposed).casefold())


def indexed(text: str) -> list[str]:
    """Return the tokens of a text, as the index holds them."""
    return [token for piece in _pieces(text) for token in _tokens(piece)]


def wanted(text: str) -> list[Word]:
    """Return the words of a text that is searched for; none for a text without a letter or digit."""
    return [_word(pieces) for word in text.split() if (pieces := list(_pieces(word)))]


def _pieces(text: str) -> Iterator[re.Match[str]]:
    return _PIECE.finditer(fold(_BOUNDARY.sub(" ", text)))


def _tokens(piece: re.Match[str]) -> list[str]:
    """Return the tokens of a piece: for a run of characters its pairs and its last one, so that every part of the run is found."""
    if piece["run"] is None:
        return [piece[0][:_MAX_TOKEN]]
    return [piece[0][at : at + 2] for at in range(len(piece[0]))]


def _word(pieces: Sequence[re.Match[str]]) -> Word:
    tokens = [token for piece in pieces for token in _tokens(piece)]
    last = pieces[-1]
    prefix = last["word"] is not None and len(last[0]) >= _MIN_PREFIX
    if last["run"] is not None:
        # In the index the last character has a token of its own only at the end of a run.
        if len(last[0]) > 1:
            tokens.pop()
        else:
            prefix = True
    return Word(tuple(tokens), prefix)
