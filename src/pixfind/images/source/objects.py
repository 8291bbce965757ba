"""
Objects: pictures in object storage, `s3://bucket/key`, `gs://bucket/key`, `az://container/key`.

A root is a bucket, or a prefix that ends where a name ends. The version is the size, the second of the last change, and below it a hash of the ETag, so
that other bytes are another version. How a store is reached is in `stores`, what waits for one that is away in `network`.
"""

import contextlib
import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import network, stores
from pixfind.images.source.files import content_hash
from pixfind.images.source.protocol import File, Order, Original, Presence
from pixfind.images.source.walk import Findings
from pixfind.types import Fingerprint

KIND: Final = "bucket"

SETTINGS: Final = frozenset({"endpoint", "region", "anonymous", "instance_role"})

ARCHIVES: Final = suffixes.ARCHIVES - {".tar.gz", ".tgz"}
"""of archives that are looked into in a bucket: a compressed tar would be fetched whole, and again by each worker"""

MAX_BYTES: Final = 1 << 30
"""A larger object is not fetched."""

_PAGE: Final = 1_000
"""objects of one listing request"""

_LISTING_PATIENCE: Final = 60.0
"""seconds for which a listing that was interrupted waits for its store, in any process: what was listed would be listed again"""

_ATTEMPTS: Final = 3
"""for an object that cannot be read to its end while its store answers"""

_PROBLEMS: Final = (errors.OperationError, errors.SourceAway, PermissionError, FileNotFoundError, ValueError)
"""what asking a store raises"""

_T = TypeVar("_T")

_guard = threading.Lock()
_settings: dict[str, Mapping[str, Any]] = {}
"""root -> its settings"""
_gates: dict[str, network.Gate] = {}
"""store -> where its requests pass"""


