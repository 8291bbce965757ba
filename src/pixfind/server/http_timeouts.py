"""
Connections: uvicorn's own HTTP/1.1, with the time limits that it leaves to a proxy in front.

Owns how long a client may take to say what it wants and to take what it gets, and how many connections one may hold.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""From a connection, or from the first byte of its next request, to the end of the request's head."""

_STALL_SECONDS = 30.0
"""A client that reads nothing for so long has gone."""

_MOST_CONNECTIONS = 256
"""Of one client."""


class TimedProtocol(H11Protocol):
    """One connection."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = self.loop.call_later(HEADER_SECONDS, transport.abort)
        if sum(_address(other) == _address(self) for other in self.connections) > _MOST_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset()
        self._unset_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        super().data_received(data)
        if self.cycle is not cycle:
            self._unset()
        elif self._head is None and (cycle is None or cycle.response_complete) and not self.transport.is_closing():
            # The next request on this connection has begun; uvicorn's limit for idle ones ended with its first byte.
            self._head = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unset_stall()
        self._stall = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._unset_stall()
        super().resume_writing()

    def _unset(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _unset_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _address(connection: object) -> str:
    client = getattr(connection, "client", None)
    return client[0] if client else ""


def settings() -> dict[str, Any]:
    """What uvicorn is told besides: small heads, few connections, a short end."""
    return {
        "http": TimedProtocol,
        # A whole query, each of its characters as twelve: %F0%9F%8F%94.
        "h11_max_incomplete_event_size": 80 * 1024,
        "limit_concurrency": 1_000,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": 1,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "ws": "none",
    }
