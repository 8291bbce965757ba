"""
A part of a source: several libraries divide one between them, without asking each other.

Owns which part a location belongs to. It depends on the name alone, below the root and without its suffix, so that it is the same on every machine
and wherever the source is mounted, and so that RAW and JPEG of one shot, and all that is in one archive or video, stay together.
"""

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Self

from pixfind import errors
from pixfind.images import suffixes

MAX_PARTS: Final = 4_096
_FORM: Final = re.compile(r"(\d{1,4})/(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Part:
    """One of `parts` parts of a root."""

    number: int
    """from 1"""
    parts: int
    base: str
    """what the locations of the root begin with; empty where that may be anything"""
    inside: re.Pattern[str]
    """what lies between the name of a container, without its suffix, and the name of a picture in it"""

    @classmethod
    def of(cls, text: str, base: str, inside: re.Pattern[str]) -> Self:
        """Return the part that a text such as "3/16" names; raises InvalidPart."""
        return cls(*parse(text), base, inside)

    def has(self, location: str) -> bool:
        """Tell whether a location belongs to it."""
        name = location.removeprefix(self.base)
        # What lies in a container goes with it; where the root is that container, its name is not in `name`.
        container = self.inside.search(name) if "!" in name or "#" in name else None
        stem = _without_suffix(name) if container is None else name[: container.start()]
        # Asked of each file of a walk: hardly any name needs the codec of the system. macOS takes names apart that others compose.
        plain = stem.isascii() and os.sep == "/"
        key = stem.encode() if plain else os.fsencode(unicodedata.normalize("NFC", stem.replace(os.sep, "/")))
        digest = hashlib.blake2b(key, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.parts == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"


def _without_suffix(name: str) -> str:
    """Return a name without its suffix, which has two parts where it is that of a compressed tar."""
    return name[: len(name) - len(suffixes.suffix(os.path.basename(name)))]


def parse(text: str) -> tuple[int, int]:
    """Return which part of how many a text such as "3/16" names; raises InvalidPart."""
    found = _FORM.fullmatch(text.strip())
    number, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= parts <= MAX_PARTS:
        raise errors.InvalidPart(text=text[:40], limit=MAX_PARTS)
    return number, parts
