"""
Lists: CSV, TSV, JSON lines, Parquet and text files whose rows are the addresses of pictures.

A list is a root, never a location: what it names is read by the kind of its address. An address is an absolute path, a path relative to
the folder of the list, a member of an archive, or the address of another machine ("https://..."). Owns which rows are entries, and what is known of
them without reading them: of a file here its size and time, of an address elsewhere nothing (`UNKNOWN`), because asking would take a request each.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pixfind import errors
from pixfind.images.source import files, list_files, locations
from pixfind.images.source.protocol import ELSEWHERE, UNKNOWN, File, Order, Presence, with_lower_scheme
from pixfind.images.source.walk import Findings
from pixfind.images.suffixes import suffix

KIND: Final = "list"

SETTINGS: Final = frozenset({"column", "keep"})

_MAX_ADDRESS: Final = 8_192
"""characters"""

_INSIDE: Final = "data:"
"""how an address begins that is a picture"""

_MAX_NAMED: Final = 20
_MAX_AWAY: Final = 1_000
"""Folders that are not there and are remembered one by one; with more, nothing that the list does not name now counts as gone."""


def has_root(root: str) -> bool:
    """Tell whether a root is a list: by its extension, unless a folder is named like that."""
    return (
        suffix(os.path.basename(root)) in list_files.SUFFIXES and not ELSEWHERE.match(root) and not os.path.isdir(root)
    )


def as_root(given: str) -> str:
    """Return the absolute path."""
    return os.path.abspath(os.path.expanduser(given))


def prefix(root: str) -> None:  # noqa: ARG001  `protocol.Roots`
    """Return None: what a list names may lie anywhere."""
    return


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise ListUnreadable for a list whose first row cannot be read, ColumnMissing and ColumnNotNamed for what it does not have."""
    next(list_files.rows(root, settings.get("column"), settings.get("keep", ())), None)


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:  # noqa: ARG001  `protocol.Roots`
    """Tell whether the file is there; a walk says what is wrong with it, or with what it names."""
    return files.presence(root)


def walk(order: Order) -> "_ListWalk":
    """Return a walk over the entries."""
    return _ListWalk(order, "")


class _ListWalk(Findings):
    def __init__(self, order: Order, inside: str) -> None:
        super().__init__(order, inside)
        self._folder = os.path.dirname(order.root)
        self._away: set[str] = set()
        self._there: dict[str, bool] = {}

    def files(self) -> Iterator[File]:
        """Yield the entries that are there, in the order of the list."""
        root, settings = self.order.root, self.order.settings
        try:
            for row in list_files.rows(root, settings.get("column"), settings.get("keep", ())):
                location = _location(row.address, self._folder)
                if location is None:
                    self._note("invalid", f"{root}, row {row.number:,}")
                elif self.exclusion(location) is None and (file := self._file(location)) is not None:
                    if row.fields and self.fields.setdefault(location, row.fields) != row.fields:
                        self._note("repeated", f"{location}, row {row.number:,}")
                    yield file
        except errors.OperationError as error:
            self.problems.append(root)
            self.reasons[root] = error.fields.get("detail") or str(error).partition("\n")[0]
        self.problems += [root] if len(self._away) > _MAX_AWAY else sorted(self._away)

    def _file(self, location: str) -> File | None:
        """Return what is known of an entry; None, and a note, where it is not there."""
        if ELSEWHERE.match(location):
            return File(location, *UNKNOWN)
        if (found := locations.version(location)) is not None:
            return File(location, *found)
        if (away := self._away_with(location)) is None:
            self._note("missing", location)
        elif len(self._away) <= _MAX_AWAY:
            self._away.add(away)
        return None

    def _away_with(self, location: str) -> str | None:
        """Return the folder or archive that an entry would lie in and that cannot be looked into now; None where it can: the entry has gone."""
        holder = locations.file_of(location)
        if holder != location and os.path.exists(holder):
            return None if self._looks_into(holder) else holder
        folder = os.path.dirname(holder)
        if self._looks_into(folder):
            return None
        # The highest that is not there: an unplugged drive is one problem, not one for each of its folders.
        while not os.path.exists(os.path.dirname(folder)):
            folder = os.path.dirname(folder)
        return folder

    def _looks_into(self, holder: str) -> bool:
        """Tell whether anything lies in a folder, where an unplugged drive leaves nothing, or an archive can be read."""
        if holder not in self._there:
            if len(self._there) > _MAX_AWAY:
                self._there.clear()
            self._there[holder] = locations.is_occupied(holder)
        return self._there[holder]

    def _note(self, kind: str, name: str) -> None:
        self.without_file[kind] += 1
        names = self.named_without_file.setdefault(kind, [])
        if len(names) < _MAX_NAMED:
            names.append(name)


def _location(address: str | None, folder: str) -> str | None:
    """Return the location that an address names; None where it is no address."""
    if address is None or "\0" in address or len(address) > _MAX_ADDRESS:
        return None
    try:
        # A lone surrogate, which JSON can write, is the name of nothing.
        os.fsencode(address)
    except UnicodeError:
        return None
    if address[: len(_INSIDE)].lower() == _INSIDE:
        # The picture itself, which lies nowhere.
        return None
    if ELSEWHERE.match(address := with_lower_scheme(address)):
        # A name and a password would be stored, and come into logs.
        return None if "@" in address.partition("://")[2].partition("/")[0] else address
    return os.path.normpath(os.path.join(folder, address))
