"""
The routes for the folders of the library and for its last run.

Owns paths, parameters and headers. `roots` does the work.
"""

from fastapi import APIRouter, Request

from pixfind import errors
from pixfind.server import roots, schemas, status_schemas, uploads
from pixfind.server.local_view import LocalView
from pixfind.server.services import Services


def make(services: Services) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["state"])

    @router.get("/roots", name="roots")
    async def all_roots() -> schemas.Roots:
        """The folders of the library, with their counts and rules."""
        return await _library(services, "list their folders").run(roots.roots)

    @router.post("/roots", status_code=202, openapi_extra=uploads.described(schemas.RootAction.model_json_schema()))
    async def change_root(request: Request, x_pixfind: uploads.FromHere) -> status_schemas.Status:  # noqa: ARG001  checked by its type
        """Register a folder, scan one again, or leave files of one out. The header `X-Pixfind: 1` is needed as for `embed`."""
        view = _library(services, "change their folders")
        if not view.can_control:
            raise errors.ControlForbidden
        async with services.uploads.read(request, uploads.MAX_JSON_BYTES) as body:
            wanted = uploads.parsed(
                schemas.RootAction, body, "{action: add, scan or exclude, path, exclude: [patterns]}"
            )
        await view.run(lambda library: roots.act(library, wanted, can_add=view.can_add_folders))
        services.watcher.poll_faster()
        return await services.watcher.status()

    @router.get("/runs/last")
    async def last_run() -> schemas.LastRun:
        """The last command that wrote the library, and the end of the log."""
        return await _library(services, "show their log").run(roots.last_run)

    return router


def _library(services: Services, action: str) -> LocalView:
    if services.local is None:
        raise errors.EmbedElsewhere(action=action, names=services.names)
    return services.local
