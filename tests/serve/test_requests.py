"""Requests that are too large, too slow, too many, or name files: refused, and what every answer carries."""

import contextlib
import http.client
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.serve.test_access import kind_of, raw_answer

from pixfind import errors
from pixfind.testing import wait_for
from pixfind.testing.images import png_bomb

HEADERS = ("content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options")


# --- paths ----------------------------------------------------------------------------------------


_SECRETS = ("/etc/passwd", "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd",
            "..%5c..%5cetc%5cpasswd", "%252e%252e%252fetc%252fpasswd", "/proc/self/environ", "file:///etc/passwd")  # fmt: skip


@pytest.mark.parametrize("secret", _SECRETS)
@pytest.mark.parametrize(
    "target",
    ["/static/{}", "/static//{}", "/api/images/{}", "/api/images/{}/file", "/api/images/1/{}", "/{}", "/api/{}",
     "/api/search?q={}", "/api/search?q=file:{}", "/api/search?q=sky&in={}", "/api/search?q=sky&camera={}", "/api/search?q=id:{}",
     "/api/images/1/thumbnail?size={}", "/api/images/1/similar?in={}", "/api/failures?reason={}", "/?token={}"],
)  # fmt: skip
def test_no_parameter_reaches_a_file(client: Any, target: str, secret: str) -> None:
    """Sent as it is: a client library would tidy the path up."""
    connection = http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=600)
    connection.request("GET", target.format(secret))
    answer = connection.getresponse()
    body = answer.read()

    assert answer.status < 500
    assert not re.search(rb"root:.*:0:0|PATH=", body)
    connection.close()


@pytest.mark.parametrize(
    "term",
    ["/etc/passwd", "~/.ssh/id_rsa", "photo.jpg", "file:secret", "../x", "C:\\\\x", "sky +/etc/passwd", "sky -a.png"],
)
def test_a_query_cannot_name_a_file(client: Any, drawn: Path, term: str) -> None:
    """The same answer whether the file is there or not."""
    there = str(sorted((drawn.parent / "pictures").iterdir())[0])
    for asked in (term, there, there + "x.jpg"):
        error = client.get("/api/search", 400, params={"q": asked}).json()["error"]
        assert ("PathNotAllowed", True) == (error["kind"], isinstance(error["position"], int))


# --- bodies ---------------------------------------------------------------------------------------


def test_a_body_that_announces_too_much_is_not_read(client: Any) -> None:
    head = b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n"
    answer = raw_answer(client, head + b"x" * 1000)
    assert (b"413", "PayloadTooLarge") == (answer.split(b" ", 2)[1], kind_of(answer))


def test_a_body_without_a_length_is_cut_off_at_the_limit(client: Any) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(70):
            yield bytes(1024 * 1024)

    try:
        answer = client.post("/api/search", 413, data=endless())
        assert "PayloadTooLarge" == answer.json()["error"]["kind"]
    except requests.ConnectionError:
        # The answer came while the client still sent; what counts is that the server did not take it all.
        client.session.close()
    client.get("/healthz")


