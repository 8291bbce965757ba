"""`pixfind mcp`, asked by the official client over standard input and output."""

import base64
import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image

Ask = Callable[[Callable[[ClientSession], Awaitable[Any]]], Any]


@contextlib.asynccontextmanager
async def _connected(library: Path, cache: Path) -> AsyncIterator[ClientSession]:
    arguments = ["-m", "pixfind", "--library", str(library), "mcp"]
    environment = {**os.environ, "PIXFIND_CACHE": str(cache)}
    command = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
    async with stdio_client(command) as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
        await session.initialize()
        yield session


@pytest.fixture(scope="module")
def ask(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Talk with a `pixfind mcp` that answers about the drawn pictures; one for all tests, because it takes a second to start."""
    connection = _connected(drawn, tmp_path_factory.mktemp("cache"))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(connection) as session:
        yield lambda talk: portal.call(talk, session)


def told(answer: Any) -> Any:
    return json.loads(answer.content[0].text)


def test_an_agent_searches_and_looks(ask: Ask) -> None:
    async def talk(session: ClientSession) -> tuple[Any, ...]:
        tools = await session.list_tools()
        found = await session.call_tool("search_images", {"query": "sunset", "count": 3})
        looked = await session.call_tool("get_image", {"image_id": told(found)["hits"][0]["image_id"], "size": 100})
        return tools, found, looked, await session.call_tool("get_status", {})

    tools, found, looked, status = ask(talk)

    assert ["search_images", "get_image", "get_images", "get_status"] == [tool.name for tool in tools.tools]
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools.tools)
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.tools)
    assert 3 == len(told(found)["hits"])
    words, picture = looked.content
    assert told(found)["hits"][0]["path"] == json.loads(words.text)["path"]
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
        assert ("JPEG", 128) == (image.format, max(image.size))
    assert (60, False) == (told(status)["searchable_rows"], told(status)["running"])


def test_an_answer_is_short(ask: Ask) -> None:
    async def talk(session: ClientSession) -> Any:
        return await session.call_tool("search_images", {"query": "sunset"})

    answer = ask(talk)
    hits = told(answer)["hits"]

    assert answer.structured_content is None
    assert 10 == len(hits)
    assert 300 * len(hits) > len(answer.content[0].text.encode()) - sum(len(hit["path"]) for hit in hits)
    assert all(round(hit["score"], 3) == hit["score"] for hit in hits)
    assert all(value not in (None, [], {}) for hit in hits for value in hit.values())


def test_an_empty_query_shows_the_newest_and_a_cursor_continues(ask: Ask) -> None:
    async def talk(session: ClientSession) -> list[Any]:
        found = []
        for query in ({}, {"query": "sunset"}):
            first = told(await session.call_tool("search_images", {**query, "count": 4}))
            behind = {**query, "count": 4, "cursor": first["next"]}
            found.append((first, told(await session.call_tool("search_images", behind))))
        return found

    (newest, older), (best, others) = ask(talk)

    dates = [hit.get("date", hit.get("taken")) for hit in (*newest["hits"], *older["hits"])]
    assert sorted(dates, reverse=True) == dates
    for first, second in ((newest, older), (best, others)):
        assert 8 == len({hit["image_id"] for hit in (*first["hits"], *second["hits"])})


def test_a_limit_that_is_passed_is_named(ask: Ask) -> None:
    async def talk(session: ClientSession) -> list[Any]:
        return [
            await session.call_tool("search_images", {"query": "sky", "count": 1_000}),
            await session.call_tool("get_image", {}),
        ]

    count, missing = (answer.content[0].text for answer in ask(talk))

    assert "Arguments of search_images cannot be used: count should be less than or equal to 100, not '1000'." == count
    assert "Arguments of get_image cannot be used: image_id is missing." == missing


def test_an_agent_looks_at_many_pictures_at_once(ask: Ask) -> None:
    async def talk(session: ClientSession) -> Any:
        return await session.call_tool("get_images", {"image_ids": [*range(1, 24), 99_999]})

    answer = ask(talk)
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


def test_the_tools_say_their_limits(ask: Ask) -> None:
    """Each argument has a description, and a number its limits: what an agent may ask is written where it reads it."""

    async def talk(session: ClientSession) -> Any:
        return await session.list_tools()

    for tool in ask(talk).tools:
        for name, schema in tool.input_schema["properties"].items():
            assert "description" in schema, (tool.name, name)
            if schema.get("type") in {"integer", "number"}:
                assert {"minimum", "maximum"} <= set(schema), (tool.name, name)


def test_an_agent_is_told_what_was_wrong_and_reads_no_file(ask: Ask) -> None:
    async def talk(session: ClientSession) -> list[Any]:
        return [
            await session.call_tool("search_images", {"query": "/etc/passwd"}),
            await session.call_tool("search_images", {"query": '"open'}),
            await session.call_tool("search_images", {"query": "sky", "after": "someday"}),
            await session.call_tool("get_image", {"image_id": 99_999}),
            await session.call_tool("get_image", {"image_id": -1}),
        ]

    answers = ask(talk)

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
