"""
The routes of albums: searches with a name.

What may be kept: `album_schemas`. Where: `library.albums`.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError

from pixfind import errors
from pixfind.library import albums
from pixfind.server import album_schemas, uploads
from pixfind.server.services import Services


def make(services: Services) -> APIRouter:
    """Return the routes below /albums."""
    router = APIRouter(tags=["albums"])

    @router.get("")
    async def list_albums() -> album_schemas.Albums:
        """The albums of the library."""
        local = services.local
        if local is None:
            return album_schemas.Albums(albums=[], can_change=False)
        return await asyncio.to_thread(_albums, local.path, can_change=local.can_control)

    @router.post("", openapi_extra=_described())
    async def change_album(request: Request, x_pixfind: uploads.FromHere) -> album_schemas.Albums:  # noqa: ARG001  checked by its type
        """Keep a search as an album, put pictures into one, take them out, or remove one. The header `X-Pixfind: 1` shows that the request does not come from another web site."""
        local = services.local
        if local is None or not local.can_control:
            raise errors.ControlForbidden
        library = local.path
        async with services.uploads.read(request, uploads.MAX_JSON_BYTES) as body:
            change = _change(body)
        added, taken = await local.contents(change.add), await local.contents(change.take)
        _refuse_both(added, taken)

        def run() -> album_schemas.Albums:
            if added:
                albums.put(library, change.name, added)
            if taken:
                albums.take(library, change.name, taken)
            if change.search is not None:
                albums.keep(library, albums.Album(change.name, change.search.values()))
            elif not added and not taken:
                albums.remove(library, change.name)
            return _albums(library, can_change=True)

        return await asyncio.to_thread(run)

    return router


def _described() -> dict[str, Any]:
    """Return the description of the body, with all of it in one place."""
    schema = album_schemas.AlbumChange.model_json_schema()
    parts = schema.pop("$defs")

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return whole(parts[value["$ref"].rpartition("/")[2]])
            return {key: whole(each) for key, each in value.items()}
        return [whole(each) for each in value] if isinstance(value, list) else value

    return {"requestBody": {"content": {"application/json": {"schema": whole(schema)}}, "required": True}}


def _change(body: bytes) -> album_schemas.AlbumChange:
    """Return the change in a request; raises InvalidRequest, and as a search does for one that could not be made."""
    try:
        change = album_schemas.AlbumChange.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise errors.InvalidRequest(
            detail=f"the body is not {{name, search}} or {{name, add, take}}: {where}: {first['msg']}"
        ) from error
    if change.search is not None:
        change.search.check(change.name)
    return change


def _refuse_both(added: Sequence[bytes], taken: Sequence[bytes]) -> None:
    """Raise InvalidRequest where one picture is to be put into an album and taken out; copies are one picture."""
    if not set(added).isdisjoint(taken):
        raise errors.InvalidRequest(detail="`add` and `take` name the same picture")


def _albums(library: Path, *, can_change: bool) -> album_schemas.Albums:
    """Return the albums that this version understands: one that it does not, of a newer one or changed by hand, hides no other. Raises InvalidAlbums."""
    found = []
    for album in albums.read(library):
        with contextlib.suppress(ValueError):
            search = album_schemas.SavedSearch.of(album.search)
            pictures = None if album.pictures is None else len(album.pictures)
            found.append(album_schemas.Album(name=album.name, search=search, pictures=pictures))
    return album_schemas.Albums(albums=found, can_change=can_change)
