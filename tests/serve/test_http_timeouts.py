"""Clients that are too slow, or too many, lose their connection and nobody else's."""

import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn

from pixfind.server import http_timeouts
from pixfind.testing import wait_for

REQUEST = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
END = b"0\r\n\r\n"
LARGE = 100 << 20
"""more than the buffers of both ends hold"""

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def application(scope: dict[str, Any], _receive: object, send: Send) -> None:
    """Answer /small with two bytes, and /large with LARGE."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(LARGE >> 20):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def server() -> Iterator[uvicorn.Server]:
    """A server of the application, with the limits of pixfind, in a thread."""
    config = uvicorn.Config(application, port=0, http=http_timeouts.TimedProtocol, lifespan="off", log_config=None)
    made = uvicorn.Server(config)
    thread = threading.Thread(target=made.run)
    thread.start()
    wait_for(lambda: made.started)
    yield made
    made.should_exit = made.force_exit = True
    thread.join()


@pytest.fixture
def connect(server: uvicorn.Server) -> Iterator[Callable[[], socket.socket]]:
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(
            socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=600)
        )


def ends(connection: socket.socket) -> bool:
    """Whether the server closes the connection, whatever it sends before; raises TimeoutError if it does not."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 20):
            pass
    return True


def answered(connection: socket.socket, path: bytes = b"small") -> int:
    """Send a request and read the answer; returns its bytes."""
    connection.sendall(REQUEST % path)
    tail, count = b"", 0
    while not tail.endswith(END):
        received = connection.recv(1 << 20)
        assert received, "the server has closed the connection"
        tail, count = (tail + received)[-len(END) :], count + len(received)
    return count


def test_a_request_whose_head_never_ends_is_cut_off(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_timeouts, "HEADER_SECONDS", 0.05)
    connection = connect()
    connection.sendall(b"GET /small HTTP/1.1\r\nX-Slow: ")

    assert ends(connection)


def test_the_next_request_of_a_connection_has_the_same_time(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect()
    assert answered(connection)
    monkeypatch.setattr(http_timeouts, "HEADER_SECONDS", 0.05)
    connection.sendall(b"GET /sm")

    assert ends(connection)


def test_a_client_that_reads_nothing_is_cut_off_and_others_are_answered(
    server: uvicorn.Server, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_timeouts, "_STALL_SECONDS", 0.05)
    connect().sendall(REQUEST % b"large")
    wait_for(lambda: len(server.server_state.connections) == 1)
    wait_for(lambda: not server.server_state.connections)

    assert answered(connect())


def test_a_client_that_reads_gets_everything(
    server: uvicorn.Server, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    stalls = []
    pause = http_timeouts.TimedProtocol.pause_writing
    monkeypatch.setattr(
        http_timeouts.TimedProtocol, "pause_writing", lambda protocol: (stalls.append(1), pause(protocol))
    )
    assert answered(connect(), b"large") > LARGE
    assert stalls, "the server never had to wait for the client"
    (protocol,) = server.server_state.connections
    assert isinstance(protocol, http_timeouts.TimedProtocol)
    assert protocol._write_timer is None


def test_one_address_has_a_limited_number_of_connections(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_timeouts, "_MAX_CONNECTIONS", 3)
    allowed = [connect() for _ in range(3)]
    assert all(answered(connection) for connection in allowed)

    assert ends(connect())
    assert all(answered(connection) for connection in allowed)
