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
from pixfind.server import images, schemas
from pixfind.server.services import Services

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    # Clients ask their user before a tool that may change something.
    looks = ToolAnnotations.model_validate({"readOnlyHint": True, "openWorldHint": False})
_INSTRUCTIONS = (
    "Searches the pictures on this machine by what they show. Begin with search_images; see a hit with get_image. "
    "If nothing is found, check with get_status whether any images are embedded yet."
)

_Query = Annotated[
    str,
    Field(
        description='Terms with signs and weights: `beach +"sunset" -people +2:id:17`; id:N is a picture of the library.'
    ),
]
_Glob = Annotated[str | None, Field(description="Only these folders or files, such as */2021/*.")]
_Date = Annotated[str | None, Field(description="Such as 2021, 2021-05 or 2021-05-17.")]
_Size = Annotated[int, Field(ge=64, le=1024, description="Pixels of the picture's longer side.")]


def run(path: Path) -> None:
    """Serve agents until standard input ends; raises LibraryNotFound, ExtraNotInstalled, and what loading a model raises."""
    try:
        import mcp  # noqa: F401  fails here, before a model is loaded
    except ImportError as error:
        raise errors.ExtraNotInstalled(what="pixfind mcp", package="mcp", extra="mcp") from error
    services = Services.open(path)
    try:
        make(services).run("stdio")
    except KeyboardInterrupt:
        return
    finally:
        services.close()


def make(services: Services) -> "MCPServer[Any]":
    """Return the server with its three tools."""
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    # Clients ask their user before a tool that may change something.
    looks = ToolAnnotations.model_validate({"readOnlyHint": True, "openWorldHint": False})
    server = MCPServer("pixfind", instructions=_INSTRUCTIONS, version=pixfind.__version__, log_level="WARNING")

    @server.tool(annotations=looks)
    async def search_images(
        query: _Query,
        count: Annotated[int, Field(ge=1, le=100)] = 10,
        inside: _Glob = None,
        after: _Date = None,
        before: _Date = None,
        camera: Annotated[str | None, Field(description="Part of the camera's name.")] = None,
        near: Annotated[str | None, Field(description="LATITUDE,LONGITUDE,KM")] = None,
    ) -> schemas.SearchResponse:
        """Find pictures by what they show. Near-duplicates are folded into the best of them."""
        filters = {"inside": inside, "after": after, "before": before, "camera": camera, "near": near}
        request = schemas.SearchRequest.model_validate({"q": query, "k": count, "distinct": True, **filters})
        with _tool_errors():
            return await services.searches.search(request)

    @server.tool(annotations=looks, structured_output=False)
    async def get_image(image_id: schemas.ImageId, size: _Size = 512) -> list[Any]:
        """Return one picture: its path, when and with which camera it was taken, and a thumbnail."""
        from mcp.server.mcpserver import Image

        side = images.side_for(size)
        with _tool_errors():
            metadata = await services.libraries.run(lambda library: images.metadata(library, image_id))
            thumbnail = await services.libraries.run(lambda library: services.thumbnails.get(library, image_id, side))
        return [metadata.model_dump_json(), Image(data=thumbnail, format="jpeg")]

    @server.tool(annotations=looks)
    async def get_status() -> schemas.Status:
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
        raise ToolError(str(error)) from error
