"""
The routes of the API and of the page.

Owns paths, parameters and headers; each route is a few lines that call the module that does the work.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi import Path as InPath
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

import pixfind
from pixfind import errors
from pixfind.collection import wire
from pixfind.images import thumbnails
from pixfind.server import (
    album_routes,
    count_schemas,
    error_handlers,
    file_response,
    images,
    knn_service,
    member_api,
    openai_api,
    root_routes,
    schemas,
    selection_routes,
    status_schemas,
    uploads,
)
from pixfind.server.access import CLIENT
from pixfind.server.clients import PerClient, share
from pixfind.server.compression import Compression
from pixfind.server.counted_response import CountedResponse
from pixfind.server.metrics import CONTENT_TYPE
from pixfind.server.search import SearchService
from pixfind.server.services import Services

PAGE = Path(__file__).parent / "page"

_API = "/api/v1"
"""kept for ever: what is incompatible gets another number"""

_DAY = "private, max-age=86400"
_KEEP_ALIVE_SECONDS = 15.0
_PAGE_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_MAX_STREAMS = 16
"""event streams of one client: each lasts as long as it likes, and other requests must find room"""
_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schemas.ErrorResponse},
    503: {"model": schemas.ErrorResponse},
    504: {"model": schemas.ErrorResponse},
}

_SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "not needed with `pixfind serve --no-token`"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "pixfind_session_PORT",
        "description": "of a browser that has shown the token",
    },
}

_BYTES = {"type": "string", "format": "binary"}
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": _BYTES}, "application/octet-stream": {"schema": _BYTES}},
    }
}


Id = Annotated[int, InPath(ge=1, le=schemas.MAX_ID, description="`image_id` of a hit")]


def make(services: Services) -> FastAPI:
    """Return the ASGI application."""
    app = FastAPI(
        title="pixfind",
        version=pixfind.__version__,
        servers=[{"url": "/", "description": "the server that this description comes from"}],
        description="Search your own pictures by what they show.",
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
        # Names of methods in clients that are made from the description.
        generate_unique_id_function=lambda route: f"{route.tags[0]}_{route.name}" if route.tags else route.name,
    )
    error_handlers.install(app)
    app.add_middleware(_Rewriting)
    app.add_middleware(Compression)
    app.include_router(_search_routes(services), prefix=_API, responses=_ERRORS)
    app.include_router(_image_routes(services), prefix=f"{_API}/images", responses=_ERRORS)
    app.include_router(selection_routes.make(services), prefix=f"{_API}/selection", responses=_ERRORS)
    app.include_router(album_routes.make(services), prefix=f"{_API}/albums", responses=_ERRORS)
    app.include_router(_state_routes(services), prefix=_API, responses=_ERRORS)
    app.include_router(root_routes.make(services), prefix=_API, responses=_ERRORS)
    app.include_router(_member_routes(services), prefix=wire.PATH, responses=_ERRORS)
    app.include_router(_program_routes(services), responses=_ERRORS)
    app.include_router(_page_routes())
    described = app.openapi()
    described["components"]["securitySchemes"] = _SECURITY_SCHEMES
    described["security"] = [{name: []} for name in _SECURITY_SCHEMES]
    described["paths"]["/healthz"]["get"]["security"] = []
    return app


class _Rewriting:
    """
    Answers HEAD as GET, and /api/... as /api/v1/...

    uvicorn, which knows the method that was sent, leaves the body out. The paths without a version are those of the first release; they stay.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/") and not scope["path"].startswith(f"{_API}/"):
            # In its place: the metrics find the route there.
            scope["path"] = _API + scope["path"].removeprefix("/api")
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", file_response.IS_HEAD: True}
        await self._app(scope, receive, send)


