"""
What clients send: read as it comes, up to a limit, and not for ever.
"""

import asyncio

from starlette.requests import ClientDisconnect, Request

from pixfind import errors

MOST_BYTES = 64 * 1024 * 1024
"""A picture; larger ones than cameras make."""

_SECONDS = 60.0


async def read(request: Request, most: int) -> bytes:
    """Return the body; raises TooMuch as soon as it is over `most` bytes, TooSlow, NoBody."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise errors.TooMuch(limit=most)
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise errors.TooMuch(limit=most)
    except TimeoutError as error:
        raise errors.TooSlow(seconds=_SECONDS) from error
    except ClientDisconnect as error:
        raise errors.NoBody from error
    if not body:
        raise errors.NoBody
    return bytes(body)
