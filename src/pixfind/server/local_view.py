"""
The pictures of a library in a folder of this machine.

Owns the libraries that are open for requests other than searches, and their threads.
"""

import asyncio
import contextlib
import functools
import os
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from pixfind import errors
from pixfind.collection.member import LibraryOnDemand
from pixfind.library.library import Library
from pixfind.search.filters import NO_FILTERS, kilometres
from pixfind.server import (
    browse,
    count_schemas,
    embed_control,
    facets,
    file_response,
    images,
    places,
    responses,
    schemas,
    selection,
    similarity,
    status_schemas,
)
from pixfind.server.columns_reader import ColumnsReader
from pixfind.server.library_view import Original
from pixfind.server.resource_pool import ResourcePool
from pixfind.server.watch_control import WatchControl
from pixfind.worker.decoders import DecoderPool

R = TypeVar("R")

_MAX_QUEUE: Final = 400

_BATCH: Final = 50
"""files that are looked at before others get their turn"""


class LocalView:
    """See `library_view.LibraryView`."""

    def __init__(
        self,
        path: Path,
        decoders: DecoderPool,
        threads: int,
        control: WatchControl | None = None,
        *,
        needs_token: bool = False,
    ) -> None:
        """
        Prepare a view with as many threads as open libraries.

        `control` has the watch of this server. `needs_token`: nobody asks without the token, so a folder that is added shows its pictures to no other user.
        """
        self.path = path
        self.can_control = embed_control.can_control(path)
        opened = [LibraryOnDemand(path) for _ in range(threads)]
        self.libraries = ResourcePool("look", opened, max_queue=_MAX_QUEUE)
        self.can_add_folders = self.can_control and needs_token
        self._columns = ColumnsReader(path)
        self._thumbnails = images.Thumbnails(path / "thumbnails", decoders)
        self._control = control

    @property
    def waiting(self) -> int:
        return self.libraries.waiting

    @property
    def completed(self) -> int:
        return self.libraries.completed

    async def run(self, work: Callable[[Library], R]) -> R:
        """Run `work` with a library that nobody else uses meanwhile."""

        def with_distances(library: Library) -> R:
            # A searcher gives its own catalogue this function; these belong to no searcher.
            library.catalogue.add_function("km", 4, kilometres)
            return work(library)

        return await self.libraries.run(lambda opened: with_distances(opened.get()))

    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        filters = page.filters()
        return await self.run(lambda library: browse.newest(library, page, filters, ""))

    async def timeline(self, page: schemas.Page) -> count_schemas.Timeline:
        filters = page.filters()
        if filters == NO_FILTERS:
            # An index counts them, and always all of them: places in the timeline are cursors.
            return await self.run(browse.months)
        read = await self._columns.latest()
        found = await self.run(lambda library: browse.timeline(library, filters, read.columns))
        return found.model_copy(update={"current": read.is_current})

    async def facets(self, page: schemas.Page, ids: Sequence[int] | None) -> count_schemas.Facets:
        filters = page.filters()
        if ids is not None:
            return await self.run(lambda library: facets.count_of(library, ids))
        read = await self._columns.latest()
        found = await self.run(lambda library: facets.count(library, filters, read.columns))
        return found.model_copy(update={"current": read.is_current})

    async def folders(self, page: schemas.Page, below: str | None) -> count_schemas.Folders:
        filters = page.filters()
        read = await self._columns.latest()
        found = await self.run(lambda library: facets.folders(library, filters, below, read.columns))
        return found.model_copy(update={"current": read.is_current})

    async def places(self, view: count_schemas.MapView) -> count_schemas.Places:
        filters = view.filters()
        read = await self._columns.latest()
        found = await self.run(lambda library: places.places(library, filters, view, read.columns))
        return found.model_copy(update={"current": read.is_current})

    async def similarity(self, view: count_schemas.SimilarityView) -> count_schemas.SimilarityGroups:
        filters = view.filters()
        read = await self._columns.latest()
        found = await self.run(lambda library: similarity.groups(library, filters, view, read.columns))
        return found.model_copy(update={"current": read.is_current})

    async def contents(self, ids: Sequence[int]) -> list[bytes]:
        """Return the content hashes of images, in their order; raises ImageNotFound."""
        return await self.run(lambda library: images.contents(library, ids))

    async def warm(self) -> None:
        with contextlib.suppress(errors.PixfindError):
            await self._columns.latest()

    async def hit_metadata(self, ids: Sequence[int]) -> dict[int, schemas.HitMetadata]:
        return await self.run(lambda library: responses.hit_metadata(library, ids))

    async def status(self) -> status_schemas.Status:
        return await self.run(
            lambda library: embed_control.read_status(
                library, self._control, can_control=self.can_control, can_add_folders=self.can_add_folders
            )
        )

    async def failures(self, reason: str | None, offset: int, k: int) -> schemas.Failures:
        return await self.run(lambda library: embed_control.failures(library, reason, offset, k))

    async def metadata(self, image_id: int) -> schemas.Metadata:
        return await self.run(lambda library: images.metadata(library, image_id))

    async def thumbnail(self, image_id: int, side: int) -> bytes:
        return await self.run(lambda library: self._thumbnails.get(library, image_id, side))

    async def file(self, request: Request, image_id: int) -> Response:
        record, descriptor = await self._opened(image_id)
        return _file_response(request, record, descriptor)

    async def original(self, image_id: int) -> Original:
        record, descriptor = await self._opened(image_id)
        video = schemas.display_path(record.file) if record.is_video else None
        return Original(schemas.display_path(record.file_name), descriptor, video)

    async def selection(self, ids: Sequence[int]) -> schemas.Selection:
        found = []
        for start in range(0, len(ids), _BATCH):
            found += await self.run(functools.partial(selection.sizes, ids[start : start + _BATCH]))
        return selection.described(ids, found)

    async def _opened(self, image_id: int) -> tuple[images.ImageRecord, int]:
        opening = asyncio.ensure_future(self.run(lambda library: images.opened(library, image_id)))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Nobody waits any longer for a disk that is slow.
            opening.add_done_callback(_close)
            raise

    def close(self) -> None:
        self._columns.close()
        self.libraries.close()
        for each in self.libraries.resources:
            each.close()


def _close(opening: "asyncio.Future[tuple[images.ImageRecord, int]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[1])


def _file_response(request: Request, record: images.ImageRecord, descriptor: int) -> Response:
    """Return a file; the browser may display only types in which nothing can run, and downloads all others."""
    head = os.pread(descriptor, 64, 0)
    media_type = images.video_type(head) if record.is_video else images.media_type(head)
    name = urllib.parse.quote(os.fsencode(record.file_name))
    headers = file_response.shown_as(name, media_type, is_video=record.is_video)
    return file_response.of_file(
        request, descriptor, headers, media_type or "application/octet-stream", images.version(record, descriptor)
    )
