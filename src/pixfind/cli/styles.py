"""
Styles in messages: `[bold]`, `[dim]` and four colours, in the notation of Rich.

Owns which stream may be styled. For single lines only: tables and progress bars are drawn by Rich, whose import takes longer than
everything else that `pixfind status` does.
"""

import os
import re
import sys
from collections.abc import Mapping
from typing import TextIO

from pixfind.cli.streams import messages_may_be_unread

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_COLOURS = ("red", "green", "yellow", "cyan")
_PLAIN = frozenset({"dumb", "unknown"})
"""terminals that know no escape sequences"""
_NAME = "|".join(_CODES)
_TAG = re.compile(rf"\[(/?)((?:{_NAME})(?: (?:{_NAME}))*)\]")

#: Stands for a bracket of text from outside: half of a pair of UTF-16, which no file name and no message holds.
_BRACKET = "\udfff"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""what a terminal obeys; a newline and a tab are shown"""


_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""what a terminal obeys, what ends a line, and what turns the direction of the text around it"""


def escape(text: str) -> str:
    """Return text from outside so that nothing in it is taken for a style, and no terminal obeys it."""
    return printable(text).replace("[", _BRACKET)


def printable(text: str) -> str:
    """Return text from outside so that no terminal obeys it."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """Return text from outside in one line, which no terminal obeys and nothing in it turns round."""
    return _STEERING.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if found[0] < "\u0100" else f"\\u{ord(found[0]):04x}", text
    )


def render(text: str, *, styled: bool, coloured: bool = True) -> str:
    """Return a message with escape sequences for its styles (without those of colours unless `coloured`), or with none."""
    shown: list[str] = []

    def code(tag: re.Match[str]) -> str:
        if tag[1]:
            del shown[-1:]
        else:
            shown.append(tag[2])
        return _sequence(shown, coloured=coloured) if styled else ""

    return _TAG.sub(code, text).replace(_BRACKET, "[")


def _sequence(shown: list[str], *, coloured: bool) -> str:
    names = [name for tag in shown for name in tag.split() if coloured or name not in _COLOURS]
    return f"\x1b[{';'.join(['0', *(_CODES[name] for name in names)])}m"


def is_terminal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a stream is a terminal, or is to be treated as one, by the rules of Rich."""
    if environment.get("FORCE_COLOR"):
        return True
    told = environment.get("TTY_COMPATIBLE", "")
    return told == "1" if told in {"0", "1"} else stream.isatty()


def redraws(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a stream is a terminal on which a line can be drawn again: on one that is not, Rich ends each bar with an empty line."""
    return is_terminal(stream, environment) and environment.get("TERM") not in _PLAIN


def write(
    stream: TextIO, text: str, environment: Mapping[str, str] = os.environ, *, platform: str = sys.platform
) -> None:
    """Write a message and a newline, styled where the stream is a terminal that shows styles."""
    # The console of Windows shows escape sequences as text until a program asks for more; Windows Terminal does not.
    knows = "WT_SESSION" in environment if platform == "win32" else environment.get("TERM") not in _PLAIN
    styled = knows and is_terminal(stream, environment)
    stream.write(render(text, styled=styled, coloured=not environment.get("NO_COLOR")) + "\n")
    stream.flush()


def write_message(text: str) -> None:
    """Write a message to standard error."""
    with messages_may_be_unread():
        write(sys.stderr, text)
