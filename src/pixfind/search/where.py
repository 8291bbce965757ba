"""
Conditions on the fields that lists keep: `license=cc0`, `width>1000`, `caption~dog`.

Owns the grammar, what a comparison means, and which images may meet a condition, by the indexes of `fields`. Whether one does is decided by
sql/search.sql, for each image that would be shown. An image that has no value of a field meets no condition on it.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pixfind.errors import InvalidFilter
from pixfind.library import fields, path_text
from pixfind.library.catalogue import Catalogue

_CONDITION: Final = re.compile(r"\s*(\S|\S.*?\S)\s*(<=|>=|!=|=|<|>|~)\s*(\S|\S.*\S)\s*", re.DOTALL)
_OPTION: Final = "--where"
_GRAMMAR: Final = "it takes NAME=VALUE, or !=, <, <=, >, >= and ~ (contains) in the place of =, such as license=cc0"

MAX_CONDITIONS: Final = 20

_LAST_TEXT: Final = "\U0010ffff" * 50
"""comes behind all texts"""
_LAST_NUMBER: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on one field."""

    name: str
    operator: str
    """=, !=, <, <=, >, >= or ~"""
    value: str

    def values(self) -> dict[str, Any]:
        """
        Return what sql/search.sql compares: ranges of numbers and of texts, (first, last, the one of them that is left out), and a pattern.

        A value that is a number is compared with the values that are numbers; equal to it is also what is written in the same way. Any other value is
        compared as text, the letters a to z in any case.
        """
        number = fields.number(self.value)
        equal = self.operator in ("=", "!=")
        contains = self.operator == "~"
        as_text = not contains and (equal or number is None)
        as_number = not contains and number is not None
        return {
            "name": self.name,
            "numbers": self._range(number, -_LAST_NUMBER, _LAST_NUMBER) if as_number else None,
            "texts": self._range(self.value, "", _LAST_TEXT) if as_text else None,
            "like": f"%{like(self.value)}%" if contains else None,
            "negated": int(self.operator == "!="),
        }

    def _range(self, value: Any, first: Any, last: Any) -> list[Any]:
        others = {
            "<": (first, value, value),
            "<=": (first, value, None),
            ">": (value, last, value),
            ">=": (value, last, None),
        }
        return list(others.get(self.operator, (value, value, None)))


def parse(texts: Iterable[str]) -> tuple[Condition, ...]:
    """Parse conditions, which must all hold; raises InvalidFilter."""
    found = []
    for text in texts:
        match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidFilter(option=_OPTION, value=text, detail=_GRAMMAR)
        name, operator, value = (path_text.readable(part) for part in match.groups())
        found.append(Condition(name, operator, value[: fields.MAX_VALUE]))
    if len(found) > MAX_CONDITIONS:
        raise InvalidFilter(option=_OPTION, value=len(found), detail=f"at most {MAX_CONDITIONS} conditions")
    return tuple(found)


def check(catalogue: Catalogue, conditions: Sequence[Condition]) -> None:
    """Raise InvalidFilter for a field that no list keeps: a search for it would find nothing, and not say why."""
    known = fields.names(catalogue) if conditions else ()
    for condition in conditions:
        if condition.name not in known:
            detail = (
                f"the lists keep {', '.join(known)}" if known else "no list keeps any: pixfind add LIST --keep NAMES"
            )
            raise InvalidFilter(option=_OPTION, value=condition.name, detail=f"there is no such field; {detail}")


def candidates(catalogue: Catalogue, conditions: Sequence[Condition]) -> str | None:
    """Return the ids of the images that may meet all conditions, as a JSON list; None without conditions."""
    ids: set[int] | None = None
    for condition in conditions:
        found = _with(catalogue, condition.values())
        ids = found if ids is None else ids & found
    return None if ids is None else json.dumps(sorted(ids))


def _with(catalogue: Catalogue, values: dict[str, Any]) -> set[int]:
    field = values["name"]
    if values["negated"]:
        return {row[0] for row in catalogue.all_rows("with_name", "fields.sql", field=field)}
    if values["like"] is not None:
        return {row[0] for row in catalogue.all_rows("with_part", "fields.sql", field=field, like=values["like"])}
    found: set[int] = set()
    for kind, statement in (("numbers", "with_number"), ("texts", "with_text")):
        if (span := values[kind]) is not None:
            first, last, without = span
            rows = catalogue.all_rows(statement, "fields.sql", field=field, first=first, last=last, without=without)
            found.update(row[0] for row in rows)
    return found


def like(words: str) -> str:
    r"""Return a text as a part of a pattern of LIKE, in which `\` escapes."""
    return re.sub(r"([\\%_])", r"\\\1", words)
