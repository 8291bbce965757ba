"""
What every kind of source offers, so that nobody else asks which kind a location or a root is of.

A *location* is one string that names one picture; a *root* is one string that a user registers and that has locations: a folder, an archive.
A module of this package is a `Source`: it takes the roots and locations whose form it knows. `kinds` asks them one after the other, and `files`,
which takes all that is left, last. To add a kind: write such a module, name it in `kinds`, and nothing above this package changes.

A *version* is (size, mtime_ns): what can be known of a picture without reading it, and what decides whether it has changed. The second
number is compared, and shown as a date, but nobody relies on it to be a time to the nanosecond: where a kind knows better (a checksum, an ETag),
it keeps the seconds and puts what it knows into the digits below, as members of a zip do.
Both are integers of 64 bits.

A *container* is a file that holds several pictures, and may itself be a root or lie below one: an archive, a video. Its locations are its path, a
mark of the kind and a name inside. The scan remembers its version and does not look into it again before that changes.
"""

import itertools
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from pixfind.images.source.part import Part
from pixfind.types import Fingerprint

BATCH: Final = 50_000
"""Files registered in one transaction: the index on sizes is written at random places, so many rows share what a few would write each."""
BATCH_SECONDS: Final = 1.0
"""after which a batch is registered, however small: a slow disk shows progress, and a crash costs a second of the walk"""
_STEP: Final = 64
"""files between two looks at the clock"""


ELSEWHERE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
"""how the address of another machine begins; its scheme"""


def with_lower_scheme(address: str) -> str:
    """Return the address of another machine with its scheme in lower case, which is the same; any other text as it is."""
    found = ELSEWHERE.match(address)
    return address if found is None else found[1].lower() + address[found.end(1) :]


UNKNOWN: Final = (-1, -1)
"""The version of a picture of which nothing can be known without a request to another machine: what is known of it stays."""


class File(NamedTuple):
    """A picture, or a container, as a walk finds it: its location and its version."""

    path: str
    size: int
    """bytes"""
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Original:
    """One picture as it was read."""

    data: bytes
    fingerprint: Fingerprint
    """with the size and mtime_ns of the version that was read, which are those that `Source.version` returns and a walk yields"""


class Presence(NamedTuple):
    """Whether the pictures of a root can be read now."""

    problem: str | None
    """why none of them can be: the root is offline, and all that is known of them stays; None: they can"""
    empty: bool = False
    """the root is there, and nothing lies in it: an empty mount point looks like that as well"""
    device: int | None = None
    """number of the device of a folder, which tells apart drives at one place; None for what has no such thing"""


@dataclass(frozen=True, slots=True)
class Order:
    """What a walk is asked to find."""

    root: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """what was given when the root was added, by the names that its source has for it; JSON"""
    exclude: tuple[tuple[str, str], ...] = ()
    """(root, glob): globs of names, or of paths below that root, which is this one or one in which it is mounted"""
    containers: frozenset[str] = frozenset()
    """suffixes of the containers below the root that are looked into"""
    others: tuple[str, ...] = ()
    """the other roots of the library, which are walked as their own"""
    skip: frozenset[str] = frozenset()
    """folders that are not entered"""
    unsettled: frozenset[str] = frozenset()
    """files that are left out of this walk, and whose images are not gone"""
    part: Part | None = None
    """which of the images belong to this library, where several divide the root; None: all. A walk finds the others too: `scan` leaves them out"""


