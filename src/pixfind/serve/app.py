"""
Which question goes where: the routes of the API and of the page.

Owns paths, parameters and headers; each route is a few lines that call the module that answers. Must not decide anything.
"""

import contextlib
import os
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

import pixfind
from pixfind import errors
from pixfind.library import Library
from pixfind.serve import bodies, forms, pictures, problems, running
from pixfind.serve.finding import Finder
from pixfind.serve.threads import Threads

PAGE = Path(__file__).parent / "page"

_LOOKERS = 4
_MOST_LOOKS_WAITING = 400
_DAY = "private, max-age=86400"
_QUIET_SECONDS = 15.0
_CHUNK = 256 * 1024
_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": forms.Refusal}, 503: {"model": forms.Refusal}}

_PICTURE = {
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}

Id = Annotated[int, InPath(ge=1, le=forms.LARGEST_ID)]


@dataclass(frozen=True, slots=True)
class Services:
    """What answers."""

    finder: Finder
    looks: Threads[Library]
    watcher: running.Watcher
    thumbnails: pictures.Thumbnails
    can_control: bool

    @classmethod
    def open(cls, path: Path) -> "Services":
        """Open a library and warm the searches; raises NoLibrary, and what loading a model raises."""
        can_control = running.can_control(path)
        looks = Threads("look", [Library.open(path) for _ in range(_LOOKERS)], most_waiting=_MOST_LOOKS_WAITING)
        finder = Finder(path)
        finder.warm()
        watcher = running.Watcher(looks, can_control=can_control)
        return cls(finder, looks, watcher, pictures.Thumbnails(path / "thumbnails"), can_control)

    def close(self) -> None:
        self.finder.close()
        self.looks.close()
        for library in self.looks.things:
            library.close()


def make(services: Services) -> FastAPI:
    """Return the application."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await services.watcher.close()

    app = FastAPI(
        title="pixfind",
        version=pixfind.__version__,
        description="Search your own pictures by what they show.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    problems.install(app)
    app.include_router(_searching(services), prefix="/api", responses=_ERRORS)
    app.include_router(_images(services), prefix="/api/images", responses=_ERRORS)
    app.include_router(_state(services), prefix="/api", responses=_ERRORS)
    app.include_router(_page())
    return app


def _searching(services: Services) -> APIRouter:
    router = APIRouter(tags=["search"])

    @router.get("/search")
    async def search(asked: Annotated[forms.Search, Query()]) -> forms.Found:
        """Search by words and pictures of the library."""
        return await services.finder.search(asked)

    @router.post("/search", openapi_extra=_PICTURE)
    async def search_by_picture(request: Request, asked: Annotated[forms.Search, Query()]) -> forms.Found:
        """Search by an uploaded picture, the body of the request; `q` is added to it."""
        return await services.finder.search(asked, await bodies.read(request, bodies.MOST_BYTES))

    return router


def _images(services: Services) -> APIRouter:
    router = APIRouter(tags=["images"])

    @router.get("/{image_id}")
    async def metadata(image_id: Id) -> forms.Metadata:
        """What is known of one image."""
        return await services.looks.run(lambda library: pictures.metadata(library, image_id))

    @router.get("/{image_id}/similar")
    async def similar(image_id: Id, page: Annotated[forms.Page, Query()]) -> forms.Found:
        """Pictures that look like this one."""
        return await services.finder.similar(image_id, page)

    @router.get("/{image_id}/thumbnail", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
    async def thumbnail(request: Request, image_id: Id, size: Annotated[int, Query(ge=1, le=1024)] = 256) -> Response:
        """A JPEG whose longer side is `size`, rounded up to 128, 256, 512 or 1024."""
        side = pictures.side_for(size)
        made = await services.looks.run(lambda library: services.thumbnails.get(library, image_id, side))
        return _cached(request, made, "image/jpeg")

    @router.get("/{image_id}/file", response_class=Response, responses={200: {"content": {"image/*": {}}}})
    async def file(image_id: Id) -> Response:
        """The file itself, as it is."""
        known, descriptor = await services.looks.run(lambda library: _opened(library, image_id))
        return _sent(known, descriptor)

    return router


def _opened(library: Library, image_id: int) -> tuple[pictures.Shown, int]:
    known = pictures.image(library, image_id)
    return known, pictures.open_file(known)


def _cached(request: Request, body: bytes, kind: str) -> Response:
    import hashlib

    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": _DAY}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=kind)


def _sent(known: pictures.Shown, descriptor: int) -> Response:
    """Stream a file; only what a browser shows and never runs is shown in place."""
    file = os.fdopen(descriptor, "rb")
    head = file.read(16)
    file.seek(0)
    kind = pictures.media_type(head)
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
    async def status() -> forms.Status:
        """What there is, and how a running embed stands."""
        return await services.watcher.look()

    @router.get("/failures")
    async def failures(
        reason: str | None = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        k: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> forms.Failures:
        """Images without an embedding, and why."""
        return await services.looks.run(lambda library: running.failures(library, reason, offset, k))

    @router.get("/events", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def events() -> Response:
        """The status whenever it changes, as server-sent events."""

        async def stream() -> AsyncIterator[str]:
            async for state in services.watcher.changes(_QUIET_SECONDS):
                yield ": nothing new\n\n" if state is None else f"event: status\ndata: {state.model_dump_json()}\n\n"

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream(), headers=headers, media_type="text/event-stream")

    @router.post("/embed", status_code=202)
    async def embed(request: Request, asked: forms.Control) -> forms.Status:
        """Start, pause, resume or stop the embedding. Needs the header `X-Pixfind: 1`."""
        if request.headers.get("x-pixfind") != "1":
            raise errors.ControlForbidden(
                detail="The header X-Pixfind: 1 is missing: it shows that no other site asks."
            )
        if not services.can_control:
            raise errors.ControlForbidden(detail="This user cannot write the library.")
        await services.looks.run(lambda library: running.act(library, asked.action))
        return await services.watcher.look()

    return router


def _page() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    files = {path.name: path for path in PAGE.iterdir() if path.is_file()}

    @router.get("/")
    async def page() -> Response:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in files:
            return problems.refusal(404, "there is no such file", "NotFound")
        return FileResponse(files[name], headers={"Cache-Control": "no-cache"})

    @router.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"ok": True})

    return router
