"""
Which question goes where: the routes of the API and of the page.

Owns paths, parameters and headers; each route is a few lines that call the module that answers. Must not decide anything.
"""

import asyncio
import hashlib
import os
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi import Path as InPath
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse

import pixfind
from pixfind import errors
from pixfind.library.library import Library
from pixfind.server import embed_control, error_handlers, images, openai_api, schemas, uploads
from pixfind.server.metrics import CONTENT_TYPE
from pixfind.server.services import Services

PAGE = Path(__file__).parent / "page"

_DAY = "private, max-age=86400"
_QUIET_SECONDS = 15.0
_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_CHUNK = 256 * 1024
_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": schemas.Refusal}, 503: {"model": schemas.Refusal}}

_BYTES = {"type": "string", "format": "binary"}
_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": _BYTES}, "application/octet-stream": {"schema": _BYTES}},
    }
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    """How a body is described that is read here, as it comes, and not by FastAPI, which would read it without a limit."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


Id = Annotated[int, InPath(ge=1, le=schemas.LARGEST_ID)]


def make(services: Services) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="pixfind",
        version=pixfind.__version__,
        description="Search your own pictures by what they show.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    error_handlers.install(app)
    app.include_router(_searching(services), prefix="/api", responses=_ERRORS)
    app.include_router(_images(services), prefix="/api/images", responses=_ERRORS)
    app.include_router(_state(services), prefix="/api", responses=_ERRORS)
    app.include_router(_programs(services), responses=_ERRORS)
    app.include_router(_page())
    return app


def _searching(services: Services) -> APIRouter:
    router = APIRouter(tags=["search"])

    @router.get("/search", response_model=schemas.Found)
    async def search(asked: Annotated[schemas.Search, Query()]) -> Response:
        """Search by words and pictures of the library."""
        return Response(await services.finder.answer(asked), media_type="application/json")

    @router.post("/search", openapi_extra=_PICTURE)
    async def search_by_picture(request: Request, asked: Annotated[schemas.Search, Query()]) -> schemas.Found:
        """Search by an uploaded picture, the body of the request; `q` is added to it."""
        async with services.bodies.read(request, uploads.MOST_PICTURE_BYTES) as picture:
            return await services.finder.search(asked, picture)

    return router


def _images(services: Services) -> APIRouter:
    router = APIRouter(tags=["images"])

    @router.get("/{image_id}")
    async def metadata(image_id: Id) -> schemas.Metadata:
        """What is known of one image."""
        return await services.looks.run(lambda library: images.metadata(library, image_id))

    @router.get("/{image_id}/similar")
    async def similar(image_id: Id, page: Annotated[schemas.Page, Query()]) -> schemas.Found:
        """Pictures that look like this one."""
        return await services.finder.similar(image_id, page)

    @router.get("/{image_id}/thumbnail", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
    async def thumbnail(request: Request, image_id: Id, size: Annotated[int, Query(ge=1, le=1024)] = 256) -> Response:
        """A JPEG whose longer side is `size`, rounded up to 128, 256, 512 or 1024."""
        side = images.side_for(size)
        made = await services.looks.run(lambda library: services.thumbnails.get(library, image_id, side))
        return _cached(request, made, "image/jpeg", _DAY)

    @router.get("/{image_id}/file", response_class=Response, responses={200: {"content": {"image/*": {}}}})
    async def file(image_id: Id) -> Response:
        """The file itself, as it is."""
        known, descriptor = await services.looks.run(lambda library: _opened(library, image_id))
        return _sent(known, descriptor)

    return router


def _opened(library: Library, image_id: int) -> tuple[images.Shown, int]:
    known = images.image(library, image_id)
    return known, images.open_file(known)


def _cached(request: Request, body: bytes, kind: str, how: str) -> Response:
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": how}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=kind)


def _sent(known: images.Shown, descriptor: int) -> Response:
    """Stream a file; only what a browser shows and never runs is shown in place."""
    file = os.fdopen(descriptor, "rb")
    head = file.read(16)
    file.seek(0)
    kind = images.media_type(head)
    name = urllib.parse.quote(os.fsencode(known.name))
    headers = {
        "Content-Length": str(os.fstat(descriptor).st_size),
        "Content-Disposition": f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
    }

    def chunks() -> Any:
        with file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return StreamingResponse(chunks(), headers=headers, media_type=kind or "application/octet-stream")


def _state(services: Services) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/status")
    async def status() -> schemas.Status:
        """What there is, and how a running embed stands."""
        return await services.watcher.look()

    @router.get("/failures")
    async def failures(
        reason: str | None = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        k: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> schemas.Failures:
        """Images without an embedding, and why."""
        return await services.looks.run(lambda library: embed_control.failures(library, reason, offset, k))

    @router.get("/events", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def events() -> Response:
        """The status whenever it changes, as server-sent events."""

        async def stream() -> AsyncIterator[str]:
            async for state in services.watcher.changes(_QUIET_SECONDS):
                yield ": nothing new\n\n" if state is None else f"event: status\ndata: {state.model_dump_json()}\n\n"

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream(), headers=headers, media_type="text/event-stream")

    @router.post("/embed", status_code=202, openapi_extra=_json(schemas.Control.model_json_schema()))
    async def embed(request: Request, x_pixfind: Annotated[str, Header(pattern="^1$")]) -> schemas.Status:  # noqa: ARG001  checked by its type
        """Start, pause, resume or stop the embedding. The header `X-Pixfind: 1` shows that no other site asks."""
        if not services.can_control:
            raise errors.ControlForbidden
        async with services.bodies.read(request, uploads.MOST_JSON_BYTES) as body:
            asked = _control(body)
        await services.looks.run(lambda library: embed_control.act(library, asked.action))
        services.watcher.hurry()
        return await services.watcher.look()

    return router


def _control(body: bytes) -> schemas.Control:
    try:
        return schemas.Control.model_validate_json(body)
    except ValidationError as error:
        raise errors.InputWrong(detail="the body is not {action: start, pause, resume or stop}") from error


def _programs(services: Services) -> APIRouter:
    router = APIRouter(tags=["programs"])

    @router.post("/v1/embeddings", openapi_extra=_json(openai_api.REQUEST_SCHEMA))
    async def embed(request: Request) -> Response:
        """Embeddings of texts and pictures, as clients of OpenAI's API ask for them."""
        async with services.bodies.read(request, openai_api.MOST_BYTES) as body:
            asked = await asyncio.to_thread(openai_api.read, body)
        model = await services.looks.run(lambda library: library.model())
        if model is None:
            raise errors.NotEmbedded(path="this library")
        return JSONResponse(await openai_api.embed(services.finder.encoders, asked, model.name))

    @router.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Whether the server answers: the model and the index are loaded."""
        return {"ok": True}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(services.metrics.text(await services.watcher.look()), media_type=CONTENT_TYPE)

    return router


def _page() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    files = {
        path.name: (path.read_bytes(), _PAGE_TYPES[path.suffix])
        for path in PAGE.iterdir()
        if path.suffix in _PAGE_TYPES
    }

    @router.get("/")
    async def page(request: Request) -> Response:
        return _cached(request, *files["index.html"], "no-cache")

    @router.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            return error_handlers.refusal(404, "there is no such file", "NotFound")
        return _cached(request, *files[name], "no-cache")

    return router