def _search_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["search"])

    @router.get("/search", response_model=schemas.SearchResponse)
    async def search(parameters: Annotated[schemas.SearchRequest, Query()]) -> Response:
        """Search by words and pictures of the library."""
        return Response(await services.searches.response_json(parameters), media_type="application/json")

    @router.post("/search", openapi_extra=_IMAGE_BODY)
    async def search_by_picture(
        request: Request, parameters: Annotated[schemas.SearchRequest, Query()]
    ) -> schemas.SearchResponse:
        """Search by an uploaded picture, the body of the request; `q` is added to it."""
        async with services.uploads.read(request, uploads.MAX_IMAGE_BYTES) as picture:
            return await services.searches.search(parameters, picture)

    @router.get("/timeline", response_model=count_schemas.Timeline)
    async def timeline(parameters: Annotated[schemas.Page, Query()]) -> Response:
        """How many images that pass the filters each month has, and where to begin with it."""
        return Response(await services.searches.timeline_json(parameters, services.view), media_type="application/json")

    @router.get("/facets", response_model=count_schemas.Facets)
    async def facets(parameters: Annotated[schemas.SearchRequest, Query()]) -> Response:
        """How many images of a result have which camera, shape, year and kind; of a query the 500 best hits are counted."""
        return Response(await services.searches.facets_json(parameters, services.view), media_type="application/json")

    @router.get("/places", response_model=count_schemas.Places)
    async def places(parameters: Annotated[count_schemas.MapView, Query()]) -> Response:
        """Where the images that pass the filters were taken: images close together on a map are one place."""
        return Response(await services.searches.places_json(parameters, services.view), media_type="application/json")

    @router.get("/similarity")
    async def similarity(
        parameters: Annotated[count_schemas.SimilarityView, Query()],
    ) -> count_schemas.SimilarityGroups:
        """Which images that pass the filters look alike: those close together on the similarity map are one group."""
        return await services.view.similarity(parameters)

    @router.get("/folders", response_model=count_schemas.Folders)
    async def folders(
        parameters: Annotated[schemas.Page, Query()],
        below: Annotated[
            str | None, Query(max_length=1_000, description="`path` of a folder; without it, the roots")
        ] = None,
    ) -> Response:
        """The folders in the folder `below`, or the roots, and how many images that pass the filters each has."""
        return Response(
            await services.searches.folders_json(parameters, below, services.view), media_type="application/json"
        )

    return router


