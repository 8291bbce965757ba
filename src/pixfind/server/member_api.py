"""
The routes for servers and programs that search this library as one of a collection.

Owns paths and limits; the form of questions and answers is that of `collection.wire`, which the other side uses too.
"""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from pixfind import errors
from pixfind.collection import member, wire
from pixfind.server import count_schemas, error_terms, schemas, selection, selection_routes
from pixfind.server.library_view import LibraryView
from pixfind.server.search import SearchService
from pixfind.server.uploads import Uploads

T = TypeVar("T")

_MAX_BYTES = 256 * 1024

_HASH = re.compile(r"[0-9a-f]{32}")

_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


def routes(searches: SearchService, view: LibraryView, uploads: Uploads) -> APIRouter:
    """Return the routes below `wire.PATH`."""
    router = APIRouter(tags=["member"])

    @router.get("/state", response_class=JSONResponse)
    async def state(
        tag: Annotated[str | None, Query(description="`tag` of an earlier answer, whose calibration is known")] = None,
    ) -> Response:
        """What this library holds: its model, its rows, and, unless `tag` is still the present one, the moments of its scores."""
        found = await searches.searchers.run(member.state_of)
        return await _json(lambda: wire.state_to_json(found, tag))

    @router.post("/nearest", response_class=JSONResponse, openapi_extra=_BODY)
    async def nearest(request: Request) -> Response:
        """The images nearest to an embedding, with exact scores and what is needed to join them with those of other libraries."""
        async with uploads.read(request, _MAX_BYTES) as body:
            wanted, k = _parsed(lambda: wire.wanted_from_json(json.loads(body)))
        model = await searches.model()
        if model is None:
            raise errors.NotEmbedded(path="this library")
        if (length := len(wanted.vector)) != model.dimension:
            raise errors.InvalidRequest(
                detail=f"the embedding has {length} numbers, and those here have {model.dimension}"
            )
        found = await searches.searchers.run(lambda searcher: member.nearest_of(searcher, wanted, k))
        return await _json(lambda: wire.found_to_json(found, model.dimension))

    @router.post("/embedding", response_class=JSONResponse, openapi_extra=_BODY)
    async def embedding(request: Request) -> Response:
        """The embedding of an image, by `image_id` or by `content`, the hash of its bytes; null where there is none."""
        async with uploads.read(request, _MAX_BYTES) as body:
            asked = _parsed(lambda: json.loads(body))
        match asked:
            case {"image_id": int(image_id)} if len(asked) == 1 and 0 < image_id <= schemas.MAX_ID:
                row = await searches.searchers.run(lambda searcher: member.image_of(searcher, image_id))
            case {"content": str(content)} if len(asked) == 1 and _HASH.fullmatch(content):
                hashed = bytes.fromhex(content)
                row = await searches.searchers.run(lambda searcher: member.content_of(searcher, hashed))
            case _:
                raise errors.InvalidRequest(detail="the body is neither {image_id} nor {content}")
        return await _json(lambda: wire.embedding_to_json(row))

    @router.get("/metadata")
    async def hit_metadata(ids: selection_routes.Ids) -> schemas.MetadataOfHits:
        """What is shown with hits: sizes and times, by image id."""
        return schemas.MetadataOfHits(hits=await view.hit_metadata(selection.parse_ids(ids)))

    @router.get("/facets")
    async def facets(ids: selection_routes.Ids, page: Annotated[schemas.Page, Query()]) -> count_schemas.Facets:
        """What these images have in common, hits of a search with these filters."""
        return await view.facets(page, selection.parse_ids(ids))

    return router


def refusal(names: str) -> APIRouter:
    """Return a route that tells other servers that here is a collection."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/{question}", methods=["GET", "POST"])
    async def refuse(question: str) -> Response:  # noqa: ARG001  every question is refused
        raise errors.NotOneLibrary(names=names)

    return router


def _parsed(read: Callable[[], T]) -> T:
    """Return what `read` makes of a body; raises InvalidRequest."""
    try:
        return read()
    except errors.InvalidFilter as error:
        raise errors.InvalidRequest(detail=error_terms.API.message(error)[:200]) from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise errors.InvalidRequest(detail=str(error)[:200]) from error


async def _json(make: Callable[[], dict[str, Any]]) -> Response:
    # In a thread: thousands of embeddings take longer than the event loop has.
    content = await asyncio.to_thread(lambda: json.dumps(make()).encode())
    return Response(content, media_type="application/json")
