"""`pixfind mcp`, asked by the official client over standard input and output."""

import asyncio
import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image

T = TypeVar("T")


def _ask(library: Path, talk: Callable[[ClientSession], Awaitable[T]]) -> T:
    async def run() -> T:
        arguments = ["-m", "pixfind", "--library", str(library), "mcp"]
        command = StdioServerParameters(command=sys.executable, args=arguments, env={**os.environ})
        async with stdio_client(command) as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
            await session.initialize()
            return await talk(session)

    return asyncio.run(run())


def test_an_agent_searches_and_looks(drawn: Path) -> None:
    async def talk(session: ClientSession) -> tuple[Any, ...]:
        tools = await session.list_tools()
        found = await session.call_tool("search_images", {"query": "sunset", "count": 3})
        looked = await session.call_tool(
            "get_image", {"image_id": found.structured_content["hits"][0]["image_id"], "size": 100}
        )
        return tools, found, looked, await session.call_tool("get_status", {})

    tools, found, looked, status = _ask(drawn, talk)

    assert ["search_images", "get_image", "get_images", "get_status"] == [tool.name for tool in tools.tools]
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools.tools)
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.tools)
    assert 3 == len(found.structured_content["hits"])
    assert found.structured_content == json.loads(found.content[0].text)
    words, picture = looked.content
    assert found.structured_content["hits"][0]["path"] == json.loads(words.text)["path"]
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
        assert ("JPEG", 128) == (image.format, max(image.size))
    assert (60, False) == (status.structured_content["searchable_rows"], status.structured_content["running"])


def test_an_agent_looks_at_many_pictures_at_once(drawn: Path) -> None:
    async def talk(session: ClientSession) -> Any:
        return await session.call_tool("get_images", {"image_ids": [*range(1, 24), 99_999]})

    answer = _ask(drawn, talk)
    words = [part.text for part in answer.content if part.type == "text"]
    pictures = [base64.b64decode(part.data) for part in answer.content if part.type == "image"]

    assert not answer.is_error
    assert [f"image_id {number}" for number in (*range(1, 24), 99_999)] == [text.partition(":")[0] for text in words]
    assert 23 == len(pictures)
    assert "no embedded image" in words[-1]
    assert sum(map(len, pictures)) < 23 * 10_000
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as image:
            assert ("JPEG", 128) == (image.format, max(image.size))


def test_the_tools_say_their_limits(drawn: Path) -> None:
    """Each argument has a description, and a number its limits: what an agent may ask is written where it reads it."""

    async def talk(session: ClientSession) -> Any:
        return await session.list_tools()

    for tool in _ask(drawn, talk).tools:
        for name, schema in tool.input_schema["properties"].items():
            assert "description" in schema, (tool.name, name)
            if schema.get("type") in {"integer", "number"}:
                assert {"minimum", "maximum"} <= set(schema), (tool.name, name)


def test_an_agent_is_told_what_was_wrong_and_reads_no_file(drawn: Path) -> None:
    async def talk(session: ClientSession) -> list[Any]:
        return [
            await session.call_tool("search_images", {"query": "/etc/passwd"}),
            await session.call_tool("search_images", {"query": '"open'}),
            await session.call_tool("search_images", {"query": "sky", "after": "someday"}),
            await session.call_tool("get_image", {"image_id": 99_999}),
            await session.call_tool("get_image", {"image_id": -1}),
        ]

    answers = _ask(drawn, talk)

    assert [True] * 5 == [answer.is_error for answer in answers]
    for answer, words in zip(
        answers,
        ("opens no file", "not closed", "after cannot be 'someday'", "search_images", "greater than"),
        strict=True,
    ):
        assert words in answer.content[0].text
        assert "--" not in answer.content[0].text
        assert "pixfind search" not in answer.content[0].text


def test_it_ends_with_its_input(drawn: Path) -> None:
    command = [sys.executable, "-m", "pixfind", "--library", str(drawn), "mcp"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=600)

    assert (0, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_says_how_to_get_it(drawn: Path) -> None:
    program = (
        "import sys; sys.modules['mcp'] = None; sys.argv[1:] = sys.argv[1:]\nfrom pixfind.__main__ import main\nmain()"
    )
    command = [sys.executable, "-c", program, "--library", str(drawn), "mcp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)

    assert (28, True) == (done.returncode, "pip install 'pixfind[mcp]'" in done.stderr)