def test_small_bodies_have_a_small_limit(client: Any) -> None:
    refused = client.post("/api/embed", 413, data=b" " * 100_000, headers={"X-Pixfind": "1"})
    assert "PayloadTooLarge" == refused.json()["error"]["kind"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "EmptyBody"),
        (b"not a picture" * 50, 415, "NotAnImage"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", 415, "NotAnImage"),
        (png_bomb(), 413, "UploadTooLarge"),
        ((b"\xff\xd8\xff\xe0" + bytes(5000)), 415, "Truncated"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01" + bytes(50), 415, "Truncated"),
        (b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WEBPVP8 " + bytes(40), 415, "Truncated"),
        (b"--x\r\nContent-Disposition: form-data; name=a; filename=/etc/passwd\r\n\r\nx\r\n--x--", 415, "NotAnImage"),
    ],
    ids=["empty", "text", "svg", "bomb", "truncated", "huge jpeg header", "webp of nothing", "multipart"],
)  # fmt: skip
def test_a_malformed_upload_is_told_and_harms_nothing(client: Any, body: bytes, status: int, kind: str) -> None:
    assert kind == client.post("/api/search?k=1", status, data=body).json()["error"]["kind"]
    client.get("/healthz")


# --- slow and many --------------------------------------------------------------------------------


def test_one_client_may_not_hold_all_connections(client: Any) -> None:
    """The first of 300 end, and whoever comes last is answered."""
    with contextlib.ExitStack() as opened:
        place = ("127.0.0.1", client.server.port)
        held = [opened.enter_context(socket.create_connection(place, timeout=600)) for _ in range(300)]
        held[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200")
        for ended in held[: 300 - 256]:
            with contextlib.suppress(ConnectionError):
                assert b"" == ended.recv(1)
    client.session.close()
    client.get("/healthz")


def test_slow_uploads_and_streams_leave_room_for_other_requests(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one)
    upload = b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nslow"
    stream = b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def begin(request: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", client.server.port), timeout=600)
        connection.sendall(request)
        return connection

    def ask(method: str, path: str, **body: Any) -> int:
        status: int = client.session.request(method, client.server.address + path, timeout=600, **body).status_code
        return status

    with contextlib.ExitStack() as held:
        for _ in range(32):
            held.enter_context(begin(upload))
        wait_for(lambda: ask("POST", "/api/search", data=b"text") == 429)
        streams = [held.enter_context(begin(stream)) for _ in range(16)]
        assert all(b" 200 " in connection.recv(100) for connection in streams)
        assert "TooManyRequests" == client.get("/api/events", 429).json()["error"]["kind"]
        assert 200 == ask("GET", "/api/search?q=sky")
    wait_for(lambda: ask("POST", "/api/search", data=b"text") == 415)


@pytest.mark.parametrize(
    "sent",
    [b"\0\1\2\3\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b"G" * 200_000, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"A: b\r\n" * 200_000 + b"\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: \xff\0\r\n\r\n",
     b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
     b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)],
    ids=["noise", "version", "no version", "long line", "long path", "many headers", "NUL", "negative length", "smuggling", "TLS"],
)  # fmt: skip
def test_what_is_no_request_gets_an_error_and_nothing_more(client: Any, sent: bytes) -> None:
    try:
        answer = raw_answer(client, sent)
    except OSError:
        # The server may have hung up while the rest was still being sent: a reset, a broken pipe, not connected any more.
        answer = b""

    assert answer == b"" or (answer.split(b" ", 2)[1], kind_of(answer)) in (
        (b"400", "InvalidRequest"),
        (b"400", "EmptyBody"),
        (b"403", "HostNotAllowed"),
        (b"404", "NotFound"),  # a long path that arrives at once is a request
    )
    assert 0 == answer.count(b"HTTP/1.1 2")
    client.get("/healthz")


def test_too_many_requests_are_put_off(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, "--max-rate", "1")
    answers = [client.session.get(f"{client.server.address}/healthz", timeout=600) for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]

    assert 2 <= len(answers) - len(refused) < 40
    assert {"1"} == {answer.headers["retry-after"] for answer in refused}
    assert {"TooManyRequests"} == {answer.json()["error"]["kind"] for answer in refused}


def test_a_client_sees_how_much_it_may_ask(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, "--max-rate", "50")
    first, second = (client.get("/healthz").headers for _ in range(2))

    assert '"requests";q=100;w=2' == first["ratelimit-policy"]
    left = [int(headers["ratelimit"].rpartition("r=")[2]) for headers in (first, second)]
    assert 0 < min(left) <= max(left) < 100


# --- what every answer carries --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/nothing"), ("GET", "/static/nothing"), ("GET", "/api/search"), ("GET", "/api/search?q=sky"), ("PUT", "/api/status"),
     ("GET", "/api/images/1/file"), ("GET", "/api/images/1/thumbnail"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("POST", "/api/embed")],
)  # fmt: skip
def test_every_answer_carries_the_headers_that_bind_a_browser(client: Any, method: str, path: str) -> None:
    answer = client.session.request(method, client.server.address + path, timeout=600)

    assert [] == [name for name in HEADERS if name not in answer.headers]
    assert "server" not in answer.headers
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    if answer.status_code >= 400:
        body = answer.json()
        assert {"message", "kind", "former_kind", "position", "values"} == set(body["error"])
        assert (answer.status_code, body["error"]["message"]) == (body["status"], body["detail"])
        assert f"urn:pixfind:error:{body['error']['kind']}" == body["type"]


def test_no_error_shows_our_insides(client: Any) -> None:
    for path in ("/nothing", "/api/search?k=x", "/api/images/0", "/api/search?q=%22"):
        text = client.session.get(client.server.address + path, timeout=600).text
        assert not re.search(r"Traceback|site-packages|\.py\b|0x[0-9a-f]{6}", text)


def test_all_refusals_have_a_status_of_a_client_or_of_a_busy_server() -> None:
    kinds = errors.RequestError.__subclasses__()

    assert kinds
    assert all(400 <= kind.status < 500 or kind.status in {503, 504} for kind in kinds)


def test_problem_details_have_their_media_type_where_it_is_accepted(client: Any) -> None:
    plain, asked = (
        client.get("/api/images/999999", 404, headers={"Accept": accept}).headers["content-type"]
        for accept in ("*/*", "application/problem+json, application/json;q=0.5")
    )
    refused = client.get("/api/status", 403, headers={"Host": "evil", "Accept": "application/problem+json"})

    assert ("application/json", "application/problem+json") == (plain, asked)
    assert "application/problem+json" == refused.headers["content-type"]
    assert "Host not allowed" == refused.json()["title"]


def test_the_version_in_the_path_may_be_left_out(client: Any) -> None:
    for path in ("status", "search?q=sky&k=3", "images/1", "failures"):
        ours, former = (client.get(f"/api/{version}{path}").json() for version in ("v1/", ""))
        assert ours.keys() == former.keys()
    assert "NotFound" == client.get("/api/v2/status", 404).json()["error"]["kind"]
