"""
What clients send: read as it comes, up to a limit each, up to a limit for all of them, and not for ever.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from pixfind import errors

MOST_PICTURE_BYTES = 64 * 1024 * 1024
"""Larger than the files that cameras make."""

MOST_JSON_BYTES = 64 * 1024

_MOST_BYTES_AT_ONCE = 512 * 1024 * 1024
_SECONDS = 60.0


class Bodies:
    """Bodies that are in memory."""

    def __init__(self) -> None:
        self.held = 0
        """bytes, of all bodies"""

    @contextlib.asynccontextmanager
    async def read(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Lend the body; raises TooMuch as soon as it is over `most` bytes, Busy, TooSlow, NoBody."""
        body = bytearray()
        try:
            await self._collect(request, body, most)
            yield bytes(body)
        finally:
            self.held -= len(body)

    async def _collect(self, request: Request, body: bytearray, most: int) -> None:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise errors.TooMuch(limit=most)
        try:
            async with asyncio.timeout(_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    self.held += len(chunk)
                    if len(body) > most:
                        raise errors.TooMuch(limit=most)
                    if self.held > _MOST_BYTES_AT_ONCE:
                        raise errors.Busy
        except TimeoutError as error:
            raise errors.TooSlow(seconds=_SECONDS) from error
        except ClientDisconnect as error:
            raise errors.NoBody from error
        if not body:
            raise errors.NoBody
