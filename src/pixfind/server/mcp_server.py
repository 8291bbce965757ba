"""
A Model Context Protocol (MCP) server for agents, over standard input and output.

Owns the tools and their descriptions; the results are those of the HTTP API, under the same rules: no file is opened by its name.
Standard output belongs to the protocol.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import pixfind
from pixfind import errors
from pixfind.collection.config import CollectionConfig
from pixfind.search.query import MAX_QUERY_CHARACTERS
from pixfind.server import error_terms, images, schemas, status_schemas
from pixfind.server.services import Services
from pixfind.types import Sort

if TYPE_CHECKING:
    from mcp.server import MCPServer

_INSTRUCTIONS = (
    "Searches the pictures on this machine by what they show. Begin with search_images; look at many hits with get_images, at one in detail with "
    "get_image. If nothing is found, check with get_status whether any images are embedded yet."
)

_MAX_IMAGES = 24
"""pictures of one answer: some 100 kB, where each has 128 pixels"""

_Query = Annotated[
    str,
    Field(
        max_length=MAX_QUERY_CHARACTERS,
        description=f"Terms with signs and weights, at most {MAX_QUERY_CHARACTERS:,} characters: "
        '`beach +"sunset" -people +2:id:17`; id:N is a picture of the library.',
    ),
]
_Glob = Annotated[str | None, Field(description="Only these folders or files, such as */2021/*.")]
_From = Annotated[
    str | None, Field(description="Taken on or after: 2021, 2021-05-17, yesterday, may 2021, last summer.")
]
_Added = Annotated[str | None, Field(description="Registered on or after: as for after.")]
_Until = Annotated[str | None, Field(description="Taken before: as for after.")]
_Size = Annotated[
    int,
    Field(ge=64, le=1024, description="Pixels of the longer side, 64 to 1024; rounded up to 128, 256, 512 or 1024."),
]


def run(served: Path | CollectionConfig) -> None:
    """Serve agents until standard input ends, with one library or several; raises LibraryNotFound, LibrariesDiffer, ExtraNotInstalled, and what loading a model raises."""
    try:
        import mcp  # noqa: F401  fails here, before a model is loaded
    except ImportError as error:
        raise errors.ExtraNotInstalled(what="pixfind mcp", package="mcp", extra="mcp") from error
    services = Services.open(served) if isinstance(served, Path) else Services.of_collection(served)
    try:
        make(services).run("stdio")
    except KeyboardInterrupt:
        return
    finally:
        services.close()


def make(services: Services) -> "MCPServer[Any]":
    """Return the server with its tools."""
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    # Clients ask their user before a tool that may change something.
    looks = ToolAnnotations.model_validate({"readOnlyHint": True, "openWorldHint": False})
    server = MCPServer("pixfind", instructions=_INSTRUCTIONS, version=pixfind.__version__, log_level="WARNING")

    @server.tool(annotations=looks)
    async def search_images(
        query: _Query,
        count: Annotated[int, Field(ge=1, le=100, description="How many hits at most, 1 to 100.")] = 10,
        inside: _Glob = None,
        after: _From = None,
        before: _Until = None,
        added_after: _Added = None,
        sort: Annotated[
            Sort, Field(description="score: the best first; date: the newest; added: the last registered.")
        ] = Sort.SCORE,
        camera: Annotated[str | None, Field(description="Part of the camera's name.")] = None,
        near: Annotated[
            str | None,
            Field(
                description="Taken within so many kilometres of a place: LATITUDE,LONGITUDE,KM in decimal degrees, such as 52.5,13.4,10."
            ),
        ] = None,
        where: Annotated[
            list[str] | None,
            Field(
                description="Conditions on fields of the library's lists, such as license=cc0 or width>1000; get_status names the fields."
            ),
        ] = None,
    ) -> schemas.SearchResponse:
        """Find pictures by what they show. Near-duplicates are folded into the best of them."""
        filters = {"inside": inside, "after": after, "before": before, "camera": camera, "near": near}
        filters |= {"added_after": added_after}
        request = schemas.SearchRequest.model_validate(
            {"q": query, "k": count, "distinct": True, "sort": sort, "where": where or [], **filters}
        )
        with _tool_errors():
            return await services.searches.search(request)

    @server.tool(annotations=looks, structured_output=False)
    async def get_image(image_id: schemas.ImageId, size: _Size = 512) -> list[Any]:
        """Return one picture: its path, when and with which camera it was taken, and a thumbnail."""
        from mcp.server.mcpserver import Image

        side = images.side_for(size)
        with _tool_errors():
            metadata = await services.view.metadata(image_id)
            thumbnail = await services.view.thumbnail(image_id, side)
        return [metadata.model_dump_json(), Image(data=thumbnail, format="jpeg")]

    @server.tool(annotations=looks, structured_output=False)
    async def get_images(
        image_ids: Annotated[
            list[schemas.ImageId],
            Field(min_length=1, max_length=_MAX_IMAGES, description=f"`image_id` of 1 to {_MAX_IMAGES} hits."),
        ],
        size: Annotated[
            int, Field(ge=64, le=256, description="Pixels of the longer side, 64 to 256; rounded up to 128 or 256.")
        ] = 128,
    ) -> list[Any]:
        """Return small thumbnails of many pictures (5 kB each with 128 pixels), each after a line with its `image_id` and path."""
        from mcp.server.mcpserver import Image

        side = images.side_for(size)
        answer: list[Any] = []
        for image_id in image_ids:
            # One that is gone says so in its place: the others are answered all the same.
            try:
                path = (await services.view.metadata(image_id)).path
                thumbnail = await services.view.thumbnail(image_id, side)
            except errors.PixfindError as error:
                answer.append(f"image_id {image_id}: {error_terms.AGENTS.message(error)}")
                continue
            answer += [f"image_id {image_id}: {path}", Image(data=thumbnail, format="jpeg")]
        return answer

    @server.tool(annotations=looks)
    async def get_status() -> status_schemas.Status:
        """Return how many pictures there are, how many are embedded, and the progress of a running embed."""
        with _tool_errors():
            return await services.watcher.status()

    return server


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turn errors of pixfind into errors of the tool, so that the agent gets their message."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        yield
    except errors.PixfindError as error:
        raise ToolError(error_terms.AGENTS.message(error)) from error
