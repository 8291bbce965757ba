"""
The pictures of a library at the address of another `pixfind serve`.

Owns how its API is asked, and what of its answers may reach a browser: whoever answers there may be no friend of this server's users. Must
not know tokens or sockets (`collection.connection`).
"""

import asyncio
import contextlib
import os
import re
import tempfile
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pixfind import errors
from pixfind.collection import wire
from pixfind.collection.config import MemberConfig
from pixfind.collection.connection import Connection, Patience, refusal
from pixfind.collection.member import NoAnswerError
from pixfind.collection.remote import checked, refusals_checked
from pixfind.images import source
from pixfind.server import count_schemas, file_response, images, remote_answers, schemas, selection, status_schemas
from pixfind.server.library_view import Original
from pixfind.server.resource_pool import ResourcePool

M = TypeVar("M", bound=BaseModel)

_API: Final = "/api/v1"
_CONNECTIONS: Final = 4
_STREAMS: Final = 8
"""files that are passed on at the same time"""
_MAX_QUEUE: Final = 400

_OK, _PARTIAL, _UNCHANGED, _NO_RANGE, _REFUSED = 200, 206, 304, 416, 400
_FILE: Final = frozenset({_OK, _PARTIAL, _UNCHANGED, _NO_RANGE})

_ASKED: Final = ("range", "if-range", "if-none-match")
"""of a request for a file. Never the cookie or the token of this server."""

_ANSWERED: Final = ("content-length", "content-range", "accept-ranges", "etag", "last-modified")
"""of a response with a file; what a browser does with it is decided here"""

_NAME: Final = re.compile(r"(?:inline|attachment); filename\*=UTF-8''([A-Za-z0-9_.~%-]{1,2000})")

_SHOWN: Final = frozenset({mime for _, mime in images.INLINE_TYPES} | {"image/webp", "image/avif"})
_PLAYED: Final = frozenset({"video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/ogg"})
_JPEG: Final = b"\xff\xd8\xff"


