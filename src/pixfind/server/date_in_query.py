"""
Dates among the words of a query, for a client to offer as a filter.

Must not know HTTP. What a date means is decided by `search.dates`; nothing is filtered before somebody asks for it.
"""

import datetime as dt

from pixfind.search import dates
from pixfind.search.query import Query, TermKind
from pixfind.server import schemas


def find(query: Query, now: dt.datetime) -> schemas.DateInQuery | None:
    """Return the first date in the plain texts of a query; none of words in quotes, which are meant as they stand."""
    source = query.source
    ends = [term.at for term in query.terms[1:]] + [len(source)]
    for term, end in zip(query.terms, ends, strict=False):
        if term.kind is not TermKind.TEXT or term.weight < 0 or '"' in source[term.at : end]:
            continue
        found = dates.find(term.value, now)
        if found is not None:
            value = source.index(term.value, term.at)
            # A term that says nothing else goes with its sign.
            whole = found.first == 0 and found.end == len(term.value)
            first, last = (term.at, end) if whole else (value + found.first, value + found.end)
            return schemas.DateInQuery(
                words=term.value[found.first : found.end],
                meaning=str(found.span),
                query=f"{source[:first].rstrip()} {source[last:].lstrip()}".strip(),
                after=_iso(found.after),
                before=_iso(found.before),
            )
    return None


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.date().isoformat()
