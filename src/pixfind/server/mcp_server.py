"""
A Model Context Protocol (MCP) server for agents, over standard input and output.

Owns the tools and their descriptions; the results are those of the HTTP API, under the same rules: no file is opened by its name.
Standard output belongs to the protocol.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, ValidationError

import pixfind
from pixfind import errors
from pixfind.collection.config import CollectionConfig
from pixfind.search.query import MAX_QUERY_CHARACTERS
from pixfind.server import error_terms, images, schemas
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
        '`beach +"sunset" -people +2:id:17`; id:N is a picture of the library. Empty: the newest that pass the filters, or all.',
    ),
]
_Glob = Annotated[str | None, Field(description="Only these folders or files, such as */2021/*.")]
_From = Annotated[
    str | None, Field(description="Taken on or after: 2021, 2021-05-17, yesterday, may 2021, last summer.")
]
_Added = Annotated[str | None, Field(description="Registered on or after: as for after.")]
_Until = Annotated[str | None, Field(description="Taken before: as for after.")]
_OF_HITS = frozenset({"rank", "name", "unusual", "fitting", "added"})
"""what an agent is spared: the order has it, or another field, or nothing asks for it"""

_OF_ANSWERS = frozenset({"query", "offset", "previous", "cutoff", "rows", "seconds", "generation"})

_DIGITS = 3
"""behind the point, of scores"""

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
    from mcp.types import ToolAnnotations

    # Clients ask their user before a tool that may change something.
    looks = ToolAnnotations.model_validate({"readOnlyHint": True, "openWorldHint": False})
    server = _server_class()("pixfind", instructions=_INSTRUCTIONS, version=pixfind.__version__, log_level="WARNING")

    # As text alone: with a structure beside it an answer would be sent, and read, twice.
    @server.tool(annotations=looks, structured_output=False)
    async def search_images(
        query: _Query = "",
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
        cursor: Annotated[
            str | None,
            Field(description="`next` of the answer before: the hits behind it, with the same query and filters."),
        ] = None,
    ) -> str:
        """Find pictures by what they show. Near-duplicates are folded into the best of them. `next` of the answer, where it has one, continues it."""
        filters = {"inside": inside, "after": after, "before": before, "camera": camera, "near": near}
        filters |= {"added_after": added_after}
        if not query.strip() and not where and not any(filters.values()):
            filters["inside"] = "*"
        request = schemas.SearchRequest.model_validate(
            {"q": query, "k": count, "distinct": True, "sort": sort, "where": where or [], "cursor": cursor, **filters}
        )
        with _tool_errors():
            return _search_answer(await services.searches.search(request))

    @server.tool(annotations=looks, structured_output=False)
    async def get_image(image_id: schemas.ImageId, size: _Size = 512) -> list[Any]:
        """Return one picture: its path, when and with which camera it was taken, and a thumbnail."""
        from mcp.server.mcpserver import Image

        side = images.side_for(size)
        with _tool_errors():
            metadata = await services.view.metadata(image_id)
            thumbnail = await services.view.thumbnail(image_id, side)
        return [_compact(metadata.model_dump(mode="json")), Image(data=thumbnail, format="jpeg")]

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

    @server.tool(annotations=looks, structured_output=False)
    async def get_status() -> str:
        """Return how many pictures there are, how many are embedded, and the progress of a running embed."""
        with _tool_errors():
            return _compact((await services.watcher.status()).model_dump(mode="json"))

    return server


def _server_class() -> "type[MCPServer[Any]]":
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    class Server(MCPServer[Any]):
        """Says of an argument that is out of its limits which they are."""

        async def call_tool(self, name: str, arguments: dict[str, Any], *others: Any, **named: Any) -> Any:
            try:
                return await super().call_tool(name, arguments, *others, **named)
            except ToolError as error:
                if not isinstance(error.__cause__, ValidationError):
                    raise
                raise ToolError(_of_arguments(name, error.__cause__)) from error.__cause__

    return Server


def _search_answer(found: BaseModel) -> str:
    """Return a result for an agent, which pays for each character: what tells nothing is left out, scores have three digits."""
    answer = found.model_dump(mode="json", exclude={*_OF_ANSWERS})
    answer["hits"] = [
        {
            **{name: value for name, value in hit.items() if name not in _OF_HITS and value != ["looks"]},
            "folded": hit["folded"] or None,
            "stack": [{"image_id": one["image_id"], "kind": one["kind"]} for one in hit["stack"]],
            "lines": [line["text"] for line in hit["lines"]],
        }
        for hit in answer["hits"]
    ]
    # `date` of a hit is what it is sorted by; `taken` says the same where it is known.
    for hit in answer["hits"]:
        if hit.get("taken") == hit.get("date"):
            hit.pop("date", None)
    return _compact(_rounded(answer))


def _compact(values: Any) -> str:
    """Return values as JSON without what is null or empty; a list of hits stays where there are none."""
    return json.dumps(_told(values), ensure_ascii=False, separators=(",", ":"))


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        told = {name: _told(each) for name, each in value.items()}
        return {name: each for name, each in told.items() if each not in (None, [], {}) or name == "hits"}
    if isinstance(value, list):
        return [_told(each) for each in value]
    return value


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, _DIGITS) if isinstance(value, float) else value


def _of_arguments(tool: str, error: ValidationError) -> str:
    """Say which arguments of a tool are not as its schema has them."""
    lines = []
    for one in error.errors(include_url=False):
        name = ".".join(map(str, one["loc"]))
        if one["type"] == "missing":
            lines.append(f"{name} is missing")
        else:
            lines.append(f"{name} {one['msg'].removeprefix('Input ')}, not {str(one['input'])[:80]!r}")
    return f"Arguments of {tool} cannot be used: {'; '.join(lines)}."


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turn errors of pixfind into errors of the tool, so that the agent gets their message."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        yield
    except errors.PixfindError as error:
        raise ToolError(error_terms.AGENTS.message(error)) from error
