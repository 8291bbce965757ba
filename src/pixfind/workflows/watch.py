"""
`pixfind watch`: keeps a library current, through the same steps as `pixfind index`.

Owns when the folders are looked at. Notices of the file system are hints: what has changed is found out by a scan of the paths that they name, and from
time to time by a scan of everything. At rest it holds `watch.lock` alone, so that other commands may write meanwhile; `library.lock` is taken
for a round. Whatever ends it, the next watch begins with a scan of everything.
"""

import contextlib
import dataclasses
import datetime
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors, machine
from pixfind.embedding.interrupts import stopping_on_signals
from pixfind.embedding.runners import Runner
from pixfind.images import source
from pixfind.library import control, folder_events, generations, scan, watch_lock
from pixfind.library.folder_events import FolderEvents, NoticesLostError, TooManyFoldersError
from pixfind.library.library import Library
from pixfind.library.scan_paths import is_below, may_matter, scan_paths
from pixfind.library.scan_report import ScanReport
from pixfind.types import Clock, Reason
from pixfind.workflows import events
from pixfind.workflows.add import add
from pixfind.workflows.index import IndexSummary, index_changes
from pixfind.workflows.options import RESCAN_MINUTES, EmbedOptions
from pixfind.workflows.settling import Settling

FULL_SECONDS = 3600.0
"""how often all folders are scanned, whatever was told"""

_REST_SECONDS = 0.5
_ROOTS_SECONDS = 2.0
"""how often it is looked whether folders came, went or returned"""
_LOCKED_SECONDS = 2.0
_MIN_PAUSE, _MAX_PAUSE = 15.0, 600.0
"""seconds after a round that failed"""

_FATAL = (
    errors.LibraryNotFound,
    errors.NewerLibrary,
    errors.LibraryDamaged,
    errors.LinkInLibrary,
    errors.OtherModel,
    errors.UnsafeModelFile,
)
"""errors that no waiting repairs"""


_TOO_MANY = Reason("TooManyFolders", "the system watches no more folders")
_UNREADABLE = Reason("FoldersNotReadable", "some folders cannot be read")


@dataclass(frozen=True, slots=True)
class Watching:
    """The folders are watched; told again when they change."""

    folders: tuple[str, ...]
    rescanned: dict[str, str]
    """folder -> why it is scanned from time to time: not all its changes are noticed"""


@dataclass(frozen=True, slots=True)
class RoundDone:
    """Changes were registered, embedded and made searchable."""

    scanned: tuple[ScanReport, ...]
    indexed: IndexSummary | None
    """None: nothing was embedded, because it is outside of the hours"""
    seconds: float
    """from the first notice, or the beginning of the scan, until they could be searched"""


@dataclass(frozen=True, slots=True)
class WaitingForLock:
    """Another command writes to the library; the round comes when it has ended."""

    error: errors.LibraryLocked


@dataclass(frozen=True, slots=True)
class RoundFailed:
    """A round ended with an error; all that was saved is kept."""

    error: errors.OperationError
    retry_seconds: float


@dataclass(frozen=True, slots=True)
class TooManyFolders:
    """The system watches no more folders: all are scanned every few minutes instead. Told once."""

    detail: str


WatchEvent = Watching | RoundDone | WaitingForLock | RoundFailed | TooManyFolders


class _StopRequestedError(Exception):
    """The watch is to end, in the middle of a step that may be cut."""