class RemoteView:
    """See `library_view.LibraryView`. Every method raises NoAnswerError where no answer comes, and FileUnavailable or NoThumbnail where that is the answer."""

    def __init__(self, config: MemberConfig, seconds: float) -> None:
        """Prepare a view that waits `seconds` for each answer."""
        self._config = config
        self._seconds = seconds
        self._patience = Patience()
        made = [Connection(config, self._patience) for _ in range(_CONNECTIONS)]
        self._connections = ResourcePool(f"look {config.name}", made, max_queue=_MAX_QUEUE)
        self._streams = ThreadPoolExecutor(_STREAMS, thread_name_prefix=f"files {config.name}")

    @property
    def waiting(self) -> int:
        return self._connections.waiting

    @property
    def completed(self) -> int:
        return self._connections.completed

    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        # A search with neither words nor filters is refused: every path.
        wanted = page if page.filters() else page.model_copy(update={"inside": "*"})
        return await self._filtered(f"{_API}/search", schemas.SearchResponse, wanted)

    async def timeline(self, page: schemas.Page) -> count_schemas.Timeline:
        return await self._filtered(f"{_API}/timeline", count_schemas.Timeline, page)

    async def facets(self, page: schemas.Page, ids: Sequence[int] | None) -> count_schemas.Facets:
        if ids is None:
            return await self._filtered(f"{_API}/facets", count_schemas.Facets, page)
        return await self._filtered(f"{wire.PATH}/facets", count_schemas.Facets, page, [_ids(ids)])

    async def folders(self, page: schemas.Page, below: str | None) -> count_schemas.Folders:
        inside = [] if below is None else [("below", below)]
        return await self._filtered(f"{_API}/folders", count_schemas.Folders, page, inside)

    async def places(self, view: count_schemas.MapView) -> count_schemas.Places:
        return await self._filtered(f"{_API}/places", count_schemas.Places, view)

    async def similarity(self, view: count_schemas.SimilarityView) -> count_schemas.SimilarityGroups:
        return await self._filtered(f"{_API}/similarity", count_schemas.SimilarityGroups, view)

    async def warm(self) -> None:
        pass

    async def hit_metadata(self, ids: Sequence[int]) -> dict[int, schemas.HitMetadata]:
        found: dict[int, schemas.HitMetadata] = {}
        # A page of hits with stacks has more of them than one request may name.
        for start in range(0, len(ids), selection.MAX_IMAGES):
            part = [_ids(ids[start : start + selection.MAX_IMAGES])]
            found |= (await self._json(f"{wire.PATH}/metadata", schemas.MetadataOfHits, part)).hits
        return found

    async def status(self) -> status_schemas.Status:
        data = await self._connections.run(
            lambda connection: connection.ask("GET", f"{_API}/status", None, self._seconds)
        )
        return checked(lambda: remote_answers.status(data))

    async def failures(self, reason: str | None, offset: int, k: int) -> schemas.Failures:
        wanted = [("offset", str(offset)), ("k", str(k)), *([] if reason is None else [("reason", reason)])]
        return await self._json(f"{_API}/failures", schemas.Failures, wanted)

    async def metadata(self, image_id: int) -> schemas.Metadata:
        data = await self._of_image(image_id, f"{_API}/images/{image_id}")
        return checked(lambda: remote_answers.read(schemas.Metadata, data))

    async def thumbnail(self, image_id: int, side: int) -> bytes:
        jpeg = await self._of_image(image_id, f"{_API}/images/{image_id}/thumbnail?size={side}")
        if not jpeg.startswith(_JPEG):
            raise NoAnswerError("its thumbnail is no JPEG")
        return jpeg

    async def file(self, request: Request, image_id: int) -> Response:
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        connection, response = await self._opened(image_id, headers)
        answered = {name: value for name in _ANSWERED if (value := response.headers.get(name)) is not None}
        kind = response.headers.get("content-type", "")
        media_type = kind if kind in _SHOWN | _PLAYED else None
        named = _NAME.fullmatch(response.headers.get("content-disposition", ""))
        answered |= file_response.shown_as(named[1] if named else "picture", media_type, is_video=kind in _PLAYED)
        media_type = media_type or "application/octet-stream"
        if request.scope.get(file_response.IS_HEAD) or response.status in (_UNCHANGED, _NO_RANGE):
            connection.close()
            return Response(status_code=response.status, headers=answered, media_type=media_type)
        return StreamingResponse(self._passed_on(connection, response), response.status, answered, media_type)

    async def original(self, image_id: int) -> Original:
        metadata = await self.metadata(image_id)
        connection, response = await self._opened(image_id, {})
        with tempfile.TemporaryFile() as copy:
            async with contextlib.aclosing(self._parts(connection, response)) as parts:
                async for part in parts:
                    copy.write(part)
                    if copy.tell() > selection.MAX_BYTES:
                        raise NoAnswerError(f"its file is over {selection.MAX_BYTES // 10**6:,} MB")
            copy.seek(0)
            descriptor = os.dup(copy.fileno())
        if not source.is_video(metadata.path):
            return Original(metadata.name, descriptor, None)
        file = source.file_of(metadata.path)
        return Original(file.rpartition("/")[2], descriptor, f"{self._config.address} {file}")

    async def selection(self, ids: Sequence[int]) -> schemas.Selection:
        return await self._json(f"{_API}/selection", schemas.Selection, [_ids(ids)])

    def close(self) -> None:
        # Their sockets have limits of time: nothing is waited for here.
        self._streams.shutdown(wait=False, cancel_futures=True)
        self._connections.close()
        for connection in self._connections.resources:
            connection.close()

    async def _json(self, path: str, model: type[M], parameters: Sequence[tuple[str, str]]) -> M:
        asked = f"{path}?{urllib.parse.urlencode(parameters)}"
        data = await self._connections.run(lambda connection: connection.ask("GET", asked, None, self._seconds))
        return checked(lambda: remote_answers.read(model, data))

    async def _filtered(self, path: str, model: type[M], page: schemas.Page, more: Sequence[tuple[str, str]] = ()) -> M:
        """As `_json`, with the filters and the place of a page; raises InvalidFilter where the library lacks what they name."""
        with refusals_checked(page.label, page.where):
            return await self._json(path, model, [*_parameters(page), *more])

    async def _of_image(self, image_id: int, path: str) -> bytes:
        status, data = await self._connections.run(
            lambda connection: connection.request("GET", path, None, self._seconds)
        )
        self._check(image_id, status, data)
        return data

    def _check(self, image_id: int, status: int, data: bytes) -> None:
        """Raise the error of an answer about one image that is no success."""
        if status < _REFUSED:
            return
        why = f"{self._config.name} says {refusal(status, data)}"
        if status == 404:  # noqa: PLR2004  HTTP
            raise errors.FileUnavailable(image_id=image_id, detail=f"{self._config.name} has no such file now")
        if status in (403, 415, 422):
            raise errors.NoThumbnail(image_id=image_id, detail=why)
        raise NoAnswerError(refusal(status, data))

    async def _opened(self, image_id: int, headers: dict[str, str]) -> tuple[Connection, HTTPResponse]:
        """Return the response to a request for a file, whose body is still to be read, and its connection."""
        connection = Connection(self._config, self._patience)
        path = f"{_API}/images/{image_id}/file"
        response = await self._in_stream(lambda: connection.open(path, headers, self._seconds))
        if response.status not in _FILE:
            data = await self._in_stream(lambda: connection.part(response, self._seconds))
            connection.close()
            self._check(image_id, response.status, data)
            raise NoAnswerError(f"status {response.status}")
        return connection, response

    async def _parts(self, connection: Connection, response: HTTPResponse) -> AsyncGenerator[bytes, None]:
        with contextlib.closing(connection):
            while part := await self._in_stream(lambda: connection.part(response, self._seconds)):
                yield part

    async def _passed_on(self, connection: Connection, response: HTTPResponse) -> AsyncIterator[bytes]:
        try:
            async for part in self._parts(connection, response):
                yield part
        except NoAnswerError as error:
            # The browser sees that bytes are missing; in the log it would look like a bug of ours.
            raise asyncio.CancelledError from error

    async def _in_stream(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._streams, work)


def _ids(ids: Sequence[int]) -> tuple[str, str]:
    return "ids", ",".join(map(str, ids))


def _parameters(page: schemas.Page) -> list[tuple[str, str]]:
    """Return the filters and the place of a page as parameters of a request; not its query."""
    values = page.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"q"})
    return [
        (name, str(each).lower() if isinstance(each, bool) else str(each))
        for name, value in values.items()
        for each in (value if isinstance(value, list) else [value])
    ]
