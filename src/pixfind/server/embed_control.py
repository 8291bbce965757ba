"""
The status of the library, as a value and as a stream, and the control of an embed.

Owns the content of `/api/status` and the polling behind the event stream. An embed that is started here is a separate process, which keeps
running when the server ends. Must not know HTTP.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.library import control, fields, labels
from pixfind.library.library import Library, default_path
from pixfind.search import similarity_map
from pixfind.server import schemas, status_schemas
from pixfind.server.watch_control import Stopped, WatchControl
from pixfind.types import Reason
from pixfind.workflows import running, status

_POLL_SECONDS = 0.5
_IDLE_POLL_SECONDS = 2.0
_FAST_POLL_SECONDS = 20.0
_STARTING = Stopped(Reason("Starting", "it is starting"), None)
_VOLATILE = {"free_bytes", "bytes"}
"""Fields that change all the time: a change of these alone is not sent."""


def read_status(
    library: Library, control: WatchControl | None = None, *, can_control: bool, can_add_folders: bool = False
) -> status_schemas.Status:
    """Return the status of a library; `control` has the watch of this server."""
    now = status.status(library)
    values = now.values()
    values["failures"] = {reason or "": count for reason, count in now.failures.items()}
    values["offline"] = {schemas.display_path(root): why for root, why in now.offline.items()}
    for root in values["roots"]:
        root["path"], outer = schemas.display_path(root["path"]), root["mounted_in"]
        root["mounted_in"] = None if outer is None else schemas.display_path(outer)
    values["pause_reason"] = values.pop("paused", None)
    values["watch"] = _watch(now.watch, control)
    return status_schemas.Status(
        **values,
        searchable_rows=now.merged_rows,
        searchable_images=_searchable_images(now),
        is_default_library=library.path == default_path(),
        paused=values["pause_reason"] is not None,
        can_control=can_control,
        can_add_folders=can_add_folders,
        folders=[schemas.display_path(root.path) for root in library.catalogue.roots()],
        fields=fields.names(library.catalogue),
        labels=labels.names(library.catalogue),
        has_similarity_map=similarity_map.identity(library.data) is not None,
    )


def _searchable_images(now: status.Status) -> int:
    """Count the images that searches find, by the ledger alone: rows of images that have gone, and images that are not merged yet, are none of them."""
    return min(now.merged_rows, now.images["embedded"]) + now.images["duplicate"] if now.merged_rows else 0


def _watch(running: dict[str, Any] | None, control: WatchControl | None) -> status_schemas.Watch | None:
    if running is not None:
        rescanned = {schemas.display_path(folder): why for folder, why in running["rescanned"].items()}
        reasons = {schemas.display_path(folder): why for folder, why in running["reasons"].items()}
        return status_schemas.Watch(
            running=True,
            rescan_minutes=running["rescan_minutes"],
            rescanned=rescanned,
            reasons=reasons,
            stopped=None,
        )
    if control is None:
        return None
    stopped = control.stopped or _STARTING
    return status_schemas.Watch(
        running=False,
        rescan_minutes=None,
        rescanned={},
        stopped=str(stopped),
        stop=status_schemas.Reason(**asdict(stopped.reason)),
        starts_again_in=stopped.starts_again_in,
    )


def failures(library: Library, reason: str | None, offset: int, k: int) -> schemas.Failures:
    """Return `k` images without an embedding, from `offset` on, for one reason or all (None)."""
    found = library.catalogue.rows("failures_page", "search.sql", reason=reason, limit=k + 1, offset=offset)
    made = [
        schemas.Failure(image_id=image_id, path=schemas.display_path(path), reason=why) for image_id, path, why in found
    ]
    return schemas.Failures(failures=made[:k], more=len(made) > k)


def act(library: Library, action: str) -> None:
    """
    Start, pause, resume or stop the embed of a library, or scan its folders and embed what has changed.

    Raises AlreadyRunning for a start or a scan while another process writes, NothingRunning for the others while none embeds.
    """
    starts = {"start": ("embed", "--index"), "scan": ("index",)}
    if action in starts:
        if (holder := library.holder()) is not None:
            raise errors.AlreadyRunning(verb=holder["verb"], pid=holder["pid"])
        running.start_detached(library, ["--library", str(library.path), *starts[action]])
        return
    requests = {
        "stop": control.ControlRequest(stop=True),
        "pause": control.ControlRequest(pause=True),
        "resume": control.ControlRequest(pause=False),
    }
    running.request(library, requests[action])


class StatusWatcher:
    """Polls the status while at least one stream is open, once for all streams."""

    def __init__(self, read: Callable[[], Awaitable[status_schemas.Status]]) -> None:
        """Poll `read`, which raises Overloaded."""
        self.status = read
        self._listeners: set[asyncio.Queue[status_schemas.Status | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._fast_since = -_FAST_POLL_SECONDS
        self._closed = False

    @property
    def listeners(self) -> int:
        """Open streams."""
        return len(self._listeners)

    def poll_faster(self) -> None:
        """Poll often for a while: an embed is about to start, pause or stop."""
        self._fast_since = time.monotonic()

    async def changes(self, keep_alive: float) -> AsyncIterator[status_schemas.Status | None]:
        """Yield the status at once and after each change, None when nothing changed for `keep_alive` seconds; ends with the server."""
        queue: asyncio.Queue[status_schemas.Status | None] = asyncio.Queue(1)
        self._listeners.add(queue)
        try:
            sent = await self.status()
            yield sent
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._watch())
            while not self._closed:
                try:
                    state = await asyncio.wait_for(queue.get(), keep_alive)
                except TimeoutError:
                    yield None
                    continue
                if state is None:
                    return
                if _without_volatile(state) != _without_volatile(sent):
                    sent = state
                    yield sent
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        """End all streams."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for queue in self._listeners:
            _replace(queue, None)

    async def _watch(self) -> None:
        """Poll, and put each changed status into all queues, until no stream is open."""
        before: status_schemas.Status | None = None
        while self._listeners:
            with contextlib.suppress(errors.PixfindError, OSError):
                now = await self.status()
                if before is None or _without_volatile(now) != _without_volatile(before):
                    before = now
                    for queue in self._listeners:
                        _replace(queue, now)
            busy = before is not None and before.running
            fast = time.monotonic() - self._fast_since < _FAST_POLL_SECONDS
            await asyncio.sleep(_POLL_SECONDS if busy or fast else _IDLE_POLL_SECONDS)


def _without_volatile(state: status_schemas.Status) -> dict[str, object]:
    return state.model_dump(exclude=_VOLATILE)


def _replace(queue: asyncio.Queue[status_schemas.Status | None], state: status_schemas.Status | None) -> None:
    """Replace a status that was not read yet: a slow client gets the newest one, not all of them."""
    with contextlib.suppress(asyncio.QueueEmpty):
        queue.get_nowait()
    queue.put_nowait(state)


def can_control(path: Path) -> bool:
    """Tell whether this user may write the library, and so embed."""
    return os.access(path, os.W_OK)
