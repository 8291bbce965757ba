"""
Compressed responses: JSON, the page and metrics, for clients of other machines that accept gzip.

Must not know what a response says. Pictures are compressed already, streams must not wait for each other's events, and on this machine
compressing takes longer than what it saves.
"""

import gzip
import ipaddress
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KINDS: Final = (
    "application/json",
    "application/problem+json",
    "text/html",
    "text/css",
    "text/javascript",
    "text/plain",
    "image/svg",
)
_MIN_BYTES: Final = 1024
_LEVEL: Final = 5


class Compression:
    """Compresses what a response sends as one piece; passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_here(scope):
            await self._app(scope, receive, send)
            return
        accepted = accepts(Headers(scope=scope).get("accept-encoding", ""))
        start: Message | None = None

        async def compressing(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                started, start = start, None
                message = _compressed(started, message, accepted=accepted)
                await send(started)
            await send(message)

        await self._app(scope, receive, compressing)


def _compressed(start: Message, message: Message, *, accepted: bool) -> Message:
    """Return the body, compressed where that is accepted and worth it, and change the headers in `start` with it."""
    headers = MutableHeaders(raw=start["headers"])
    if not headers.get("content-type", "").startswith(_KINDS):
        return message
    headers.add_vary_header("Accept-Encoding")
    body = message.get("body", b"")
    if not accepted or message.get("more_body") or len(body) < _MIN_BYTES or "content-encoding" in headers:
        return message
    body = gzip.compress(body, _LEVEL, mtime=0)
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    if (tag := headers.get("etag", "")).startswith('"'):
        # Other bytes: only a weak tag may name both forms (RFC 9110, 8.8.3).
        headers["ETag"] = f"W/{tag}"
    return {**message, "body": body}


def accepts(header: str) -> bool:
    """Tell whether the value of an Accept-Encoding allows gzip."""
    for part in header.split(","):
        name, _, quality = part.partition(";")
        if name.strip().lower() == "gzip":
            return quality.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _is_here(scope: Scope) -> bool:
    try:
        return ipaddress.ip_address(scope["client"][0]).is_loopback
    except (KeyError, TypeError, ValueError):
        return False
