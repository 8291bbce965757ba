"""
Files with the same bytes in several libraries.

Owns how their catalogues are read side by side: in the order of hashes, so that memory does not grow with the libraries.
"""

import contextlib
import heapq
import itertools
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path

from pixfind.library.library import Library
from pixfind.search.duplicates import Duplicates, Group, MatchKind, Member


def exact(paths: Sequence[Path]) -> Duplicates:
    """Group the embedded files with the same bytes in the libraries in these folders; raises what opening one raises."""
    with contextlib.ExitStack() as opened:
        libraries = [opened.enter_context(Library.open(path)) for path in paths]
        everything = heapq.merge(*map(_by_content, libraries), key=operator.itemgetter(0))
        groups = []
        for _, same in itertools.groupby(everything, key=operator.itemgetter(0)):
            members = [member for _, member in same]
            if len(members) > 1:
                members.sort(key=lambda member: -member.size)
                groups.append(Group(MatchKind.EXACT, tuple(members)))
        return Duplicates(tuple(groups), 0)


def _by_content(library: Library) -> Iterator[tuple[bytes, Member]]:
    for content, image_id, path, size, row in library.catalogue.rows("by_content", "search.sql"):
        yield content, Member(image_id, path, size, row)
