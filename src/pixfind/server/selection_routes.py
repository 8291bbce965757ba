"""
The routes of a selection: what it weighs, its zip, its contact sheet.

Owns parameters and headers. All are GET, so that a browser saves them to disk as they arrive.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from pixfind.server import schemas, selection
from pixfind.server.access import CLIENT
from pixfind.server.clients import PerClient, share
from pixfind.server.counted_response import CountedResponse
from pixfind.server.services import Services

_MAX_ZIPS = 4
"""that one client may fetch at a time: each reads a disk as fast as it can"""

_MAX_IDS_CHARACTERS = 20 * selection.MAX_IMAGES

Ids = Annotated[
    str,
    Query(
        pattern=r"^\d+(,\d+)*$", max_length=_MAX_IDS_CHARACTERS, description="`image_id` of each, with commas between"
    ),
]


def make(services: Services) -> APIRouter:
    """Return the routes below /selection."""
    router = APIRouter(tags=["selection"])
    zips = PerClient(share(_MAX_ZIPS, services.workers))

    @router.get("")
    async def describe(ids: Ids) -> schemas.Selection:
        """What a zip of these images would hold, and which of them cannot be read now."""
        return await services.view.selection(selection.parse_ids(ids))

    @router.get("/zip", response_class=Response, responses={200: {"content": {"application/zip": {}}}})
    async def zip_file(request: Request, ids: Ids) -> Response:
        """The original files of these images as a zip, which is made while it is sent."""
        wanted = selection.parse_ids(ids)
        await selection.check(services.view, wanted)
        headers = {"Content-Disposition": 'attachment; filename="pictures.zip"', "Cache-Control": "no-store"}

        counted = zips.one(request.scope[CLIENT])
        stream = selection.zip_of(services.view, wanted)
        return CountedResponse(counted, stream, headers=headers, media_type="application/zip")

    @router.get("/sheet", response_class=Response, responses={200: {"content": {"text/html": {}}}})
    async def sheet(
        ids: Ids, title: Annotated[str, Query(max_length=200, description="of the page")] = "Selected pictures"
    ) -> Response:
        """A contact sheet: one page of HTML with the pictures inside, to save, to print and to pass on."""
        wanted = selection.parse_ids(ids, selection.MAX_SHEET)
        page = await selection.sheet(services.view, wanted, title)
        headers = {"Content-Disposition": 'attachment; filename="contact-sheet.html"', "Cache-Control": "no-store"}
        return Response(page, headers=headers, media_type="text/html")

    return router