def watch(
    path: Path,
    options: EmbedOptions | None = None,
    *,
    folders: Sequence[str | os.PathLike[str]] = (),
    rescan_minutes: float = RESCAN_MINUTES,
    runner: Runner | None = None,
    tell: Callable[[WatchEvent], None] = lambda event: None,
    observer: events.Observer = events.ignore,
) -> None:
    """
    Keep the library at `path` current until a stop is requested, by a signal or by `pixfind stop`.

    `folders` are added first, as `index` adds them, where they are new; then a library that is not there is made.
    `runner` carries the workers of each round; it is the caller's to close. `tell` gets what happens to the watch, `observer` the steps of
    each round. Raises LibraryNotFound, AlreadyWatched, what `add` raises for `folders`, what the first round raises, and later what no waiting repairs; other errors of later rounds are told,
    and the round is tried again.
    """
    if folders and not generations.is_library(path):
        scan.check_folders(folders)
        Library.create(path).close()
    # Before the lock, which would make the folder of a library that is not there.
    Library.open(path).close()
    with watch_lock.held(path):
        _Watch(path, options or EmbedOptions(), rescan_minutes, runner, tell, observer, folders=folders).run()


class _Watch:
    """One watch."""

    def __init__(
        self,
        path: Path,
        options: EmbedOptions,
        rescan_minutes: float,
        runner: Runner | None,
        tell: Callable[[WatchEvent], None],
        observer: events.Observer,
        clock: Clock = time,
        folders: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        self._path = path
        self._options = options
        self._rescan_minutes = rescan_minutes
        self._runner = runner
        self._tell = tell
        self._observer = observer
        self._clock = clock
        self._to_add = tuple(folders)
        self._library: Library
        self._events = FolderEvents([])
        self._changes = Settling(clock)
        self._new_folders: set[str] = set()
        self._roots: dict[str, object] = {}
        """root -> what is there, as `_presence` saw it"""
        self._rescanned: dict[str, Reason] = {}
        self._unwatched: Reason | None = None
        """why not all changes are told, whatever the file system"""
        self._untold: dict[str, str] = {}
        """root -> type of its file system, which does not tell all changes"""
        self._told: Watching | None = None
        self._too_many = False
        self._looked_at_roots = self._scanned_all = self._rescanned_at = clock.monotonic()
        self._not_before = clock.monotonic()
        self._pause = _MIN_PAUSE
        self._waiting_for_lock = False
        self._scan_all = True
        self._owed = False
        """images wait for the hours in which they may be embedded"""
        self._stop = False
        self._cut_by_hours = self._asked_to_stop = False
        self._unfinished = True
        """the steps behind the scan have not been done since the beginning, or since one failed"""

    def run(self) -> None:
        """Watch until a stop is requested."""
        with stopping_on_signals(self._request_stop):
            self._library = Library.open(self._path)
            try:
                # Before the first scan: what changes while it runs is noticed. Where folders are to be added, behind these.
                if not self._to_add:
                    self._open_events()
                first = True
                while not self._stop_requested():
                    first = not self._round(raises=first) and first
                    try:
                        self._rest()
                    except errors.OperationError as error:
                        if isinstance(error, _FATAL):
                            raise
                        # A notice may be lost with it.
                        self._scan_all = True
            finally:
                self._events.close()
                self._library.close()

    # --- when -------------------------------------------------------------------------------------

    def _request_stop(self) -> None:
        # Called from a signal handler.
        self._stop = True

    def _stop_requested(self) -> bool:
        self._stop = self._stop or watch_lock.stop_requested(self._path)
        return self._stop

    def _rest(self) -> None:
        """Wait for notices, at most for a moment."""
        try:
            found = self._events.wait(_REST_SECONDS)
        except NoticesLostError:
            self._open_events()
            self._scan_all = True
            return
        self._library = self._library.renewed()
        matter = {path for path in map(self._as_registered, found) if may_matter(self._library, path)}
        self._new_folders |= {path for path in matter if os.path.isdir(path)}
        self._changes.note(matter)
        self._changes.update()
        if self._clock.monotonic() - self._looked_at_roots >= _ROOTS_SECONDS:
            self._look_at_roots()

    def _as_registered(self, path: str) -> str:
        """Return a path as the catalogue has it: some systems name what links lead to."""
        for root in self._roots:
            real = os.path.realpath(root)
            if real != root and is_below(path, real):
                return root + path[len(real) :]
        return path

    def _round(self, *, raises: bool) -> bool:
        """Scan what is due, and index what that found; return whether all went well. Errors of the round are raised if asked."""
        now = self._clock.monotonic()
        if now < self._not_before:
            return False
        self._scan_all = self._scan_all or now - self._scanned_all >= FULL_SECONDS
        rescan = bool(self._rescanned) and now - self._rescanned_at >= self._rescan_minutes * 60
        continues = self._owed and self._may_embed()
        if not (self._scan_all or rescan or continues or self._changes.due):
            return False
        try:
            self._index(everything=self._scan_all, rescan=rescan)
        except _StopRequestedError:
            return False
        except errors.LibraryLocked as error:
            self._not_before = self._clock.monotonic() + _LOCKED_SECONDS
            if not self._waiting_for_lock:
                self._tell(WaitingForLock(error))
            self._waiting_for_lock = True
            return False
        except errors.OperationError as error:
            if raises or isinstance(error, _FATAL):
                raise
            self._scan_all = True
            self._not_before = self._clock.monotonic() + self._pause
            self._tell(RoundFailed(error, self._pause))
            self._pause = min(2 * self._pause, _MAX_PAUSE)
            return False
        self._pause, self._waiting_for_lock = _MIN_PAUSE, False
        return True

    # --- one round --------------------------------------------------------------------------------

    def _index(self, *, everything: bool, rescan: bool) -> None:
        self._library = self._library.renewed(to_write=True)
        with Library.open(self._path, write=True) as library, library.lock("watch") as run:
            began = self._clock.monotonic() if everything or self._changes.since is None else self._changes.since
            if everything:
                self._scan_all = False
            unsettled, paths = self._changes.unsettled, self._changes.take()
            try:
                scanned = self._scan(library, paths, unsettled, everything=everything, rescan=rescan)
            except BaseException:
                self._scan_all = True
                raise
            changed = any(
                each.new + each.changed + each.moved + each.returned + each.gone + each.excluded for each in scanned
            )
            if not (changed or self._unfinished or library.catalogue.count_pending()):
                return
            indexed = None
            self._unfinished = self._owed = not self._may_embed()
            if not self._owed:
                self._unfinished, self._cut_by_hours, self._asked_to_stop = True, False, False
                indexed = index_changes(
                    library, run, lambda: scanned, self._options, runner=self._runner, observer=self._observe
                )
                # Once for each watch: what fails again would be tried at each change.
                self._options = dataclasses.replace(self._options, retry=False)
                self._owed = indexed.stopped and self._cut_by_hours
                self._stop = self._stop or (indexed.stopped and not self._cut_by_hours)
                self._unfinished = indexed.stopped
        if changed or (indexed and indexed.embedded.images):
            self._tell(RoundDone(scanned, indexed, self._clock.monotonic() - began))

    def _scan(
        self, library: Library, paths: set[str], unsettled: set[str], *, everything: bool, rescan: bool
    ) -> tuple[ScanReport, ...]:
        now = self._clock.monotonic()
        if everything:
            self._scanned_all = self._rescanned_at = now
            added = self._add(library)
            return (*added, *(add(library, observer=self._observe) if library.catalogue.roots() else ()))
        scanned: tuple[ScanReport, ...] = ()
        if rescan:
            self._rescanned_at = now
            scanned = add(library, list(self._rescanned), observer=self._observe)
        if paths:
            scanned += (scan_paths(library, paths, self._progress, unsettled=unsettled),)
            self._check_room(paths)
        return scanned

    def _add(self, library: Library) -> tuple[ScanReport, ...]:
        """Add the folders that the watch was given, those that are new, and watch them from now on."""
        if not self._to_add:
            return ()
        known = {root.path for root in library.catalogue.roots()}
        new = [folder for folder in self._to_add if source.as_root(folder) not in known]
        scan.check_folders(new, library)
        added = add(library, new, observer=self._observe) if new else ()
        self._to_add = ()
        self._open_events()
        return added

    def _check_room(self, paths: set[str]) -> None:
        """Find out whether new folders are watched: the system does not say when it watches no more of them."""
        new = next((path for path in paths & self._new_folders if os.path.isdir(path)), None)
        self._new_folders -= paths
        if new is not None and not self._too_many:
            try:
                folder_events.check_room(new)
            except TooManyFoldersError as error:
                self._watch_nothing(str(error))

    def _progress(self, done: int, total: int | None) -> None:
        self._observe(events.StepProgress(events.Step.SCAN, done, total))

    def _observe(self, event: events.Event) -> None:
        """Pass a step on, and end it where that is asked for: an embed cleanly, anything else at once, which loses nothing."""
        if isinstance(event, events.EmbedProgress):
            self._cut_by_hours = self._cut_by_hours or not self._may_embed()
            if not self._asked_to_stop and (self._cut_by_hours or self._stop_requested()):
                self._asked_to_stop = True
                control.request(self._path, control.ControlRequest(stop=True))
        elif isinstance(event, events.StepProgress) and self._stop_requested():
            raise _StopRequestedError
        self._observer(event)

    def _may_embed(self) -> bool:
        hours = self._options.hours
        # Hours are local: the owner's clock.
        return hours is None or datetime.datetime.fromtimestamp(self._clock.time()).time() in hours  # noqa: DTZ006

    # --- the folders ------------------------------------------------------------------------------

    def _look_at_roots(self) -> None:
        """Watch again where folders came, went or returned, and scan them."""
        self._looked_at_roots = self._clock.monotonic()
        if {root.path: self._presence(root.path) for root in self._library.catalogue.roots()} != self._roots:
            self._open_events()
            self._scan_all = True

    def _open_events(self) -> None:
        """Watch the folders that are there."""
        self._events.close()
        self._events = FolderEvents([])
        registered = [root.path for root in self._library.catalogue.roots()]
        self._untold = {root: kind for root in registered if (kind := machine.untold_changes(root))}
        self._roots = {root: self._presence(root) for root in registered}
        self._looked_at_roots = self._clock.monotonic()
        folders = [folder for folder in scan.outer_roots(self._library) if os.path.isdir(folder)]
        if not self._too_many:
            try:
                self._events = FolderEvents(folders)
            except TooManyFoldersError as error:
                self._watch_nothing(str(error))
                return
            except FileNotFoundError:
                # It has gone since: noticed when the folders are looked at.
                self._roots = {}
            except OSError as error:
                self._unwatched = Reason("CannotBeWatched", f"it cannot be watched: {error}", {"detail": str(error)})
            else:
                self._unwatched = None if self._events.complete else _UNREADABLE
        self._rescanned = {root: why for root in folders if (why := self._why_rescanned())}
        self._rescanned.update({root: _untold(kind) for root, kind in self._untold.items()})
        self._say()

    def _presence(self, root: str) -> object:
        # A server that does not answer must not hold up the others; a look would also keep it from being unmounted when idle.
        return None if root in self._untold else _presence(root)

    def _why_rescanned(self) -> Reason | None:
        if self._too_many:
            return _TOO_MANY
        return self._unwatched

    def _watch_nothing(self, detail: str) -> None:
        self._too_many = True
        self._tell(TooManyFolders(detail))
        self._open_events()

    def _say(self) -> None:
        with contextlib.suppress(errors.DiskFull, errors.NotWritable):
            watch_lock.tell(self._path, self._rescan_minutes, self._rescanned)
        rescanned = {root: why.message for root, why in self._rescanned.items()}
        now = Watching(tuple(root.path for root in self._library.catalogue.roots()), rescanned)
        if now != self._told:
            self._tell(now)
        self._told = now


def _untold(kind: str) -> Reason:
    return Reason("ChangesNotTold", f"{kind} does not tell all changes", {"kind": kind})


def _presence(root: str) -> object:
    """Return what tells apart whether a root is there, and which it is; of an archive also its version."""
    try:
        found = os.stat(root)
        with contextlib.suppress(NotADirectoryError), os.scandir(root) as entries:
            return found.st_dev, found.st_ino, next(iter(entries), None) is None
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
