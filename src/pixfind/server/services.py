"""
The services behind the routes: searches, what is shown besides them, the control of an embed, metrics.

Owns what a server opens at its start and closes at its end. Must not know HTTP.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pixfind import errors
from pixfind.collection.config import CollectionConfig
from pixfind.library.library import Library
from pixfind.server import embed_control
from pixfind.server.batched_encoder import BatchedEncoder
from pixfind.server.collection_search import CollectionSearches
from pixfind.server.collection_view import CollectionView
from pixfind.server.library_view import LibraryView
from pixfind.server.local_view import LocalView
from pixfind.server.metrics import Metrics
from pixfind.server.remote_view import RemoteView
from pixfind.server.search import SearchService
from pixfind.server.searches import Searches
from pixfind.server.uploads import Uploads
from pixfind.server.watch_control import WatchControl
from pixfind.worker.decoders import DecoderPool

_THREADS: Final = 4
"""open libraries, and so threads, for requests other than searches"""

_THREADS_OF_EACH: Final = 2
"""the same of each library of a collection"""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the routes call."""

    searches: Searches
    view: LibraryView
    watcher: embed_control.StatusWatcher
    act: Callable[[str], Awaitable[None]]
    """does what `embed_control.act` does; raises ControlForbidden, or EmbedElsewhere for a collection"""
    uploads: Uploads
    metrics: Metrics
    local: LocalView | None
    """the one library in a folder that is served, whose albums are shown; None for a collection"""
    names: str
    """of what is searched, for messages"""
    watch: WatchControl | None
    """keeps the library current, once it is started; None: nobody asked for it"""
    decoders: tuple[DecoderPool, DecoderPool]
    """of uploads, and of the libraries' own pictures"""
    workers: int
    """processes that answer on the same address, and divide the limits of each client"""

    @classmethod
    def open(cls, path: Path, *, watch: bool = False, needs_token: bool = False, workers: int = 1) -> "Services":
        """
        Open a library and load what the first search needs; `needs_token`: nobody asks without the token; `workers`: processes that do the same.

        Raises LibraryNotFound, what loading a model raises, and with `watch` NotWritable where this user cannot embed.
        """
        if watch and not embed_control.can_control(path):
            # A library that is not there is no question of permissions.
            Library.open(path).close()
            raise errors.NotWritable(path=path, detail="a watch writes what it finds to the library")
        metrics = Metrics()
        decoders = (DecoderPool.for_uploads(), DecoderPool.for_library())
        searches = SearchService(path, decoders[0], metrics.search_seconds.observe)
        searches.warm()
        control = WatchControl(path) if watch else None
        view = LocalView(path, decoders[1], _THREADS, control, needs_token=needs_token)
        watcher = embed_control.StatusWatcher(view.status)

        async def act(action: str) -> None:
            if not view.can_control:
                raise errors.ControlForbidden
            watch_again = action == "start" and control is not None and control.restart()
            if not watch_again:
                await view.run(lambda library: embed_control.act(library, action))

        # The encoders are looked up at each scrape: a model switch replaces them.
        _register(metrics, searches, lambda: searches.encoders, view, watcher)
        return cls(searches, view, watcher, act, Uploads(workers), metrics, view, str(path), control, decoders, workers)

    @classmethod
    def of_collection(cls, config: CollectionConfig, *, workers: int = 1) -> "Services":
        """Open several libraries as one, and load what the first search needs; raises LibrariesDiffer, and what loading a model raises."""
        metrics = Metrics()
        decoders = (DecoderPool.for_uploads(), DecoderPool.for_library())
        views: list[LibraryView] = [
            RemoteView(member, config.timeout)
            if member.path is None
            else LocalView(member.path, decoders[1], _THREADS_OF_EACH)
            for member in config.members
        ]
        view = CollectionView(config, views)
        searches = CollectionSearches(config, view, decoders[0], metrics.search_seconds.observe)
        searches.warm()
        watcher = embed_control.StatusWatcher(view.status)

        async def act(action: str) -> None:
            raise errors.EmbedElsewhere(action=action, names=config.names)

        _register(metrics, searches, lambda: searches.encoders, view, watcher)
        return cls(searches, view, watcher, act, Uploads(workers), metrics, None, config.names, None, decoders, workers)

    def close(self) -> None:
        """End the threads and processes and close all libraries."""
        if self.watch is not None:
            self.watch.close()
        for pool in self.decoders:
            pool.close()
        self.searches.close()
        self.view.close()


def _register(
    metrics: Metrics,
    searches: Searches,
    encoders: Callable[[], BatchedEncoder | None],
    view: LibraryView,
    watcher: embed_control.StatusWatcher,
) -> None:
    def waiting() -> dict[str, float]:
        now = encoders()
        return {"encode": now.waiting if now else 0, "search": searches.waiting, "look": view.waiting}

    def done() -> dict[str, float]:
        now = encoders()
        return {
            "encoded texts": now.encoded if now else 0,
            "encoder batches": now.batches if now else 0,
            "searches": searches.completed,
            "answers given again": searches.cache_hits,
            "looks": view.completed,
        }

    metrics.add("pixfind_waiting", "Calls that are running or queued, by queue", waiting)
    metrics.add("pixfind_done", "Completed work, by stage", done, counter=True)
    metrics.add("pixfind_listeners", "Open event streams", lambda: {"events": watcher.listeners})
