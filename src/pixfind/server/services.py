"""
The services behind the routes: searches, open libraries for other requests, thumbnails, metrics.

Owns what a server opens at its start and closes at its end. Must not know HTTP.
"""

from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.library.library import Library
from pixfind.server import embed_control, images
from pixfind.server.decoders import DecoderPool
from pixfind.server.metrics import Metrics
from pixfind.server.resource_pool import ResourcePool
from pixfind.server.search import SearchService
from pixfind.server.uploads import Uploads
from pixfind.server.watch_control import WatchControl

_LIBRARIES = 4
"""open libraries, and so threads, for requests other than searches"""

_MAX_QUEUE = 400


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the routes call."""

    searches: SearchService
    libraries: ResourcePool[Library]
    watcher: embed_control.StatusWatcher
    thumbnails: images.Thumbnails
    can_control: bool
    uploads: Uploads
    metrics: Metrics
    decoders: tuple[DecoderPool, DecoderPool]
    """of uploads, and of the library's own pictures"""
    watch: WatchControl | None
    """keeps the library current, once it is started; None: nobody asked for it"""

    @classmethod
    def open(cls, path: Path, *, watch: bool = False) -> "Services":
        """
        Open a library and load what the first search needs.

        Raises LibraryNotFound, what loading a model raises, and with `watch` NotWritable where this user cannot embed.
        """
        can_control = embed_control.can_control(path)
        if watch and not can_control:
            raise errors.NotWritable(path=path, detail="a watch writes what it finds to the library")
        libraries = ResourcePool(
            "look",
            [Library.open(path) for _ in range(_LIBRARIES)],
            max_queue=_MAX_QUEUE,
            refresh=Library.renewed,
        )
        metrics = Metrics()
        decoders = (DecoderPool.for_uploads(), DecoderPool.for_library())
        searches = SearchService(path, decoders[0], metrics.search_seconds.observe)
        searches.warm()
        control = WatchControl(path) if watch else None
        watcher = embed_control.StatusWatcher(libraries, control, can_control=can_control)
        thumbnails = images.Thumbnails(path / "thumbnails", decoders[1])
        services = cls(searches, libraries, watcher, thumbnails, can_control, Uploads(), metrics, decoders, control)
        services._register_metrics()
        return services

    def _register_metrics(self) -> None:
        # The encoders are looked up at each scrape: a model switch replaces them.
        searches, searchers, libraries = self.searches, self.searches.searchers, self.libraries
        self.metrics.add(
            "pixfind_waiting",
            "Calls that are running or queued, by queue",
            lambda: {"encode": searches.encoders.waiting, "search": searchers.waiting, "look": libraries.waiting},
        )
        self.metrics.add(
            "pixfind_done",
            "Completed work, by stage",
            lambda: {
                "encoded texts": searches.encoders.encoded,
                "encoder batches": searches.encoders.batches,
                "searches": searchers.completed,
                "answers given again": searches.cache_hits,
                "looks": libraries.completed,
            },
            counter=True,
        )
        self.metrics.add("pixfind_listeners", "Open event streams", lambda: {"events": self.watcher.listeners})

    def close(self) -> None:
        """End the threads and processes and close all libraries."""
        if self.watch is not None:
            self.watch.close()
        for pool in self.decoders:
            pool.close()
        self.searches.close()
        self.libraries.close()
        for library in self.libraries.resources:
            library.close()
