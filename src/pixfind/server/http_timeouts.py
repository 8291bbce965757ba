"""
Limits of HTTP connections: the time limits that uvicorn leaves to a reverse proxy.

Owns how long a client may take to send a request's head and to read a response, how many connections it may have open and which of them end when
there are too many, and the response to bytes that are not an HTTP request, which never reach the application.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pixfind.server import error_handlers
from pixfind.server.clients import Proxies, network, share

HEADER_SECONDS = 10.0
"""From the connection, or from the first byte of its next request, to the end of the request's head."""

_STALL_SECONDS = 30.0
"""A client that reads nothing for so long is disconnected."""

_MAX_CONNECTIONS = 256
"""Open connections of one client: of an IPv4 address, or of the network of an IPv6 address."""

_MAX_ALL_CONNECTIONS = 900
"""Open connections of all clients: below `limit_concurrency`, from which on uvicorn refuses every request, and below the usual 1,024 files of a process."""


class TimedProtocol(H11Protocol):
    """
    One connection, aborted when its client is too slow, or in favour of a new one when there are too many and it has no request.

    Many may share an address: all users of this machine, or of a network. Whoever holds connections there without asking must keep nobody out.
    """

    proxies = Proxies()
    """may have any number of connections: they are those of their clients"""
    workers = 1
    """processes that divide the connections of a client"""
    _network = ""
    """whose it is"""
    _idle_since = 0.0
    """when it was made, or had the last of its responses: by the clock of the event loop, in seconds"""
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, transport.abort)
        self._idle_since = self.loop.time()
        address = self.client[0] if self.client else ""
        self._network = network(address)
        if address not in self.proxies:
            of_client = [other for other in self.connections if getattr(other, "_network", None) == self._network]
            if len(of_client) > share(_MAX_CONNECTIONS, self.workers) and not self._abort_one_of(of_client):
                self._abort()
                return
        if len(self.connections) > _MAX_ALL_CONNECTIONS:
            self._abort_one_of(self.connections)

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

    def on_response_complete(self) -> None:
        # Before uvicorn begins the next request, if that has arrived.
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def _abort_one_of(self, connections: Iterable[object]) -> bool:
        """End the connection that has been without a request for the longest time, rather one that never had any; returns False where all others have one."""
        idle = [
            other
            for other in connections
            if isinstance(other, TimedProtocol) and other is not self and other._is_idle()  # noqa: SLF001  of this class
        ]
        if not idle:
            return False
        min(idle, key=lambda other: (other.cycle is not None, other._idle_since))._abort()  # noqa: SLF001  of this class
        return True

    def _is_idle(self) -> bool:
        """Tell whether it waits for the head of a request, and its client has read what was asked for before."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.get_write_buffer_size()

    def _abort(self) -> None:
        # The transport tells of its end in the next round of the event loop; other connections may be made before that.
        self.connections.discard(self)
        self.transport.abort()

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


def settings(proxies: Proxies, workers: int = 1) -> dict[str, Any]:
    """Return the settings of uvicorn for one of several `workers`: limits of heads and connections, no log of requests."""
    return {
        "http": type("Protocol", (TimedProtocol,), {"proxies": proxies, "workers": workers}),
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
