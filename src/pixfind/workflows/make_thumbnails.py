"""
Make the thumbnails of a library ahead, so that its page shows any picture at once.

Owns the order (that of the embeddings, so that one number tells how far it is), what is left out, and the room on the disk. Pictures are decoded in
processes of their own. How a thumbnail looks, and where it lies: `images.thumbnails`.
"""

import collections
import contextlib
import datetime
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from pixfind import errors, machine
from pixfind.embedding.interrupts import stopping_on_signals
from pixfind.embedding.runners import WorkerUsage
from pixfind.embedding.schedule import ExternalLoad, PausePolicy
from pixfind.images.thumbnails import DEFAULT_MAX_BYTES, Cache
from pixfind.library import control, scan, thumbnail_progress
from pixfind.library.library import Library
from pixfind.library.thumbnail_progress import Content, ThumbnailReport
from pixfind.storage import disk
from pixfind.types import Progress, format_bytes, no_progress, numbered
from pixfind.worker import embed
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows.options import EmbedOptions

_BLOCK: Final = 128
"""contents that are looked up together"""
_HEED_SECONDS: Final = 0.5
"""after which `pixfind stop`, `pause` and `limit` are heard"""
_SAVE_SECONDS: Final = 5.0
"""after which it is remembered how far the work is: after a kill no more is looked at again"""
_PICTURE_SECONDS: Final = 120.0
_BYTES_A_PIXEL: Final = 0.18
"""of a thumbnail, times the square of its longer side: 47 kB for 512 pixels, more than most photographs need"""
_ROOM: Final = 0.9
"""of the free disk at most"""

_OUTDATED: Final = (errors.FileMissing, errors.ModifiedSinceScan)
"""The picture is gone, or is another one than was scanned: its drive is there."""


def make_thumbnails(
    library: Library,
    options: EmbedOptions | None = None,
    *,
    side: int | None = None,
    again: bool = False,
    progress: Progress = no_progress,
) -> ThumbnailReport:
    """
    Make the thumbnails of all contents that were embedded since the last call, `side` pixels long; call it inside `library.lock("thumbnails")`.

    From now on the library wants them. `side`: one of `images.thumbnails.SIDES`, None for that of the last call; another one begins with the first content, as does
    `again`. Ctrl-C, `pixfind stop`, `pause` and `limit` reach it; stopped or killed, it continues with the next call. Raises NotEmbedded, ThumbnailsTooLarge where the disk
    has no room for them, and what keeping one raises (`images.thumbnails.Cache.keep`).
    """
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    side = side or thumbnail_progress.wanted(library.catalogue) or thumbnail_progress.DEFAULT_SIDE
    first = 0 if again else thumbnail_progress.rows_made(library.catalogue, side)
    _make_room(library, side, first)
    thumbnail_progress.want(library.catalogue, side)
    thumbnail_progress.set_rows_made(library.catalogue, side, first)
    scan.refresh_roots(library)
    with _Run(library, options or EmbedOptions(), side, progress) as run:
        return run.make(first)


def preview(library: Library, *, side: int | None = None, again: bool = False) -> tuple[int, int]:
    """Return at how many rows `make_thumbnails` would look, and about how many bytes their thumbnails take at most; raises NotEmbedded."""
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    side = side or thumbnail_progress.wanted(library.catalogue) or thumbnail_progress.DEFAULT_SIDE
    rows = library.merged_rows - (0 if again else thumbnail_progress.rows_made(library.catalogue, side))
    return rows, expected_bytes(rows, side)


def expected_bytes(rows: int, side: int) -> int:
    """Return about how many bytes the thumbnails of so many pictures have together."""
    return math.ceil(rows * _BYTES_A_PIXEL * side * side)


def _make_room(library: Library, side: int, first: int) -> None:
    """Let the cache keep those from the row `first` on, and as many as before beside them; raises ThumbnailsTooLarge."""
    rows, cache = library.merged_rows - first, Cache(library.path / "thumbnails")
    needed, there = expected_bytes(rows, side), cache.sampled_bytes()
    free = shutil.disk_usage(library.path).free
    # From the first row on, what is there already is mostly theirs.
    if needed - (there if first == 0 else 0) > _ROOM * free:
        raise errors.ThumbnailsTooLarge(
            pictures=numbered(rows, "picture"),
            needed=format_bytes(needed),
            folder=cache.folder,
            free=format_bytes(free),
        )
    cache.raise_limit(there + 2 * needed + DEFAULT_MAX_BYTES)


