"""
What filters name and a library does not have: a search for it would find nothing, and not say why.
"""

from dataclasses import replace

from pixfind.errors import InvalidFilter
from pixfind.library import labels
from pixfind.library.catalogue import Catalogue
from pixfind.search import where
from pixfind.search.filters import Filters


def check(catalogue: Catalogue, filters: Filters) -> None:
    """Raise InvalidFilter for a field that no list keeps, or a label or an album of pictures that the library does not have."""
    where.check(catalogue, filters.where)
    known = labels.names(catalogue) if filters.labels else ()
    for name in filters.labels:
        if name.removeprefix("-") not in known:
            detail = f"the labels are {', '.join(known)}" if known else "there are none yet: pixfind label FILE"
            raise InvalidFilter(option="--label", value=name, detail=detail)
    if filters.album is not None and catalogue.value("album_pictures", "search.sql", album=filters.album) is None:
        detail = "pictures were put into no album of this name; pixfind albums lists them"
        raise InvalidFilter(option="--in-album", value=filters.album, detail=detail)


def without_unknown(catalogue: Catalogue, filters: Filters) -> tuple[Filters, tuple[str, ...]]:
    """Return filters without the labels with a minus that this library of several does not have, as all of its images pass them; and these."""
    known = labels.names(catalogue) if filters.labels else ()
    unknown = tuple(name for name in filters.labels if name.startswith("-") and name[1:] not in known)
    return replace(filters, labels=tuple(name for name in filters.labels if name not in unknown)), unknown


def finds_nothing(refused: InvalidFilter) -> bool:
    """Tell whether a library of several that has no such label or field has no hits, if others have it: not for a label with a minus, which all of its images pass."""
    return not str(refused.fields["value"]).startswith("-")
