"""
Limits of HTTP connections: the time limits that uvicorn leaves to a reverse proxy.

Owns how long a client may take to send a request's head and to read a response, how many connections it may have open, and the response to
bytes that are not an HTTP request, which never reach the application.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pixfind.server import error_handlers
from pixfind.server.clients import Proxies

HEADER_SECONDS = 10.0
"""From the connection, or from the first byte of its next request, to the end of the request's head."""

_STALL_SECONDS = 30.0
"""A client that reads nothing for so long is disconnected."""

_MAX_CONNECTIONS = 256
"""Open connections of one client."""


class TimedProtocol(H11Protocol):
    """One connection, aborted when its client is too slow."""

    proxies = Proxies()
    """may have any number of connections: they are those of their clients"""
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, transport.abort)
        address = _address(self)
        if address in self.proxies:
            return
        if sum(_address(other) == address for other in self.connections) > _MAX_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_header_timer()
        self._cancel_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        super().data_received(data)
        if self.cycle is not cycle:
            self._cancel_header_timer()
        elif (
            self._header_timer is None
            and (cycle is None or cycle.response_complete)
            and not self.transport.is_closing()
        ):
            # The next request on this connection has begun; uvicorn's limit for idle ones ended with its first byte.
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answer a head that is too long or not HTTP as the application answers errors, where uvicorn sends plain text."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            made = error_handlers.error_response(400, msg, "InvalidRequest", former_kind="RequestWrong")
            for event in (
                h11.Response(
                    status_code=400, headers=[*made.raw_headers, (b"connection", b"close")], reason=b"Bad Request"
                ),
                h11.Data(data=bytes(made.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cancel_write_timer()
        self._write_timer = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel_write_timer()
        super().resume_writing()

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _address(connection: object) -> str:
    client = getattr(connection, "client", None)
    return client[0] if client else ""


def settings(proxies: Proxies) -> dict[str, Any]:
    """Return the settings of uvicorn: limits of heads and connections, no log of requests."""
    return {
        "http": type("Protocol", (TimedProtocol,), {"proxies": proxies}),
        # Enough for the longest query and all conditions, each character as four escaped bytes (%F0%9F%8F%94).
        "h11_max_incomplete_event_size": 192 * 1024,
        "limit_concurrency": 1_000,
        "timeout_keep_alive": 30,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # `access` reads them: uvicorn takes the word of every proxy that has an address
        "ws": "none",
        "lifespan": "off",  # the application has none, and the task that waits for its end logs a traceback when it is cancelled
    }
