"""
The library's state for clients: one look, a stream of looks, and the buttons of an embed.

Owns what `/api/status` says and who is told of a change. An embed that is started here is a process of its own, which lives on when the
server ends. Must not know HTTP.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from pixfind import errors
from pixfind.library import control
from pixfind.library.library import Library
from pixfind.server import schemas
from pixfind.server.resource_pool import Threads
from pixfind.workflows import running, status

_LOOK_SECONDS = 0.5
_IDLE_LOOK_SECONDS = 2.0
_HURRY_SECONDS = 20.0
_VOLATILE = {"free_bytes", "bytes"}
"""What changes all the time and tells nobody anything."""


def look(library: Library, *, can_control: bool) -> schemas.Status:
    """Return the state of a library."""
    now = status.status(library)
    values = now.values()
    values["failures"] = {reason or "": count for reason, count in now.failures.items()}
    values["offline"] = {schemas.shown(root): why for root, why in now.offline.items()}
    values["pause_reason"] = values.pop("paused", None)
    return schemas.Status(
        **values,
        searchable_rows=now.merged_rows,
        paused=values["pause_reason"] is not None,
        can_control=can_control,
        folders=[schemas.shown(root.path) for root in library.catalogue.roots()],
    )


def failures(library: Library, reason: str | None, offset: int, k: int) -> schemas.Failures:
    """Return images that ended without an embedding, for one reason or all."""
    found = library.catalogue.rows("failures_page", "search.sql", reason=reason, limit=k + 1, offset=offset)
    made = [schemas.Failure(image_id=image_id, path=schemas.shown(path), reason=why) for image_id, path, why in found]
    return schemas.Failures(failures=made[:k], more=len(made) > k)


def act(library: Library, action: str) -> None:
    """
    Start, pause, resume or stop the embed of a library.

    Raises AlreadyRunning for a start while another process writes, NothingRunning for the others while none embeds.
    """
    if action == "start":
        if (holder := library.holder()) is not None:
            raise errors.AlreadyRunning(verb=holder["verb"], pid=holder["pid"])
        running.start_detached(library, ["--library", str(library.path), "embed", "--index"])
        return
    asked = {
        "stop": control.ControlRequest(stop=True),
        "pause": control.ControlRequest(pause=True),
        "resume": control.ControlRequest(pause=False),
    }
    running.request(library, asked[action])


class Watcher:
    """Looks at the library while somebody listens, once for all of them."""

    def __init__(self, threads: Threads[Library], *, can_control: bool) -> None:
        self._threads = threads
        self._can_control = can_control
        self._listeners: set[asyncio.Queue[schemas.Status | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._hurried_at = -_HURRY_SECONDS
        self._closed = False

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    async def look(self) -> schemas.Status:
        """Return the state now."""
        return await self._threads.run(lambda library: look(library, can_control=self._can_control))

    def hurry(self) -> None:
        """Look often for a while: somebody has pressed a button."""
        self._hurried_at = time.monotonic()

    async def changes(self, quiet_seconds: float) -> AsyncIterator[schemas.Status | None]:
        """Yield the state at once and whenever it has changed, None when nothing has for a while; end with the server."""
        box: asyncio.Queue[schemas.Status | None] = asyncio.Queue(1)
        self._listeners.add(box)
        try:
            told = await self.look()
            yield told
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._watch())
            while not self._closed:
                try:
                    state = await asyncio.wait_for(box.get(), quiet_seconds)
                except TimeoutError:
                    yield None
                    continue
                if state is None:
                    return
                if _seen(state) != _seen(told):
                    told = state
                    yield told
        finally:
            self._listeners.discard(box)

    async def close(self) -> None:
        """End all streams."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for box in self._listeners:
            _replace(box, None)

    async def _watch(self) -> None:
        """Look, and put each new state before all listeners."""
        before: schemas.Status | None = None
        while self._listeners:
            with contextlib.suppress(errors.PixfindError, OSError):
                now = await self.look()
                if before is None or _seen(now) != _seen(before):
                    before = now
                    for box in self._listeners:
                        _replace(box, now)
            busy = before is not None and before.running
            hurried = time.monotonic() - self._hurried_at < _HURRY_SECONDS
            await asyncio.sleep(_LOOK_SECONDS if busy or hurried else _IDLE_LOOK_SECONDS)


def _seen(state: schemas.Status) -> dict[str, object]:
    return state.model_dump(exclude=_VOLATILE)


def _replace(box: asyncio.Queue[schemas.Status | None], state: schemas.Status | None) -> None:
    """A slow listener gets the newest state, not all of them."""
    with contextlib.suppress(asyncio.QueueEmpty):
        box.get_nowait()
    box.put_nowait(state)


def can_control(path: Path) -> bool:
    """Whether this user may write the library, and so embed."""
    return os.access(path, os.W_OK)