class Walk(Protocol):
    """
    One walk over a root, in constant memory. All attributes are complete behind the last file. `walk.Findings` has them for all kinds.

    What cannot be read is a problem, never an exception: what is known at and below it stays as it is.
    """

    order: Order
    """what was asked for"""
    containers: list[File]
    """those to look into, which `scan` does with `Container.members`; a root that is a container is its own only one"""
    problems: list[str]
    """locations, folders or the root itself, that could not be read (to the end)"""
    reasons: dict[str, str]
    """why, for those problems of which that is known"""
    links_out: list[str]
    """links that lead out of the roots, and are left out"""
    mounts: list[str]
    """folders of other devices: they become roots of their own"""
    left_out: Any
    """Counter: files of known kinds that are not registered, by suffix"""
    unsettled: frozenset[str]
    without_file: Any
    """Counter: entries of a list that are not there ("missing"), are no address ("invalid"), or say something else of an image than one before ("repeated")"""
    named_without_file: dict[str, list[str]]
    """the first few of each"""
    fields: dict[str, dict[str, str | int | float]]
    """location -> values of the fields that a list keeps, of the files that were yielded since this was last emptied"""
    suffixes: frozenset[str]
    """of the files that are images here"""
    unread: frozenset[str]
    """those of RAW files, and of videos that are looked into, where the extra that reads them is not installed"""

    def files(self) -> Iterator[File]:
        """Yield the images, one after the other; in the order of their locations, as far as that costs nothing: the scan compares what comes together at once."""

    def exclusion(self, path: str) -> str | None:
        """Return the glob that leaves out this location, or a folder above it."""


class Roots(Protocol):
    """One kind of roots."""

    KIND: str
    """what a user calls such a root"""
    SETTINGS: frozenset[str]
    """names of what can be said when a root is added, and is remembered by it; never a secret"""

    def has_root(self, root: str) -> bool:
        """Tell whether a root is of this kind: by its form, and by what lies there if forms leave it open; offline roots too."""

    def as_root(self, given: str) -> str:
        """Return the one way to write a root that a user gave: an absolute path, an address without variants."""

    def prefix(self, root: str) -> str | None:
        """Return what the locations of all images of a root begin with; None where that may be anything, as for a list of addresses."""

    def check(self, root: str, settings: Mapping[str, Any]) -> None:
        """Raise the error that says why a root cannot be added: it cannot be read, or it is none."""

    def reachable(self, root: str, settings: Mapping[str, Any]) -> Presence:
        """Tell whether a root can be read now. Raises nothing, and takes seconds, not minutes, where something does not answer."""

    def walk(self, order: Order) -> Walk:
        """Return a walk that begins with its first file."""


class Source(Roots, Protocol):
    """One kind of place where pictures lie. Called from several threads and processes; holds no state but caches."""

    def has(self, location: str) -> bool:
        """Tell whether a location is of this kind, by its form. Called for each picture that is read."""

    def read(self, location: str) -> Original:
        """
        Return the bytes of a picture, under a limit of the kind.

        Raises ImageProblem, of which a transient one is tried again by later runs: FileMissing, Unreadable, EmptyFile, Damaged, and
        ModifiedDuringRead where the version behind the last byte differs from that before the first.
        """

    def version(self, location: str) -> tuple[int, int] | None:
        """Return (size, mtime_ns) without reading the picture; None where there is none. Raises nothing."""

    def exists(self, location: str) -> bool:
        """Tell whether anything lies at a location, a picture or not."""

    def prepare(self, location: str) -> None:
        """Do what the first read of a container needs, which may take minutes; a worker does not count it as the time of this picture."""

    def file_of(self, location: str) -> str:
        """Return the location of the whole file that holds a picture: itself, or the container."""


class Container(Source, Protocol):
    """A kind of files that hold several pictures."""

    MARK: str
    """between the path of a container and the name of a picture in it"""
    SUFFIXES: frozenset[str]
    """of such files, lower case, with the dot"""
    listed: int
    """names that were listed in this process: it grows while a large container is looked into for the first time"""

    def members(self, path: str, settings: Mapping[str, Any]) -> Iterator[File]:
        """Yield what is in a container, once for each name; `settings` are those of the root. Raises an OperationError with the reason, at once or behind those that could be listed."""


def batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Group files as they are registered: by BATCH, or what BATCH_SECONDS brought."""
    waiting = iter(files)
    batch: list[File] = []
    began = time.monotonic()
    while some := list(itertools.islice(waiting, _STEP)):
        batch += some
        if len(batch) >= BATCH or time.monotonic() - began >= BATCH_SECONDS:
            yield batch
            batch, began = [], time.monotonic()
    if batch:
        yield batch
