"""Attacks, and what each gets."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pixfind.server import access
from pixfind.testing import wait_for

EVERYWHERE = "0.0.0.0"  # noqa: S104  this is what needs a token


@pytest.fixture(scope="module")
def open_to_all(one: Path, connect: Callable[..., Any]) -> Iterator[Any]:
    """A client, without the token, of a server that listens on all addresses."""
    with connect(
        one, one.parent / "open.log", "--host", EVERYWHERE, "--allow-host", "Pictures.example", token=True
    ) as client:
        client.address = f"http://127.0.0.1:{client.server.port}"
        yield client


def raw_answer(client: Any, head: bytes, *, seconds: float = 20) -> bytes:
    """Send bytes as they are and return all that comes back."""
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=seconds) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def kind_of(answer: bytes) -> str:
    """The kind of the error that the first of these answers tells."""
    body, _ = json.JSONDecoder().raw_decode(answer.partition(b"\r\n\r\n")[2].decode())
    kind: str = body["error"]["kind"]
    return kind


# --- hosts and origins ----------------------------------------------------------------------------


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
        answer = raw_answer(client, head)
        assert (status, kind) == (answer.split(b" ", 2)[1], kind_of(answer))


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


# --- tokens ---------------------------------------------------------------------------------------


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


# --- where the owner finds the token --------------------------------------------------------------


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


# --- pages of other sites that may ask ------------------------------------------------------------


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
