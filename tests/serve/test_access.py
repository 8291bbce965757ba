"""Attacks, and what each gets."""

import contextlib
import http.client
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pixfind import errors
from pixfind.server import access
from pixfind.testing import wait_for
from pixfind.testing.images import png_bomb

EVERYWHERE = "0.0.0.0"  # noqa: S104  this is what needs a token
HEADERS = ("content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options")


@pytest.fixture(scope="module")
def open_to_all(one: Path, connect: Callable[..., Any]) -> Iterator[Any]:
    """A client, without the token, of a server that listens on all addresses."""
    with connect(
        one, one.parent / "open.log", "--host", EVERYWHERE, "--allow-host", "Pictures.example", token=True
    ) as client:
        client.address = f"http://127.0.0.1:{client.server.port}"
        yield client


def _raw(client: Any, head: bytes, *, seconds: float = 20) -> bytes:
    """Send bytes as they are and return all that comes back."""
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=seconds) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def _kind(answer: bytes) -> str:
    """The kind of the error that the first of these answers tells."""
    body, _ = json.JSONDecoder().raw_decode(answer.partition(b"\r\n\r\n")[2].decode())
    kind: str = body["error"]["kind"]
    return kind


# --- hosts and origins -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80", "169.254.169.254", "[::2]", "2130706433",
     "user@127.0.0.1", "127.0.0.1@evil.example", "", "[", "a" * 300],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(client: Any, host: str) -> None:
    """DNS rebinding: the browser believes that evil.example is here, and says so."""
    for path in ("/", "/api/status", "/api/search?q=sky", "/healthz", "/static/app.js"):
        assert "HostNotAllowed" == client.get(path, 403, headers={"Host": host}).json()["error"]["kind"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:{port}", "[::1]:{port}", "127.0.0.1:1"])
def test_our_own_names_pass(client: Any, host: str) -> None:
    client.get("/healthz", headers={"Host": host.format(port=client.server.port)})


def test_two_hosts_or_none_are_no_request(client: Any) -> None:
    for head, status, kind in (
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", b"400", "InvalidRequest"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400", "InvalidRequest"),
        (b"GET / HTTP/1.0\r\n\r\n", b"403", "HostNotAllowed"),
    ):
        answer = _raw(client, head)
        assert (status, kind) == (answer.split(b" ", 2)[1], _kind(answer))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Origin": "chrome-extension://abc"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_site_may_not_ask(client: Any, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/api/search?q=sky"), ("GET", "/api/images/1/thumbnail"), ("POST", "/api/embed"), ("POST", "/v1/embeddings")):  # fmt: skip
        answer = client.send(method, path, 403, headers=headers)
        assert "OriginNotAllowed" == answer.json()["error"]["kind"]
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_itself_may_ask_and_a_link_may_open_it(client: Any) -> None:
    own = {"Origin": client.server.address, "Sec-Fetch-Site": "same-origin"}
    client.get("/api/status", headers=own)
    refused = client.post("/api/embed", 409, headers={**own, "X-Pixfind": "1"}, json={"action": "stop"})
    assert "NothingRunning" == refused.json()["error"]["kind"]
    client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})


