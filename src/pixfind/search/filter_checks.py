"""
Filters in the face of one library: what they name and it does not have, for which a search would find nothing and not say why; and paths in it that look like patterns.
"""

import re
from dataclasses import replace
from typing import Final

from pixfind.errors import InvalidFilter
from pixfind.library import labels, path_text
from pixfind.library.catalogue import Catalogue
from pixfind.search import where
from pixfind.search.filters import Filters

_PATTERN: Final = re.compile(r"[*?\[]")
_BRACKET: Final = re.compile(r"\[")
_ANYWHERE: Final = "*/"


def checked(catalogue: Catalogue, filters: Filters) -> Filters:
    """
    Return the filters as they hold in this library: `inside` is a path where it knows one that is written so, and else a pattern.

    Raises InvalidFilter for a field that no list keeps, or a label or an album of pictures that the library does not have.
    """
    where.check(catalogue, filters.where)
    known = labels.names(catalogue) if filters.labels else ()
    for name in filters.labels:
        if name.removeprefix("-") not in known:
            detail = f"the labels are {', '.join(known)}" if known else "there are none yet: pixfind label FILE"
            raise InvalidFilter(option="--label", value=name, detail=detail)
    if filters.album is not None and catalogue.value("album_pictures", "search.sql", album=filters.album) is None:
        detail = "pictures were put into no album of this name; pixfind albums lists them"
        raise InvalidFilter(option="--in-album", value=filters.album, detail=detail)
    return filters if filters.inside is None else replace(filters, inside=_as_written(catalogue, filters.inside))


def _as_written(catalogue: Catalogue, inside: str) -> str:
    """Return the pattern of the path itself, such as /photos/[[]2021] for /photos/[2021], where the library knows something there."""
    pattern = path_text.readable(inside)
    anywhere = pattern.startswith(_ANYWHERE)
    path = pattern.removeprefix(_ANYWHERE).rstrip("/")
    # To look for a name is a walk over all paths; one with a star or a question mark is among what it matches as a pattern.
    if (pattern.startswith("*") and not anywhere) or not (_BRACKET if anywhere else _PATTERN).search(path):
        return inside
    known = catalogue.value("known_name" if anywhere else "known_path", "search.sql", path=path)
    return (_ANYWHERE if anywhere else "") + _PATTERN.sub(r"[\g<0>]", path) if known else inside


def without_unknown(catalogue: Catalogue, filters: Filters) -> tuple[Filters, tuple[str, ...]]:
    """Return filters without the labels with a minus that this library of several does not have, as all of its images pass them; and these."""
    known = labels.names(catalogue) if filters.labels else ()
    unknown = tuple(name for name in filters.labels if name.startswith("-") and name[1:] not in known)
    return replace(filters, labels=tuple(name for name in filters.labels if name not in unknown)), unknown


def finds_nothing(refused: InvalidFilter) -> bool:
    """Tell whether a library of several that has no such label or field has no hits, if others have it: not for a label with a minus, which all of its images pass."""
    return not str(refused.fields["value"]).startswith("-")
