r"""
Paths as text that every program can read.

A file name is bytes; SQLite, JSON and terminals want UTF-8. Owns the one way in which the catalogue writes a path: as it is where it is UTF-8,
and with `\xNN` for each byte that is not. A backslash that would look like the beginning of such an escape is itself written `\x5c`, so
two paths never share one text and each text leads back to the very bytes. Must not know what the path names, or that SQLite exists.

Inside pixfind a path is the `str` that the os module gives (bytes that are not UTF-8 as lone surrogates).
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_ESCAPE = re.compile(rb"\\x(5c|[89a-f][0-9a-f])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

#: A system that uses another encoding for names writes the same bytes as other characters.
_IS_UTF8 = sys.getfilesystemencoding() == "utf-8"

#: Code points by which Python carries a byte that is not UTF-8.
_BYTES = range(0xDC80, 0xDD00)


def to_text(path: str | bytes | os.PathLike[str]) -> str:
    """Return a path as valid UTF-8 text; different paths give different texts."""
    if isinstance(path, str) and path.isascii() and "\\x" not in path:
        return path  # Nearly all are, and a scan asks for each file.
    raw = os.fsencode(path)
    if b"\\x" in raw:
        raw = _ESCAPE.sub(rb"\\x5cx\1", raw)
    return raw.decode("utf-8", "backslashreplace")


def from_text(text: str) -> str:
    """Return the path that `to_text` gave this text for, as the os module writes it."""
    if "\\x" not in text and (_IS_UTF8 or text.isascii()):
        return text
    return os.fsdecode(_ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.encode()))


def rows_from_text(rows: Iterable[tuple[Any, ...]], columns: Sequence[str], name: str) -> Iterable[tuple[Any, ...]]:
    """Return rows in which the values of the columns of this name, texts of paths, are written as the os module writes them."""
    places = [place for place, column in enumerate(columns) if column == name]
    return (_row_from_text(row, places) for row in rows) if places else rows


def _row_from_text(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    # Few names contain an escape: only their rows are made again.
    if _IS_UTF8 and not any("\\x" in row[place] for place in places):
        return row
    return tuple(from_text(value) if place in places else value for place, value in enumerate(row))


def range_below(prefix: str) -> tuple[str, str]:
    """Return (first, after the last) of the texts of paths that begin with `prefix`, whose last character is ASCII, such as a separator."""
    first = to_text(prefix)
    # The next character, such as "0" after "/", comes right behind all that begin with this one.
    return first, first[:-1] + chr(ord(first[-1]) + 1)


def ranges_at(path: str, inside: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the ranges of the texts of a path itself, and of those that begin with one of `inside`, as `range_below` does."""
    text = to_text(path)
    # No path holds a NUL, which would come right behind its own end.
    return (text, text + "\0"), *map(range_below, inside)


def readable(text: str) -> str:
    r"""
    Return any text as valid UTF-8, lone surrogates as `\xNN`.

    For messages that may name a path, and for patterns of paths: what a user copied out of the catalogue stays as it is.
    """
    return _SURROGATE.sub(_escaped, text)


def plain(text: str) -> str:
    """
    Return text with spaces for what no name needs: control characters, ends of lines, what reverses the text around it, and what is no character.

    What joins letters and emoji, or keeps them apart, stays.
    """
    return _UNSAFE.sub(" ", text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number - 0xDC00:02x}" if number in _BYTES else f"\\u{number:04x}"
