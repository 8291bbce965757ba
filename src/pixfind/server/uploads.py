"""
Request bodies: read with a size limit each, a memory limit for all of them together, and a time limit.

Must not know what a body means: the form that JSON has comes from the caller.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

from fastapi import Header
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from pixfind import errors
from pixfind.server.access import CLIENT
from pixfind.server.clients import PerClient, share

MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""Larger than the files of any camera."""

MAX_JSON_BYTES = 64 * 1024

FromHere = Annotated[
    str, Header(pattern="^1$", description="1: shows that the request does not come from a page of another site")
]
"""the header `X-Pixfind` of what changes something"""

_MAX_BODY_BYTES = 96 * 1024 * 1024
"""of the bodies that any route takes"""

_MAX_TOTAL_BYTES = 512 * 1024 * 1024
_TIMEOUT_SECONDS = 60.0
_MAX_ARRIVING = 32
"""bodies of one client that are on their way: slow ones must not take up all requests that it may have"""


class Uploads:
    """The request bodies that are in memory now, of one of several `workers` that divide the limits."""

    def __init__(self, workers: int = 1) -> None:
        self._arriving = PerClient(share(_MAX_ARRIVING, workers))
        # The largest body fits into each.
        self._max_total_bytes = max(share(_MAX_TOTAL_BYTES, workers), _MAX_BODY_BYTES)
        self.total_bytes = 0
        """of all bodies in memory"""

    @contextlib.asynccontextmanager
    async def read(self, request: Request, max_bytes: int) -> AsyncIterator[bytes]:
        """
        Yield the body of a request, and count it until the block ends.

        Raises TooManyRequests while as many of this client are arriving as may, PayloadTooLarge as soon as it exceeds `max_bytes`, Overloaded while other bodies fill the memory limit, RequestTimeout after the time limit, and
        EmptyBody for an empty or interrupted one.
        """
        body = bytearray()
        try:
            with self._arriving.one(request.scope[CLIENT]):
                await self._collect(request, body, max_bytes)
            yield bytes(body)
        finally:
            self.total_bytes -= len(body)

    async def _collect(self, request: Request, body: bytearray, max_bytes: int) -> None:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise errors.PayloadTooLarge(limit=max_bytes)
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    self.total_bytes += len(chunk)
                    if len(body) > max_bytes:
                        raise errors.PayloadTooLarge(limit=max_bytes)
                    if self.total_bytes > self._max_total_bytes:
                        raise errors.Overloaded
        except TimeoutError as error:
            raise errors.RequestTimeout(seconds=_TIMEOUT_SECONDS) from error
        except ClientDisconnect as error:
            raise errors.EmptyBody from error
        if not body:
            raise errors.EmptyBody


_Body = TypeVar("_Body", bound=BaseModel)


def parsed(form: type[_Body], body: bytes, expected: str) -> _Body:
    """Return the JSON in a body; raises InvalidRequest, which says what was `expected`."""
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        raise errors.InvalidRequest(detail=f"the body is not {expected}") from error


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a JSON body that a route reads itself: FastAPI would read it without a size limit."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
