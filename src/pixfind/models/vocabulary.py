"""
The vocabulary of a small model: the words that it was trained on, from the list beside its files.

Owns the format of `vocabulary.txt` and the rule at its head. Large models have no such list: they build words from subword tokens.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

FILE = "vocabulary.txt"
_MIN_TYPO_LENGTH = 5
"""Letters that a word needs for typos to be tolerated: shorter words are too similar to each other."""


_FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "at",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "into",
        "is",
        "it",
        "its",
        "my",
        "near",
        "of",
        "on",
        "or",
        "our",
        "over",
        "some",
        "that",
        "the",
        "their",
        "there",
        "these",
        "this",
        "to",
        "under",
        "with",
        "without",
        "image",
        "images",
        "photo",
        "photograph",
        "photographs",
        "photos",
        "picture",
        "pictures",
    ]
)
"""Words that say nothing about what a picture shows: it is no loss that a model does not know them."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Known words, lower case without accents."""

    known: frozenset[str]
    others: frozenset[str]
    """words that look like a typo of a known one but mean something else"""

    def knows(self, text: str) -> bool:
        """Tell whether any word of the text is known."""
        return any(self._knows(word) for word in re.findall(r"[a-z]+", _plain(text)))

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words that are not known, as they are written, without those that say nothing about a picture ("on", "the")."""
        words = dict.fromkeys(re.findall(r"[^\W_]+", text))
        return tuple(word for word in words if (plain := _plain(word)) not in _FUNCTION_WORDS and not self.knows(plain))

    def _knows(self, word: str) -> bool:
        forms = {word, f"{word}s", word.removesuffix("s"), word.removesuffix("es")}
        return bool(self.known & forms) or self._is_typo(word)

    def _is_typo(self, word: str) -> bool:
        if len(word) < _MIN_TYPO_LENGTH or word in self.others:
            return False
        near = (other for other in self.known if len(other) >= _MIN_TYPO_LENGTH and other[0] == word[0])
        return any(_one_edit_apart(word, other) for other in near)


def load(directory: Path) -> Vocabulary | None:
    """Read a model's list; None when it has none."""
    path = directory / FILE
    if not path.is_file():
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return Vocabulary(
        known=frozenset(line for line in lines if line and line[0] not in "#!"),
        others=frozenset(line[1:] for line in lines if line.startswith("!")),
    )


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _one_edit_apart(left: str, right: str) -> bool:
    """Tell whether the Damerau-Levenshtein distance is at most one: a letter removed, added or changed, or two neighbours swapped."""
    if abs(len(left) - len(right)) > 1:
        return False
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    left, right = left[same:], right[same:]
    changed, lost, added = left[1:] == right[1:], left[1:] == right, left == right[1:]
    return changed or lost or added or left[1::-1] + left[2:] == right