def _image_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["images"])

    @router.get("/{image_id}")
    async def metadata(image_id: Id) -> schemas.Metadata:
        """Metadata of one image."""
        return await services.view.metadata(image_id)

    @router.get("/{image_id}/similar")
    async def similar(image_id: Id, page: Annotated[schemas.Page, Query()]) -> schemas.SearchResponse:
        """Pictures that look like this one."""
        return await services.searches.similar(image_id, page)

    @router.get("/{image_id}/thumbnail", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
    async def thumbnail(
        request: Request,
        image_id: Id,
        size: Annotated[int, Query(ge=1, le=thumbnails.SIDES[-1], description="pixels of the longer side")] = 256,
    ) -> Response:
        """A JPEG whose longer side is `size`, rounded up to 128, 256, 512, 1024, 2048 or 4096."""
        side = images.side_for(size)
        jpeg = await services.view.thumbnail(image_id, side)
        return _cached(request, jpeg, "image/jpeg", _DAY)

    @router.get(
        "/{image_id}/file",
        response_class=Response,
        responses={200: {"content": {"image/*": {}}}, 206: {"content": {"image/*": {}}}},
    )
    async def file(request: Request, image_id: Id) -> Response:
        """The file itself, as it is; a part of it for a `Range` of bytes."""
        return await services.view.file(request, image_id)

    return router


def _cached(request: Request, body: bytes, media_type: str, cache_control: str) -> Response:
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": cache_control}
    if file_response.names(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


def _state_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/status")
    async def status() -> status_schemas.Status:
        """The state of the library and of a running embed."""
        return await services.watcher.status()

    @router.get("/failures")
    async def failures(
        reason: Annotated[str | None, Query(description="only these: a key of `failures` in the status")] = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="images to leave out before them")] = 0,
        k: Annotated[int, Query(ge=1, le=1000, description="images to show")] = 100,
    ) -> schemas.Failures:
        """Images without an embedding, and why."""
        return await services.view.failures(reason, offset, k)

    streams = PerClient(share(_MAX_STREAMS, services.workers))

    @router.get("/events", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def events(request: Request) -> Response:
        """The status, now and whenever it changes, as server-sent events."""

        async def stream() -> AsyncIterator[str]:
            async for state in services.watcher.changes(_KEEP_ALIVE_SECONDS):
                yield ": keep-alive\n\n" if state is None else f"event: status\ndata: {state.model_dump_json()}\n\n"

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        counted = streams.one(request.scope[CLIENT])
        return CountedResponse(counted, stream(), headers=headers, media_type="text/event-stream")

    @router.post("/embed", status_code=202, openapi_extra=uploads.described(schemas.EmbedAction.model_json_schema()))
    async def embed(request: Request, x_pixfind: uploads.FromHere) -> status_schemas.Status:  # noqa: ARG001  checked by its type
        """Start, pause, resume or stop embedding, or scan the folders. The header `X-Pixfind: 1` shows that the request does not come from another web site."""
        async with services.uploads.read(request, uploads.MAX_JSON_BYTES) as body:
            command = uploads.parsed(schemas.EmbedAction, body, "{action: start, scan, pause, resume or stop}")
        await services.act(command.action)
        services.watcher.poll_faster()
        return await services.watcher.status()

    return router


def _member_routes(services: Services) -> APIRouter:
    if isinstance(services.searches, SearchService):
        return member_api.routes(services.searches, services.view, services.uploads)
    return member_api.refusal(services.names)


def _program_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["programs"])

    @router.post("/v1/embeddings", openapi_extra=uploads.described(openai_api.REQUEST_SCHEMA))
    async def embed(request: Request) -> Response:
        """Embeddings of texts and pictures, for clients of OpenAI's API."""
        async with services.uploads.read(request, openai_api.MAX_BYTES) as body:
            inputs = await asyncio.to_thread(openai_api.parse_request, body)
        model, encoders = await services.searches.model_and_encoders()
        return JSONResponse(await openai_api.embed(encoders, inputs, model.name))

    @router.post("/knn-service", openapi_extra=uploads.described(knn_service.REQUEST_SCHEMA))
    async def knn(request: Request) -> list[dict[str, Any]]:
        """Search in the form of clip-retrieval's backend, for its ClipClient."""
        async with services.uploads.read(request, knn_service.MAX_BYTES) as body:
            model = await services.searches.model()
            if model is None:
                raise errors.NotEmbedded(path="this library")
            wanted = await asyncio.to_thread(knn_service.parse_request, body, model.dimension)
            found = await services.searches.nearest(wanted.query, wanted.page, wanted.picture, wanted.vector)
        return knn_service.answer(found, str(request.base_url))

    @router.get("/indices-list")
    async def indices() -> list[str]:
        """The names that `indice_name` may have in a request to /knn-service."""
        return [knn_service.INDEX_NAME]

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The names that `model` may have in a request for embeddings."""
        model = await services.searches.model()
        return openai_api.models(None if model is None else model.name)

    @router.get("/v1/models/{name}")
    async def one_model(name: Annotated[str, InPath(description="an `id` of the list")]) -> dict[str, Any]:
        """One of the names that `model` may have in a request for embeddings."""
        model = await services.searches.model()
        return openai_api.model(name, None if model is None else model.name)

    @router.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Whether the server is ready: the model and the index are loaded."""
        return {"ok": True}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(services.metrics.text(await services.watcher.status()), media_type=CONTENT_TYPE)

    return router


def _page_routes() -> APIRouter:
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
            return error_handlers.error_response(404, "there is no such file", "NotFound")
        return _cached(request, *files[name], "no-cache")

    return router
