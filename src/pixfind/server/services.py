"""
What answers: the searches, the looks at images and at the library's state, each with its own threads and connections.

Owns what is opened once for a server and closed with it. Must not know HTTP.
"""

from dataclasses import dataclass
from pathlib import Path

from pixfind.library.library import Library
from pixfind.server import embed_control, images
from pixfind.server.metrics import Metrics
from pixfind.server.resource_pool import Threads
from pixfind.server.search import Finder
from pixfind.server.uploads import Bodies

_LOOKERS = 4
_MOST_LOOKS_WAITING = 400


@dataclass(frozen=True, slots=True)
class Services:
    """What answers."""

    finder: Finder
    looks: Threads[Library]
    watcher: embed_control.Watcher
    thumbnails: images.Thumbnails
    can_control: bool
    bodies: Bodies
    metrics: Metrics

    @classmethod
    def open(cls, path: Path) -> "Services":
        """Open a library and warm the searches; raises NoLibrary, and what loading a model raises."""
        can_control = embed_control.can_control(path)
        looks = Threads(
            "look",
            [Library.open(path) for _ in range(_LOOKERS)],
            most_waiting=_MOST_LOOKS_WAITING,
            renewed=Library.renewed,
        )
        metrics = Metrics()
        finder = Finder(path, metrics.search_seconds.observe)
        finder.warm()
        watcher = embed_control.Watcher(looks, can_control=can_control)
        thumbnails = images.Thumbnails(path / "thumbnails")
        services = cls(finder, looks, watcher, thumbnails, can_control, Bodies(), metrics)
        services._measure()
        return services

    def _measure(self) -> None:
        # The encoders are asked for each time: they are others once the library's model was changed.
        finder, searches, looks = self.finder, self.finder.threads, self.looks
        self.metrics.watch(
            "pixfind_waiting",
            "Calls that run or wait, by queue",
            lambda: {"encode": finder.encoders.waiting, "search": searches.waiting, "look": looks.waiting},
        )
        self.metrics.watch(
            "pixfind_done",
            "What each stage has done",
            lambda: {
                "encoded texts": finder.encoders.encoded,
                "encoder batches": finder.encoders.batches,
                "searches": searches.done,
                "answers given again": self.finder.remembered,
                "looks": looks.done,
            },
            counter=True,
        )
        self.metrics.watch("pixfind_listeners", "Streams of events", lambda: {"events": self.watcher.listeners})

    def close(self) -> None:
        self.finder.close()
        self.looks.close()
        for library in self.looks.things:
            library.close()
