"""
Pictures on web servers: `https://host/path`, and what lies below an address that WebDAV lists (RFC 4918).

The version is the size and the second of the last change; where a server does not say when, a hash of the ETag. How a server is asked is in
`web_requests`, what waits for one that is away in `network`.
"""

import contextlib
import email.utils
import functools
import hashlib
import http.client
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import network
from pixfind.images.source.files import content_hash
from pixfind.images.source.protocol import File, Order, Original, Presence
from pixfind.images.source.walk import Findings
from pixfind.images.source.web_requests import Cut, answered, close_idle
from pixfind.types import Fingerprint

KIND: Final = "web folder"

SETTINGS: Final[frozenset[str]] = frozenset()

SCHEMES: Final = ("https", "http")

MAX_BYTES: Final = 1 << 30
"""A larger file is not fetched."""

_MAX_SECONDS: Final = 600.0
"""for one answer"""
_PIECE: Final = 1 << 20
_ATTEMPTS: Final = 3
"""for a file that cannot be read to its end while its server answers"""
_PAUSE: Final = 0.2
"""seconds between the first two of them"""
_STRANGERS_PATIENCE: Final = 10.0
"""seconds for which a server of which no root is registered may be away; a list may name thousands of them"""
_LISTING_PATIENCE: Final = 60.0

_DAV: Final = "{DAV:}"
_MULTI_STATUS: Final = 207
_PROPERTIES: Final = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>"
)

_PROBLEMS: Final = (errors.SourceAway, errors.Unreadable, Cut, PermissionError, FileNotFoundError, ValueError)
"""what asking a server raises"""

_T = TypeVar("_T")

_guard = threading.Lock()
_roots: set[str] = set()
_gates: dict[str, network.Gate] = {}


