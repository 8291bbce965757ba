"""Clients that are too slow, or too many, lose their connection and nobody else's; what is not HTTP is answered like other errors."""

import contextlib
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn

from pixfind.server import http_timeouts
from pixfind.server.clients import Proxies
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
    config = uvicorn.Config(application, port=0, log_config=None, **http_timeouts.settings(Proxies()))
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


def test_clients_that_are_slow_are_sent_away_while_others_are_answered(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slowloris: heads that come a byte at a time and never end, and connections that say nothing at all."""
    other = connect()
    assert answered(other)
    monkeypatch.setattr(http_timeouts, "HEADER_SECONDS", 0.5)
    going_on = {number: connect() for number in range(60)}
    for number, connection in going_on.items():
        connection.settimeout(0.01)
        if number > 0:
            connection.sendall(b"GET /small HTTP/1.1\r\nHost: 127.0.0.1\r\n")

    def all_ended() -> bool:
        assert answered(other)
        for number, connection in list(going_on.items()):
            if has_ended(connection, drip=number > 0):
                del going_on[number]
        return not going_on

    wait_for(all_ended, what=lambda: going_on)


def has_ended(connection: socket.socket, *, drip: bool) -> bool:
    try:
        if drip:
            connection.sendall(b"X")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


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


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET /small HTTP/1.1\r\n\r\n",
        # One byte more than is waited for; the server reads them all before it closes, so that its answer is not lost.
        (b"GET /small HTTP/1.1\r\nHost: localhost\r\nX-Long: ").ljust((192 << 10) + 1, b"a"),
    ],
    ids=["noise", "no version", "no host", "long"],
)
def test_what_is_no_request_gets_problem_details(connect: Callable[[], socket.socket], sent: bytes) -> None:
    connection = connect()
    connection.sendall(sent)
    head, _, body = b"".join(iter(lambda: connection.recv(1 << 20), b"")).partition(b"\r\n\r\n")
    status, *headers = head.decode("ascii").lower().splitlines()
    told = json.loads(body)

    assert "http/1.1 400 bad request" == status
    assert {"content-type: application/json", f"content-length: {len(body)}", "connection: close"} <= set(headers)
    assert (400, "urn:pixfind:error:InvalidRequest", told["error"]["message"]) == (
        told["status"],
        told["type"],
        told["detail"],
    )
    assert ("InvalidRequest", "RequestWrong") == (told["error"]["kind"], told["error"]["former_kind"])


def test_a_head_with_the_longest_query_is_a_request(connect: Callable[[], socket.socket]) -> None:
    assert answered(connect(), b"small?q=".ljust(191 << 10, b"a"))


def test_a_body_that_is_not_http_after_its_answer_has_begun_ends_the_connection(
    connect: Callable[[], socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect()
    connection.sendall(b"POST /large HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.recv(100)
    connection.sendall(b"no chunk\r\n")

    assert ends(connection)
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]