def use(roots: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Read what lies in these roots with these settings from now on, and ask again what was found to be away."""
    with _guard:
        _settings.update((root, settings) for root, settings in roots if has_root(root))
        gates = list(_gates.values())
    for gate in gates:
        gate.reset()


def used() -> list[tuple[str, Mapping[str, Any]]]:
    """Return the roots that `use` has been told of, with their settings."""
    with _guard:
        return list(_settings.items())


def has_root(root: str) -> bool:
    """Tell by the scheme whether a root is a bucket or lies in one."""
    return root.partition("://")[0] in stores.SCHEMES and "://" in root


def has(location: str) -> bool:
    """Tell by the scheme whether a location is an object."""
    return has_root(location)


def as_root(given: str) -> str:
    """Return the address without a slash at its end; raises AddressRefused for one without a bucket, or with a part that objects cannot have."""
    root = given.rstrip("/")
    _, bucket, key = _parts(root)
    if not bucket or any(part in ("", ".", "..") for part in (key.split("/") if key else ())):
        raise errors.AddressRefused(
            path=given, detail="it names no bucket, or a prefix with an empty name", instead="Write s3://BUCKET/PREFIX."
        )
    return root


def prefix(root: str) -> str:
    """Return the address with a slash behind it."""
    return root + "/"


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise StoreUnreachable for what cannot be listed now, CloudSupportMissing, and AddressRefused where credentials are missing."""
    found = reachable(root, settings)
    check_store(root, settings, found)
    if found.empty:
        raise errors.StoreUnreachable(path=root, detail="nothing lies there", instead="Check the prefix.")


def check_store(root: str, settings: Mapping[str, Any], found: Presence) -> None:
    """Raise StoreUnreachable for a root that was found so, CloudSupportMissing and AddressRefused where its store cannot be asked at all."""
    stores.opened(*_parts(root)[:2], settings)
    if found.problem is not None:
        raise errors.StoreUnreachable(
            path=root,
            detail=found.problem,
            instead="Check the name, the credentials and the connection, and try again.",
        )


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:
    """Tell whether the store lists the root: one request."""
    use([(root, settings)])
    try:
        found = _ask(root, lambda store, key: next(iter(store.list(key or None, chunk_size=1)), ()))
    except ValueError:
        # A key that the client cannot read: the store is there, and the walk says which key it is.
        return Presence(None)
    except _PROBLEMS as error:
        return Presence(detail(error))
    return Presence(None, empty=not found)


def walk(order: Order) -> "_ObjectWalk":
    """Return a walk over the listing of the root."""
    return _ObjectWalk(order)


class _ObjectWalk(Findings):
    def __init__(self, order: Order) -> None:
        super().__init__(order, prefix(order.root), "/")
        self._archives = ARCHIVES & order.containers

    def files(self) -> Iterator[File]:
        """Yield the pictures in the order of the listing, page by page."""
        root = self.order.root
        scheme, bucket, _ = _parts(root)
        beginning = f"{scheme}://{bucket}/"
        others = tuple(prefix(other) for other in self.order.others if other.startswith(prefix(root)))
        try:
            for page in _ahead(_pages(root, self._note)):
                for found in page:
                    if (file := self._file(beginning + found["path"], found, others)) is not None:
                        yield file
        except _PROBLEMS as error:
            self._note(error)

    def _note(self, problem: Exception) -> None:
        """Keep what is known of what was not listed."""
        if self.order.root not in self.reasons:
            self.problems.append(self.order.root)
            self.reasons[self.order.root] = detail(problem)

    def _file(self, location: str, found: Mapping[str, Any], others: tuple[str, ...]) -> File | None:
        suffix = suffixes.suffix(location.rpartition("/")[2])
        if suffix not in self.suffixes and suffix not in self._archives:
            if suffix in suffixes.COUNTED:
                self.left_out[suffix] += 1
            return None
        if (others and location.startswith(others)) or self.exclusion(location) is not None:
            return None
        file = File(location, *_version(found))
        if suffix in self.suffixes:
            return file
        if location not in self.order.skip:
            self.containers.append(file)
        return None


def _pages(root: str, note: Callable[[Exception], None]) -> Iterator[list[Mapping[str, Any]]]:
    """
    Yield the listing of a root. What interrupts it is asked again behind the last object that came: none comes twice, and none is left out.

    Behind a key that the client cannot read it continues, and `note` gets the problem: what came with that key, up to a page before it, is not listed.
    """
    stream: Iterator[Any] | None = None
    last: str | None = None

    def ask(store: "stores.Store", key: str) -> list[Mapping[str, Any]] | None:
        nonlocal stream
        if stream is None:
            stream = iter(store.list(key or None, offset=last, chunk_size=_PAGE))
        try:
            return next(stream, None)
        except BaseException:
            # It has ended with this, as if there were no more objects.
            stream = None
            raise

    while True:
        try:
            page = _ask(root, ask, at_least=_LISTING_PATIENCE)
        except stores.UnreadableKey as problem:
            after = problem.after()
            # A store that cannot begin a listing in its middle would bring the same key again.
            if after is None or after <= (last or ""):
                raise
            note(problem)
            last = after
            continue
        if not page:
            return
        last = page[-1]["path"]
        yield page


def _ahead(pages: Iterator[_T]) -> Iterator[_T]:
    """Yield what `pages` does, each while the next one is being fetched by a thread. One page at a time lies ready."""
    fetched: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def fetch() -> None:
        try:
            fetched.put((next(pages, None), None))
        except BaseException as problem:  # noqa: BLE001  the thread that waits for it raises it
            fetched.put((None, problem))

    def begin() -> None:
        # A daemon: nobody waits for a store when this process ends.
        threading.Thread(target=fetch, name="listing", daemon=True).start()

    begin()
    while True:
        page, problem = fetched.get()
        if problem is not None:
            raise problem
        if page is None:
            return
        begin()
        yield page


def read(location: str) -> Original:
    """
    Fetch one object; its fingerprint has the version that came with the bytes.

    Raises FileMissing, Unreadable, EmptyFile, ObjectTooLarge, and SourceAway where the store cannot be reached, which says nothing of the picture.
    """
    try:
        with _away_without_client():
            data, version = _fetched(location, _fetch)
    except FileNotFoundError as error:
        raise errors.FileMissing from error
    except (PermissionError, ValueError) as error:
        raise errors.Unreadable(detail=str(error)) from error
    if not data:
        raise errors.EmptyFile
    return Original(data, Fingerprint(*version, content_hash(data)))


class _Cut(Exception):  # noqa: N818  an answer among others, which never leaves this module
    """One object could not be fetched to its end, while its store answers."""


def _fetched(location: str, fetch: Callable[["stores.Store", str], _T], *, at_least: float = 0.0) -> _T:
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(_Cut):
            return _ask(location, fetch, judge=_judged, at_least=at_least)
    try:
        return _ask(location, fetch, judge=_judged, at_least=at_least)
    except _Cut as cut:
        raise errors.Unreadable(detail=str(cut)) from cut


def _fetch(store: "stores.Store", key: str) -> tuple[bytes, tuple[int, int]]:
    found = store.get(key)
    size = found.meta["size"]
    if size > MAX_BYTES:
        raise errors.ObjectTooLarge(size=size / 1e6, limit=MAX_BYTES / 1e6)
    return bytes(found.bytes()), _version(found.meta)


def read_part(location: str, offset: int, size: int, version: tuple[int, int], *, is_listing: bool = False) -> bytes:
    """
    Fetch some bytes of an object that is of this version; a process without patience waits for its store where `is_listing`.

    Raises ModifiedDuringRead where its version differs, and FileNotFoundError, PermissionError, ValueError, Unreadable, SourceAway.
    """

    def fetch(store: "stores.Store", key: str) -> bytes:
        found = store.get(key, options={"range": (offset, offset + size)})
        if _version(found.meta) != version:
            raise errors.ModifiedDuringRead
        return bytes(found.bytes())

    with _away_without_client():
        return _fetched(location, fetch, at_least=_LISTING_PATIENCE if is_listing else 0.0)


def known_version(location: str) -> tuple[int, int]:
    """Return what `version` does; raises FileNotFoundError, PermissionError, ValueError, and SourceAway where the store does not say."""
    with _away_without_client():
        return _ask(location, lambda store, key: _version(store.head(key)))


@contextlib.contextmanager
def _away_without_client() -> Iterator[None]:
    """Raise SourceAway where the extra is missing, or the credentials are."""
    try:
        yield
    except errors.OperationError as error:
        raise errors.SourceAway(detail=detail(error)) from error


def _judged(problem: Exception, store: "stores.Store", root_key: str) -> Exception:
    """Return whose problem it is that an object cannot be fetched: that of the store, or of the object if the store lists others meanwhile."""
    if not isinstance(problem, network.Passing | PermissionError) or stores.is_throttling(problem):
        return problem
    try:
        next(iter(store.list(root_key or None, chunk_size=1)), None)
    except Exception as error:  # noqa: BLE001  whatever the client raises
        found = stores.problem_of(error)
        return network.Lasting(str(found)) if isinstance(found, PermissionError) else found
    return _Cut(str(problem)) if isinstance(problem, network.Passing) else problem


def version(location: str) -> tuple[int, int] | None:
    """Return the size and time of an object, the digits below the second from its ETag; None where there is none, or its store does not say."""
    with contextlib.suppress(*_PROBLEMS):
        return known_version(location)
    return None


def exists(location: str) -> bool:
    """Tell whether an object is there; True as well where its store does not say: what nobody could look at has not gone."""
    try:
        _ask(location, lambda store, key: store.head(key))
    except FileNotFoundError:
        return False
    except _PROBLEMS:
        return True
    return True


def prepare(location: str) -> None:
    """Do nothing: an object is fetched at once."""


def file_of(location: str) -> str:
    """Return the address itself."""
    return location


# --- requests -------------------------------------------------------------------------------------


def _parts(location: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key of an address."""
    scheme, _, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    return scheme, bucket, key


def _ask(
    location: str,
    ask: Callable[["stores.Store", str], _T],
    *,
    judge: Callable[[Exception, "stores.Store", str], Exception] = lambda problem, *_: problem,
    at_least: float = 0.0,
) -> _T:
    """
    Return the answer of the store of a location to `ask`, which gets the store and the key.

    Raises SourceAway, FileNotFoundError, PermissionError, ValueError for a key that the client cannot read, and what `ask` raises of ours.
    """
    scheme, bucket, key = _parts(location)
    name = f"{scheme}://{bucket}"
    with _guard:
        root = max(
            (root for root in _settings if location == root or location.startswith(root + "/")), key=len, default=name
        )
        settings = _settings.get(root, {})
        gate = _gates.setdefault(name, network.Gate(name))
    store = stores.opened(scheme, bucket, settings)

    def attempt() -> _T:
        try:
            return ask(store, key)
        except errors.PixfindError:
            raise
        except Exception as error:  # noqa: BLE001  whatever the client raises
            problem = judge(stores.problem_of(error), store, _parts(root)[2])
        # Outside: its words, which may contain a signed address, are not the context of ours.
        raise problem

    return gate.request(attempt, at_least=at_least)


def _version(meta: Mapping[str, Any]) -> tuple[int, int]:
    tag = str(meta.get("e_tag") or "").removeprefix("W/").strip('"')
    digits = int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=8).digest(), "big") % 10**9 if tag else 0
    return int(meta["size"]), int(meta["last_modified"].timestamp()) * 10**9 + digits


def detail(error: Exception) -> str:
    """Return what an error says, in one line and without its address."""
    fields = error.fields if isinstance(error, errors.PixfindError) else {}
    return str(fields.get("detail", "")) or str(error).partition("\n")[0]
