"""Bodies of requests: what may be on its way, and in memory, of one of several processes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from pixfind import errors
from pixfind.server.access import CLIENT
from pixfind.server.uploads import Uploads

MIB = 1024 * 1024


async def read(uploads: Uploads, size: int) -> int:
    """Send a body of so many MiB, and return the bytes that are counted while it is there."""
    chunks = iter([MIB] * size)

    async def receive() -> dict[str, Any]:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": bytes(chunk or 0), "more_body": chunk is not None}

    request = Request({"type": "http", "method": "POST", "headers": [], CLIENT: "a"}, receive)
    async with uploads.read(request, 96 * MIB):
        return uploads.total_bytes


async def hold(uploads: Uploads, count: int) -> AsyncIterator[None]:
    """Begin so many bodies that do not arrive, and yield once they wait."""

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def one() -> None:
        async with uploads.read(Request({"type": "http", "method": "POST", "headers": [], CLIENT: "a"}, receive), MIB):
            pass

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    await asyncio.sleep(0)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(("workers", "most"), [(1, 32), (4, 8), (5, 7), (64, 1)])
def test_several_processes_divide_the_uploads_of_a_client(workers: int, most: int) -> None:
    async def more(held: int) -> int:
        uploads = Uploads(workers)
        async for _ in hold(uploads, held):
            return await read(uploads, 1)
        raise AssertionError

    assert MIB == asyncio.run(more(most - 1))
    with pytest.raises(errors.TooManyRequests):
        asyncio.run(more(most))


def test_several_processes_divide_the_memory_for_uploads_and_each_has_room_for_the_largest() -> None:
    for workers, room in ((1, 512), (2, 256), (64, 96)):
        uploads = Uploads(workers)
        # As if others were in memory.
        uploads.total_bytes = (room - 1) * MIB
        assert room * MIB == asyncio.run(read(uploads, 1))
        with pytest.raises(errors.Overloaded):
            asyncio.run(read(uploads, 2))
