"""
The columns of a library that changes: read once, and again when it has changed.

Owns when they are read. A large library that grows is not read again after each of its commits: what was read last is counted at once, and read
again meanwhile, in no more than a tenth of the time. Must not know what is counted.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pixfind.collection.member import LibraryOnDemand
from pixfind.search import similarity_map
from pixfind.server import columns
from pixfind.server.columns import Columns
from pixfind.server.resource_pool import ResourcePool

_MAX_QUEUE: Final = 200

_SHORT_SECONDS: Final = 0.25
"""Who reads in less waits for it, and never counts what was read before."""

_REST: Final = 10
"""times as long as reading takes"""


@dataclass(frozen=True, slots=True)
class Latest:
    """What was read last."""

    columns: Columns | None
    """None: the library has too many images"""
    is_current: bool
    """whether it is what the library holds now"""


@dataclass(frozen=True, slots=True)
class _Reading:
    columns: Columns | None
    state: tuple[object, ...]
    """of the library before it was read"""
    seconds: float
    ended: float
    """time.monotonic()"""


class ColumnsReader:
    """Call its methods on the event loop."""

    def __init__(self, path: Path) -> None:
        # In a thread: a drive that hangs must not hold up the event loop.
        self._watched = ResourcePool("changes", [LibraryOnDemand(path)], max_queue=_MAX_QUEUE)
        self._readers = ResourcePool("columns", [LibraryOnDemand(path)], max_queue=_MAX_QUEUE)
        self._last: _Reading | None = None
        self._reading: asyncio.Task[_Reading] | None = None

    async def latest(self) -> Latest:
        """Return the columns of this moment; those read last of a large library, which is then read again in the background. Raises Overloaded."""
        while True:
            now, last = await self._state(), self._last
            if last is not None and last.state == now:
                return Latest(last.columns, is_current=True)
            if last is not None and last.state[0] == now[0] and last.seconds > _SHORT_SECONDS:
                if time.monotonic() > last.ended + _REST * last.seconds:
                    self._begin()
                return Latest(last.columns, is_current=False)
            # Whoever leaves while it is read must not end it for the others.
            await asyncio.shield(self._begin())

    def close(self) -> None:
        """End the threads and close the libraries."""
        for pool in (self._watched, self._readers):
            pool.close()
            for opened in pool.resources:
                opened.close()

    async def _state(self) -> tuple[object, ...]:
        return await self._watched.run(_state)

    def _begin(self) -> "asyncio.Task[_Reading]":
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            # In the background nobody waits for it: the next count tries again, and its client hears why it fails.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._reading

    async def _read(self) -> _Reading:
        state, began = await self._state(), time.monotonic()
        read = await self._readers.run(_read)
        ended = time.monotonic()
        self._last = _Reading(read, state, ended - began, ended)
        return self._last


def _state(opened: LibraryOnDemand) -> tuple[object, ...]:
    """Return what differs after every change of the catalogue, and of the similarity map."""
    return *opened.version(), similarity_map.identity(opened.get().data)


def _read(opened: LibraryOnDemand) -> Columns | None:
    library = opened.get()
    if int(library.catalogue.value("last_id", "scan.sql")) > columns.MAX_IMAGES:
        return None
    return Columns.read(library)