def test_no_other_site_is_given_leave(client: Any) -> None:
    """A preflight is answered without any leave, and a simple request cannot carry the header that control needs."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-pixfind"}
    answer = client.session.options(f"{client.server.address}/api/embed", headers=asked, timeout=600)

    assert answer.status_code >= 400
    assert [] == [name for name in answer.headers if name.lower().startswith("access-control")]
    for headers in ({}, {"X-Pixfind": "0"}):
        refused = client.post("/api/embed", 422, json={"action": "stop"}, headers=headers)
        assert "InvalidRequest" == refused.json()["error"]["kind"]


# --- tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/status", "/api/images/1/file", "/api/events", "/metrics", "/openapi.json", "/v1/embeddings", "/no/such"])  # fmt: skip
def test_nothing_is_told_without_the_token(open_to_all: Any, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YTpi"},
        {"Cookie": f"pixfind_session_{open_to_all.server.port}=wrong"},
    ):
        answer = requests.get(open_to_all.address + path, headers=headers, timeout=600)
        assert answer.json()["error"]["kind"] == {401: "InvalidToken", 429: "TooManyRequests"}[answer.status_code]


def test_the_token_opens_the_page_and_becomes_a_session(open_to_all: Any) -> None:
    token = open_to_all.server.token
    assert len(token) >= 40
    session = requests.Session()
    opened = session.get(f"{open_to_all.address}/?token={token}", timeout=600)

    assert (200, [303], f"{open_to_all.address}/") == (
        opened.status_code,
        [h.status_code for h in opened.history],
        opened.url,
    )
    assert token not in opened.history[0].headers["set-cookie"]
    assert 200 == session.get(f"{open_to_all.address}/api/status", timeout=600).status_code


def test_the_token_is_taken_as_a_header(open_to_all: Any) -> None:
    bearer = {"Authorization": f"Bearer {open_to_all.server.token}"}
    assert 200 == requests.get(f"{open_to_all.address}/api/status", headers=bearer, timeout=600).status_code
    for host in ("10.1.2.3", "pictures.example:80"):
        named = {**bearer, "Host": host}
        assert 200 == requests.get(f"{open_to_all.address}/api/status", headers=named, timeout=600).status_code
    named = {**bearer, "Host": "evil.example"}
    refused = requests.get(f"{open_to_all.address}/api/status", headers=named, timeout=600)
    assert (403, "HostNotAllowed") == (refused.status_code, refused.json()["error"]["kind"])
    assert 200 == requests.get(f"{open_to_all.address}/healthz", timeout=600).status_code


def test_the_token_is_in_no_log(open_to_all: Any) -> None:
    assert open_to_all.server.token not in open_to_all.server.log.read_text(encoding="utf-8")


def test_guessing_is_slowed_down(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, token=True)
    address = f"http://127.0.0.1:{client.server.port}/api/status"
    refused = [requests.get(address, headers={"Authorization": f"Bearer {n}"}, timeout=600) for n in range(15)]
    got = [answer.status_code for answer in refused]

    # How many there are at once, and how many later: tests/unit/test_access.py, with a clock that is turned.
    assert [401] * 10 == got[:10]
    assert 429 in got
    assert [{401: "InvalidToken", 429: "TooManyRequests"}[status] for status in got] == [
        answer.json()["error"]["kind"] for answer in refused
    ]
    bearer = {"Authorization": f"Bearer {client.server.token}"}
    assert 200 == requests.get(address, headers=bearer, timeout=600).status_code


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), (EVERYWHERE, False), ("::", False),
     ("192.168.1.5", False), ("pictures.example", False)],
)  # fmt: skip
def test_an_address_that_others_can_reach_is_known_as_such(host: str, local: bool) -> None:
    assert local == access.is_local(host)
    rules = access.rules_for(host, 80, token=None)
    assert host in rules.hosts or rules.any_address


# --- where the owner finds the token ----------------------------------------------------------------


def test_this_machine_needs_the_token_too(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, token=True)

    assert "InvalidToken" == client.get("/api/status", 401).json()["error"]["kind"]
    assert "Token needed" in client.get("/", 401, headers={"Accept": "text/html"}).text


def test_the_owner_finds_the_token_in_files_that_end_with_the_server(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, token=True)
    token_file, page_file = (one / f"serve-{client.server.port}.{kind}" for kind in ("token", "html"))

    assert client.server.token == token_file.read_text().strip()
    assert client.server.token in page_file.read_text()
    assert [0o600, 0o600] == [path.stat().st_mode & 0o777 for path in (token_file, page_file)]
    client.get("/healthz")  # from its first answer on it handles signals
    client.server.process.terminate()
    client.server.process.wait(600)
    assert not token_file.exists()
    assert not page_file.exists()


def test_a_token_file_is_made_once_and_keeps_its_token(one: Path, serve: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "token"
    servers = [serve(one, "--token-file", str(file), token=True).server for _ in range(2)]

    assert 0o600 == file.stat().st_mode & 0o777
    assert {file.read_text().strip()} == {server.token for server in servers}
    assert not any((one / f"serve-{server.port}.token").exists() for server in servers), "no second place has it"


def test_a_killed_server_leaves_nothing_that_stands_in_the_way(one: Path, serve: Callable[..., Any]) -> None:
    killed = serve(one, token=True).server
    killed.process.kill()
    killed.process.wait(600)
    left = one / f"serve-{killed.port}.token"
    left.chmod(0o644)
    again = serve(one, "--port", str(killed.port), token=True).server

    assert (again.token, 0o600) == (left.read_text().strip(), left.stat().st_mode & 0o777)
    assert again.token != killed.token


def test_open_gives_the_browser_a_file_and_never_the_token(
    one: Path, serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody on a machine can list the arguments of a program."""
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f'#!/bin/sh\necho "$@" > {told}.part && mv {told}.part {told}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    client = serve(one, "--open", token=True)
    wait_for(told.exists)

    assert f"file://{one}/serve-{client.server.port}.html" == told.read_text().strip()


# --- paths ------------------------------------------------------------------------------------------

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


# --- bodies -----------------------------------------------------------------------------------------


def test_a_body_that_announces_too_much_is_not_read(client: Any) -> None:
    head = b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n"
    answer = _raw(client, head + b"x" * 1000)
    assert (b"413", "PayloadTooLarge") == (answer.split(b" ", 2)[1], _kind(answer))


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


# --- slow and many ----------------------------------------------------------------------------------


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
        answer = _raw(client, sent)
    except OSError:
        # The server may have hung up while the rest was still being sent: a reset, a broken pipe, not connected any more.
        answer = b""

    assert answer == b"" or (answer.split(b" ", 2)[1], _kind(answer)) in (
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


# --- pages of other sites that may ask --------------------------------------------------------------


def test_a_site_that_was_named_may_ask_with_the_token(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(
        one, "--allow-origin", "https://photos.example", "--allow-origin", "http://localhost:3000", token=True
    )
    site = {"Origin": "https://photos.example", "Sec-Fetch-Site": "cross-site"}
    preflight = client.send(
        "OPTIONS",
        "/api/search?q=sky",
        204,
        headers={**site, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"},
    ).headers
    found = client.get("/api/search?q=sky", headers={**site, "Authorization": f"Bearer {client.server.token}"}).headers
    refused_answer = client.get("/api/search?q=sky", 401, headers=site)
    refused = refused_answer.headers

    assert "InvalidToken" == refused_answer.json()["error"]["kind"]
    assert "Authorization" in preflight["access-control-allow-headers"]
    for headers in (preflight, found, refused):
        assert "https://photos.example" == headers["access-control-allow-origin"]
        # Cookies are never for them: the session of this browser's owner would be.
        assert "access-control-allow-credentials" not in headers
        assert "Origin" in headers["vary"]


def test_no_other_site_may_ask(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, "--allow-origin", "https://photos.example")
    for origin in ("https://photos.example.evil", "http://photos.example", "https://photos.example:8443", "null", "*"):
        for method, more in (("GET", {}), ("OPTIONS", {"Access-Control-Request-Method": "GET"})):
            answer = client.send(method, "/api/search?q=sky", 403, headers={"Origin": origin, **more})
            assert "OriginNotAllowed" == answer.json()["error"]["kind"]
            assert "access-control-allow-origin" not in answer.headers


# --- what every answer carries ----------------------------------------------------------------------


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