class _Run:
    """One run: threads that read files, and as many processes that decode them."""

    def __init__(self, library: Library, options: EmbedOptions, side: int, progress: Progress) -> None:
        self._cores = machine.cores().value
        count = max(1, int(options.share * self._cores)) if options.workers is None else options.workers
        self._library = library
        self._side = side
        self._progress = progress
        self._cache = Cache(library.path / "thumbnails")
        self._decoders = DecoderPool.for_library(seconds=_PICTURE_SECONDS, count=count, nice=options.nice)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="thumbnail")
        self._turns = _Turns(count)
        self._policy = PausePolicy(hours=options.hours, when_busy=options.pause_when_busy)
        self._load = ExternalLoad()
        self._heeded = 0.0
        self._problem: errors.PixfindError | None = None
        """why a thumbnail could not be kept"""
        self._counts: collections.Counter[str] = collections.Counter()
        self._failed: collections.Counter[str] = collections.Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._turns.close()
        # Ends what is being decoded: its threads hear of it.
        self._decoders.close()
        self._threads.shutdown()

    def make(self, first: int) -> ThumbnailReport:
        """Make them from the row `first` on."""
        began = saved = time.monotonic()
        rows = self._library.merged_rows
        done = first
        try:
            with stopping_on_signals(self._turns.close):
                for content, outcome in self._outcomes(first, rows):
                    self._count(outcome)
                    done = content.row + 1
                    self._progress(done, rows)
                    if time.monotonic() - saved >= _SAVE_SECONDS:
                        self._save(done)
                        saved = time.monotonic()
            if not self._turns.is_closed:
                done = rows
        finally:
            self._save(done)
        if self._problem is not None:
            raise self._problem
        counted, seconds = self._counts, time.monotonic() - began
        return ThumbnailReport(
            counted["made"],
            counted["there"],
            counted["away"],
            counted["outdated"],
            dict(self._failed),
            seconds,
            stopped=self._turns.is_closed,
        )

    def _outcomes(self, first: int, rows: int) -> Iterator[tuple[Content, "_Outcome"]]:
        """Yield what came of each content, in the order of the rows, until a stop."""
        while block := [
            each for each in thumbnail_progress.following(self._library.catalogue, first, _BLOCK) if each.row < rows
        ]:
            for content, future in [(each, self._threads.submit(self._one, each)) for each in block]:
                while (outcome := self._result(future)) is None:
                    if self._turns.is_closed:
                        return
                yield content, outcome
            first = block[-1].row + 1

    def _result(self, future: "Future[_Outcome | None]") -> "_Outcome | None":
        """Return what came of one; None where that is not known yet, and after a stop."""
        if time.monotonic() - self._heeded >= _HEED_SECONDS:
            self._heed()
        futures.wait([future], timeout=_HEED_SECONDS)
        return future.result() if future.done() else None

    def _heed(self) -> None:
        """Stop, pause, or use another share of the machine, as is asked for and as the policy says."""
        self._heeded = time.monotonic()
        asked = control.read(self._library.path)
        used = WorkerUsage(machine.host(), os.getpid(), self._decoders.processor_seconds)
        why = self._policy.reason(
            requested=bool(asked.pause),
            external_load=self._load.share([used]),
            now=datetime.datetime.now().astimezone(),
        )
        if asked.stop:
            self._turns.close()
        elif why is not None:
            self._turns.allow(0)
        else:
            self._turns.allow(None if asked.cpu is None else max(1, int(asked.cpu * self._cores)))

    def _save(self, done: int) -> None:
        thumbnail_progress.set_rows_made(self._library.catalogue, self._side, done)

    def _count(self, outcome: "_Outcome") -> None:
        if isinstance(outcome, str):
            self._counts[outcome] += 1
        else:
            # Without what is particular to one picture.
            self._failed[str(outcome).partition("\n")[0].partition(":")[0]] += 1

    def _one(self, content: Content) -> "_Outcome | None":
        """Make one, in a thread; return what came of it, None after a stop."""
        if self._cache.has(content.hash, self._side):
            return "there"
        if not content.is_online:
            return "away"
        with self._turns.one() as has_turn:
            return self._make(content) if has_turn else None

    def _make(self, content: Content) -> "_Outcome | None":
        try:
            original = embed.read(content.image).original
            made = self._decoders.thumbnail(original.data, self._side)
            # Of the bytes that were read: the file may be another one by now.
            self._cache.keep(original.fingerprint.hash, self._side, made)
        except errors.SourceAway:
            return "away"
        except _OUTDATED:
            return "outdated"
        except (errors.ImageProblem, errors.DecodingFailed) as problem:
            return None if self._turns.is_closed else problem
        except disk.FAILURES as problem:
            # It ends the run, and the next one begins with this content.
            self._problem = problem
            self._turns.close()
            return None
        return "made"


_Outcome = str | errors.PixfindError
"""made, there, away, outdated, or what was wrong with the picture"""


class _Turns:
    """How many threads may work at the same time."""

    def __init__(self, most: int) -> None:
        self._changed = threading.Condition()
        self._most = self._allowed = most
        self._working = 0
        self.is_closed = False
        """nobody gets a turn any more"""

    @contextlib.contextmanager
    def one(self) -> Iterator[bool]:
        """Wait for a turn, and hold it in the block; False: there is none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_closed or self._working < self._allowed)
            self._working += 1
        try:
            yield not self.is_closed
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def allow(self, most: int | None) -> None:
        """Let so many work from now on, none for 0, as many as at first for None."""
        with self._changed:
            self._allowed = self._most if most is None else min(most, self._most)
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody begin any more."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()
