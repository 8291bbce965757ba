"""
Files with the same bytes in several libraries.

Owns how their catalogues are read side by side: in the order of hashes, so that memory does not grow with the libraries.
"""

import contextlib
import heapq
import itertools
import operator
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

from pixfind.library.library import Library
from pixfind.search.duplicates import Duplicates, Group, MatchKind, member
from pixfind.search.indexed_files import FileCheck, IndexedFile, distinct


def exact(paths: Sequence[Path]) -> Duplicates:
    """Group the embedded files with the same bytes in the libraries in these folders, one that several of them have once; raises what opening one raises."""
    with contextlib.ExitStack() as opened:
        libraries = [opened.enter_context(Library.open(path)) for path in paths]
        checks = [FileCheck(library) for library in libraries]
        everything = heapq.merge(*map(_by_content, libraries, checks), key=operator.itemgetter(0))
        groups = []
        for _, same in itertools.groupby(everything, key=operator.itemgetter(0)):
            files = [(check, file) for _, check, file in same]
            if len(files) > 1 and len(different := distinct(_with_identities(files))) > 1:
                members = sorted(map(member, different), key=lambda each: -each.size)
                groups.append(Group(MatchKind.EXACT, tuple(members)))
        return Duplicates(tuple(groups), 0, len(set().union(*(check.outdated for check in checks))))


def _by_content(library: Library, check: FileCheck) -> Iterator[tuple[bytes, FileCheck, IndexedFile]]:
    for content, *file in library.catalogue.rows("by_content", "search.sql"):
        yield content, check, IndexedFile(*file)


def _with_identities(files: Sequence[tuple[FileCheck, IndexedFile]]) -> Iterator[tuple[Hashable | None, IndexedFile]]:
    return ((check.identity(file), file) for check, file in files)
