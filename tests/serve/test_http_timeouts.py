"""Clients that are too slow, or too many, lose their connection and nobody else's; what is not HTTP is answered like other errors."""

import contextlib
import json
import socket
import threading
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
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
    return rest_of_answer(connection)


def rest_of_answer(connection: socket.socket) -> int:
    """Read an answer to its end; returns its bytes."""
    tail, count = b"", 0
    while not tail.endswith(END):
        received = connection.recv(1 << 20)
        assert received, "the server has closed the connection"
        tail, count = (tail + received)[-len(END) :], count + len(received)
    return count


def begin_large(connection: socket.socket) -> None:
    """Ask for /large, and read its first byte."""
    connection.sendall(REQUEST % b"large")
    assert connection.recv(1)


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
    busy = [connect() for _ in range(3)]
    for connection in busy:
        begin_large(connection)

    assert ends(connect())
    assert all(rest_of_answer(connection) >= LARGE for connection in busy)


def test_several_processes_divide_the_connections_of_an_address(
    connect: Callable[[], socket.socket], server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_timeouts, "_MAX_CONNECTIONS", 6)
    monkeypatch.setattr(server.config.http_protocol_class, "workers", 2)
    busy = [connect() for _ in range(3)]
    for connection in busy:
        begin_large(connection)

    assert ends(connect())
    assert all(rest_of_answer(connection) >= LARGE for connection in busy)
    assert 2 == http_timeouts.settings(Proxies(), 2)["http"].workers


@pytest.mark.parametrize("limit", ["_MAX_CONNECTIONS", "_MAX_ALL_CONNECTIONS"])
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "half a head"])
def test_connections_without_a_request_keep_nobody_out(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch, limit: str, sent: bytes
) -> None:
    """The oldest of them that never had a request ends first: neither one that had one, nor one that is answered."""
    monkeypatch.setattr(http_timeouts, limit, 5)
    busy, other = connect(), connect()
    begin_large(busy)
    assert answered(other)
    held = [connect() for _ in range(8)]
    for connection in held:
        # The server may have ended it already.
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)

    assert answered(connect())
    assert answered(other)
    assert rest_of_answer(busy) >= LARGE
    assert all(ends(connection) for connection in held[:5])


def test_of_connections_that_had_requests_the_one_that_was_idle_for_longest_ends(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_timeouts, "_MAX_CONNECTIONS", 3)
    first, second, third = (connect() for _ in range(3))
    assert all(answered(connection) for connection in (first, second, third, first))

    assert answered(connect())
    assert ends(second)
    assert all(answered(connection) for connection in (third, first))


def test_proxies_may_have_any_number_of_connections(
    server: uvicorn.Server, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_timeouts, "_MAX_CONNECTIONS", 2)
    monkeypatch.setattr(server.config.http_protocol_class, "proxies", Proxies.parse(["127.0.0.1"]))
    connections = [connect() for _ in range(5)]

    assert all(answered(connection) for connection in connections)


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_has_the_token_is_answered_beside_any_number_of_idle_connections(
    drawn: Path, serve: Callable[..., Any], workers: int
) -> None:
    """Of one address: on one machine all users have the same."""
    server = serve(drawn, "--workers", str(workers), token=True).server
    place = urllib.parse.urlsplit(server.address)
    with contextlib.ExitStack() as opened:
        for _ in range(300 * workers):
            held = opened.enter_context(socket.create_connection((place.hostname, place.port), timeout=600))
            held.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(10):
            answer = requests.get(
                f"{server.address}/api/v1/search?q=sky",
                headers={"Authorization": f"Bearer {server.token}"},
                timeout=600,
            )
            assert 200 == answer.status_code


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
