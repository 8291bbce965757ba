"""Compressed responses: asked for by clients of other machines, and by those alone."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from pixfind.server import compression

GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def elsewhere(drawn: Path, connect: Callable[..., Any]) -> Iterator[Any]:
    """A client that reaches the server by an address of the network, as another machine would."""
    addresses = [a.address for found in psutil.net_if_addrs().values() for a in found if a.family.name == "AF_INET"]
    network = next((address for address in addresses if not address.startswith("127.")), None)
    if network is None:
        pytest.skip("this machine has no address but its own")
    with connect(drawn, drawn.parent / "elsewhere.log", "--host", network, token=True) as client:
        client.session.headers["Authorization"] = f"Bearer {client.server.token}"
        yield client


def sent(client: Any, path: str, **headers: str) -> requests.Response:
    """The response, its body as it came."""
    answer = client.session.get(client.server.address + path, headers=headers, stream=True, timeout=600)
    answer.raw.decode_content = False
    return answer


@pytest.mark.parametrize("path", ["/api/search?q=sky&k=60", "/static/base.css", "/", "/metrics", "/openapi.json"])
def test_what_is_text_is_compressed(elsewhere: Any, path: str) -> None:
    plain, small = sent(elsewhere, path, **{"Accept-Encoding": "identity"}), sent(elsewhere, path, **GZIP)
    whole, body = plain.raw.read(), small.raw.read()

    assert "gzip" == small.headers["content-encoding"]
    assert len(body) == int(small.headers["content-length"]) < len(whole) / 2
    # Further on /metrics has the processor time, which grows.
    assert whole[:100] == gzip.decompress(body)[:100]
    for answer in (plain, small):
        assert "Accept-Encoding" in answer.headers["vary"]
        assert "content-encoding" not in plain.headers


def test_a_compressed_page_is_not_sent_again(elsewhere: Any) -> None:
    tag = sent(elsewhere, "/static/base.css", **GZIP).headers["etag"]

    assert tag.startswith('W/"')
    assert 304 == sent(elsewhere, "/static/base.css", **GZIP, **{"If-None-Match": tag}).status_code


@pytest.mark.parametrize("path", ["/api/images/1/thumbnail", "/api/images/1/file", "/api/images/1", "/healthz"])
def test_pictures_and_short_answers_are_not(elsewhere: Any, path: str) -> None:
    assert "content-encoding" not in sent(elsewhere, path, **GZIP).headers


def test_a_range_of_a_file_is_its_bytes(elsewhere: Any) -> None:
    answer = sent(elsewhere, "/api/images/1/file", **GZIP, Range="bytes=0-9")

    assert (206, "bytes 0-9") == (answer.status_code, answer.headers["content-range"].partition("/")[0])
    assert 10 == len(answer.raw.read())


def test_events_come_one_by_one(elsewhere: Any) -> None:
    answer = sent(elsewhere, "/api/events", **GZIP)
    assert "content-encoding" not in answer.headers
    assert answer.raw.read(6) == b"event:"
    answer.close()


def test_nothing_is_compressed_on_this_machine(client: Any) -> None:
    assert "content-encoding" not in sent(client, "/openapi.json", **GZIP).headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("br", False), ("", False), ("*", False)],
)  # fmt: skip
def test_gzip_is_used_where_it_is_accepted(header: str, accepted: bool) -> None:
    assert accepted == compression.accepts(header)