def use(roots: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Wait for the servers of these roots from now on, and ask again what was found to be away."""
    with _guard:
        _roots.update(root for root, _ in roots if has_root(root))
        gates = list(_gates.values())
    for gate in gates:
        gate.reset()
    close_idle()


def used() -> list[tuple[str, Mapping[str, Any]]]:
    """Return the roots that `use` has been told of."""
    with _guard:
        return [(root, {}) for root in _roots]


def has_root(root: str) -> bool:
    """Tell by the scheme whether a root is an address on the web."""
    return root.startswith(("https://", "http://"))


def has(location: str) -> bool:
    """Tell by the scheme whether a location is an address on the web."""
    return has_root(location)


def as_root(given: str) -> str:
    """Return the address without a slash at its end; raises AddressRefused for one with credentials, without a host, or with a query."""
    try:
        parts = urllib.parse.urlsplit(given)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise errors.AddressRefused(
            path=given.partition("?")[0], detail="it is no address of a folder", instead="Write https://HOST/FOLDER/."
        )
    if parts.username is not None or parts.password is not None:
        raise errors.AddressRefused(
            path=f"{parts.scheme}://{parts.hostname}",
            detail="the address contains credentials, which would be stored with it",
            instead="Put them into ~/.netrc, and leave them out of the address.",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")


def prefix(root: str) -> str:
    """Return the address with a slash behind it."""
    return root + "/"


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise StoreUnreachable for what cannot be listed now."""
    if (found := reachable(root, settings)).problem is not None:
        raise errors.StoreUnreachable(
            path=root,
            detail=found.problem,
            instead="A folder on the web is listed by WebDAV. Check the address, and the credentials in ~/.netrc.",
        )


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:
    """Tell whether the server lists the root: one request."""
    use([(root, settings)])
    try:
        _ask(prefix(root), functools.partial(_entries, prefix(root), depth=0))
    except _PROBLEMS as error:
        return Presence(_detail(error))
    return Presence(None)


def walk(order: Order) -> "_WebWalk":
    """Return a walk over the folders below the root."""
    return _WebWalk(order, prefix(order.root), "/")


class _WebWalk(Findings):
    def files(self) -> Iterator[File]:
        """Yield the pictures, folder by folder; a folder that cannot be listed is a problem."""
        waiting = [prefix(self.order.root)]
        others = {prefix(other) for other in self.order.others}
        while waiting:
            folder = waiting.pop()
            try:
                found = _ask(folder, functools.partial(_entries, folder), at_least=_LISTING_PATIENCE)
            except _PROBLEMS as error:
                place = folder.rstrip("/")
                self.problems.append(place)
                self.reasons[place] = _detail(error)
                continue
            inside: list[str] = []
            for address, file in found:
                if self._is_picture(address, file, inside) and file is not None:
                    yield file
            waiting += sorted((each for each in inside if each not in others), reverse=True)

    def _is_picture(self, address: str, file: File | None, inside: list[str]) -> bool:
        """Tell whether an entry is a picture; note what else it may be, folders in `inside`."""
        readable = urllib.parse.unquote(address.rstrip("/"))
        name = readable.rpartition("/")[2]
        if name.startswith(".") or self.exclusion(readable) is not None:
            return False
        if file is None:
            inside.append(address)
            return False
        suffix = suffixes.suffix(name)
        if suffix in suffixes.COUNTED and suffix not in self.suffixes:
            self.left_out[suffix] += 1
        return suffix in self.suffixes


def read(location: str) -> Original:
    """
    Fetch one file; its fingerprint has the version that came with the bytes.

    Raises FileMissing, Unreadable, EmptyFile, ObjectTooLarge, and SourceAway where the server of a root cannot be reached.
    """
    try:
        data, found = _fetched(location)
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except (PermissionError, ValueError, Cut) as error:
        raise errors.Unreadable(detail=str(error)) from error
    if not data:
        raise errors.EmptyFile
    return Original(data, Fingerprint(*found, content_hash(data)))


def _fetched(location: str) -> tuple[bytes, tuple[int, int]]:
    for attempt in range(1, _ATTEMPTS):
        with contextlib.suppress(Cut):
            return _ask(location, lambda: _fetch(location))
        time.sleep(_PAUSE * attempt)
    return _ask(location, lambda: _fetch(location))


def version(location: str) -> tuple[int, int] | None:
    """Return the size and time of a file; None where there is none, or its server does not say."""
    with contextlib.suppress(*_PROBLEMS):
        return _ask(location, lambda: _looked_at(location))
    return None


def exists(location: str) -> bool:
    """Tell whether a file is there; True as well where its server does not say: what nobody could look at has not gone."""
    try:
        _ask(location, lambda: _looked_at(location))
    except FileNotFoundError:
        return False
    except _PROBLEMS:
        return True
    return True


def prepare(location: str) -> None:
    """Do nothing: a file is fetched at once."""


def for_logs(location: str) -> str:
    """Return an address without its query, which may hold a signature: whoever has that may do what it says."""
    address, mark, query = location.partition("?")
    return f"{address}?..." if query and has(location) else address + mark + query


def file_of(location: str) -> str:
    """Return the address itself."""
    return location


# --- requests -------------------------------------------------------------------------------------

_Entry = tuple[str, File | None]
"""an address that was listed, and the file that it is; None: a folder"""


def _ask(location: str, ask: Callable[[], _T], *, at_least: float = 0.0) -> _T:
    """Return what `ask` returns, behind the gate of the server. Raises SourceAway below a root, Unreadable elsewhere, and what `ask` raises."""
    parts = urllib.parse.urlsplit(location)
    server = f"{parts.scheme}://{parts.netloc}"
    with _guard:
        root = next((root for root in _roots if location.startswith(prefix(root))), None)
        gate = _gates.setdefault(server, network.Gate(server))

    def attempt() -> _T:
        try:
            return ask()
        except (PermissionError, Cut) as problem:
            if root is not None and location != prefix(root):
                _check_server(root, problem)
            raise

    try:
        return gate.request(attempt, at_least=at_least, at_most=_STRANGERS_PATIENCE if root is None else None)
    except errors.SourceAway as away:
        if root is not None:
            raise
        raise errors.Unreadable(detail=away.fields["detail"]) from away


def _check_server(root: str, problem: Exception) -> None:
    """Raise Lasting or Passing where the root cannot be listed now either: then no picture of it is to blame."""
    try:
        _entries(prefix(root), depth=0)
    except PermissionError:
        raise network.Lasting(str(problem)) from problem
    except Cut:
        raise network.Passing(str(problem)) from problem


def _fetch(location: str) -> tuple[bytes, tuple[int, int]]:
    with answered("GET", location) as answer:
        size = answer.length
        if size is not None and size > MAX_BYTES:
            raise errors.ObjectTooLarge(size=size / 1e6, limit=MAX_BYTES / 1e6)
        data = b"".join(_pieces(answer))
        if size is not None and len(data) != size:
            raise Cut(f"the answer was cut: {len(data):,} of {size:,} bytes")
        return data, _version(len(data), answer.headers)


def _looked_at(location: str) -> tuple[int, int]:
    with answered("HEAD", location) as answer:
        answer.read()
        return _version(int(answer.headers.get("Content-Length") or 0), answer.headers)


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    began, total = time.monotonic(), 0
    while piece := answer.read(_PIECE):
        network.note_activity()
        total += len(piece)
        if total > MAX_BYTES:
            raise errors.ObjectTooLarge(size=total / 1e6, limit=MAX_BYTES / 1e6)
        if time.monotonic() - began > _MAX_SECONDS:
            raise Cut(f"not fetched within {_MAX_SECONDS:.0f} s")
        yield piece


def _version(size: int, headers: http.client.HTTPMessage) -> tuple[int, int]:
    return size, _time(headers.get("Last-Modified"), headers.get("ETag"))


def _time(modified: str | None, tag: str | None) -> int:
    """Return the nanoseconds of the last change, of which the digits below a second stay 0; or those of a hash of the ETag."""
    if modified is not None:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            return int(email.utils.parsedate_to_datetime(modified).timestamp()) * 10**9
    text = (tag or "").removeprefix("W/").strip('"')
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 10**9 if text else 0


# --- WebDAV ---------------------------------------------------------------------------------------


def _entries(folder: str, depth: int = 1) -> list[_Entry]:
    """Return what lies directly in a folder; raises ValueError for an answer that is no listing."""
    found: list[_Entry] = []
    try:
        with answered("PROPFIND", folder, _PROPERTIES, depth) as answer:
            if answer.status != _MULTI_STATUS:
                message = "the server does not list it (no WebDAV)"
                raise ValueError(message)
            # Expat limits what entities may grow to; nothing of the answer is used but texts.
            for _, element in ET.iterparse(answer, events=("end",)):  # noqa: S314
                network.note_activity()
                if element.tag == _DAV + "response":
                    if (entry := _entry(folder, element)) is not None:
                        found.append(entry)
                    element.clear()
    except ET.ParseError as error:
        message = "the listing was cut"
        raise Cut(message) from error
    return found


def _entry(folder: str, element: ET.Element) -> _Entry | None:
    """Return what one response of a listing describes; None for the folder itself, and for what does not lie directly in it."""
    base = urllib.parse.urlsplit(folder)
    href = urllib.parse.urljoin(folder, (element.findtext(_DAV + "href") or "").strip())
    parts = urllib.parse.urlsplit(href)
    above = urllib.parse.unquote(base.path)
    path = urllib.parse.unquote(parts.path)
    name = path.removeprefix(above).rstrip("/")
    if parts.hostname != base.hostname or not path.startswith(above) or not name or "/" in name or name in (".", ".."):
        return None
    address = folder + urllib.parse.quote(name, safe="!$&'()*+,;=:@~")
    if element.find(f".//{_DAV}resourcetype/{_DAV}collection") is not None:
        return address + "/", None
    length = (element.findtext(f".//{_DAV}getcontentlength") or "").strip()
    size = int(length) if length.isascii() and length.isdigit() else 0
    modified, tag = (element.findtext(f".//{_DAV}{each}") for each in ("getlastmodified", "getetag"))
    return address, File(address, size, _time(modified, tag))


def _detail(error: Exception) -> str:
    fields = error.fields if isinstance(error, errors.PixfindError) else {}
    return str(fields.get("detail", "")) or str(error)
