"""A library behind a server that answers oddly is named, and what the others have is shown all the same."""

import asyncio
import contextlib
import http.client
import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.collections.conftest import Split
from tests.collections.test_serving import described
from tests.serve.conftest import Client, connected

from pixfind import errors
from pixfind.collection import connection, remote
from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.collection.member import NoAnswerError
from pixfind.server import schemas, selection
from pixfind.server.collection_view import CollectionView
from pixfind.server.remote_view import RemoteView
from pixfind.testing.servers import serving

PATIENCE = 600

Change = Callable[[Any], object]


class Twisted:
    """A server in front of another, which changes its answers to some paths."""

    def __init__(self, behind: str) -> None:
        self.changes: dict[str, Callable[[bytes], bytes]] = {}
        """end of a path -> what becomes of the answer"""
        twisted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                where = urllib.parse.urlsplit(behind).netloc
                with contextlib.closing(http.client.HTTPConnection(where, timeout=PATIENCE)) as connection:
                    connection.request(self.command, self.path, body or None)
                    answer = connection.getresponse()
                    content = answer.read()
                change = twisted.changes.get(self.path.partition("?")[0].rpartition("/")[2])
                content = content if change is None else change(content)
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the name that it has there
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def nas(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of one library."""
    with serving(split.parts[1], tmp_path_factory.mktemp("nas") / "log") as server:
        yield server.address


@pytest.fixture(scope="module")
def twisted(nas: str) -> Iterator[Twisted]:
    with contextlib.closing(Twisted(nas)) as made:
        yield made


@pytest.fixture(scope="module")
def two(split: Split, twisted: Twisted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server of a library in a folder and one behind the server whose answers are changed."""
    place = tmp_path_factory.mktemp("two")
    with connected(described(place, {"a": split.parts[0], "nas": twisted.address}), place / "log") as client:
        yield client


def in_json(change: Change) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        values = json.loads(content)
        change(values)
        return json.dumps(values).encode()

    return changed


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b"{}", b"null", b'{"hits": 7}', b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_none_of_pixfind(two: Client, twisted: Twisted, content: bytes) -> None:
    paths = {
        "search?q=snow&all=true": "nearest",
        "search?in=*": "search",
        "timeline": "timeline",
        "facets": "facets",
        "folders": "folders",
        "places": "places",
    }
    for path, question in paths.items():
        twisted.changes = {question: lambda _: content}
        assert ["nas"] == [each["library"] for each in two.json(f"/api/v1/{path}")["missing"]], path
    twisted.changes = {"status": lambda _: content}
    assert [True, False] == [each["missing"] is None for each in two.json("/api/v1/status")["libraries"]]


SURROGATE = "\ud800"

CHANGES: tuple[tuple[str, str, Change], ...] = (
    ("search?in=*", "search", lambda found: found["hits"][0].update(date="yesterday")),
    ("search?in=*", "search", lambda found: found["hits"][0].update(date="2021-05-17T12:00:00+02:00")),
    ("search?in=*", "search", lambda found: found["hits"][0].update(image_id=0)),
    ("search?in=*", "search", lambda found: found["hits"][0].update(image_id=1 << 40)),
    ("search?in=*", "search", lambda found: found["hits"][0].update(path=SURROGATE)),
    ("search?q=snow&all=true", "nearest", lambda found: found["hits"][0].update(path=SURROGATE)),
    ("search?q=snow&all=true", "nearest", lambda found: found.update(tag=SURROGATE)),
    ("search?q=snow&all=true", "nearest", lambda found: found.update(tag=[])),
    ("timeline", "timeline", lambda found: found["months"][0].update(cursor="x")),
    ("timeline", "timeline", lambda found: found["months"][0].update(cursor="best:0:1.5:1")),
    ("facets", "facets", lambda found: found.update(cameras={})),
)


@pytest.mark.parametrize(("path", "question", "change"), CHANGES)
def test_an_answer_with_one_odd_value(two: Client, twisted: Twisted, path: str, question: str, change: Change) -> None:
    twisted.changes = {question: in_json(change)}
    found = two.json(f"/api/v1/{path}")

    assert ["nas"] == [each["library"] for each in found["missing"]]
    assert {"a"} == {hit["library"] for hit in found.get("hits", [{"library": "a"}])}


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(rows=float("inf")),
        lambda state: state["model"].update(hash=7),
        lambda state: state["model"].update(dimension="64"),
        lambda state: state.update(tag=SURROGATE),
    ],
)
def test_a_state_with_one_odd_value(split: Split, twisted: Twisted, tmp_path: Path, change: Change) -> None:
    twisted.changes = {"state": in_json(change)}
    with connected(described(tmp_path, {"a": split.parts[0], "nas": twisted.address}), tmp_path / "log") as client:
        found = client.json("/api/v1/search?q=snow&all=true&k=60")

    assert ["nas"] == [each["library"] for each in found["missing"]]
    assert 30 == len(found["hits"])


@pytest.mark.parametrize("value", [1e300, float("nan"), float("inf")])
def test_a_place_that_is_not_in_this_world(two: Client, twisted: Twisted, value: float) -> None:
    place = {"latitude": 1.0, "longitude": value, "km": 1.0, "count": 1, "image_id": 1}
    twisted.changes = {"places": in_json(lambda found: found["places"].append(place))}

    assert ["nas"] == [each["library"] for each in two.json("/api/v1/places")["missing"]]


@pytest.mark.parametrize("odd", [{"roots": [{"path": SURROGATE}]}, {"failures": {"x": 10**400}}, {"bytes": -1}])
def test_a_status_with_one_odd_value(two: Client, twisted: Twisted, odd: dict[str, Any]) -> None:
    twisted.changes = {"status": in_json(lambda state: state.update(odd))}

    assert [True, False] == [each["missing"] is None for each in two.json("/api/v1/status")["libraries"]]
    two.get("/metrics")


def test_a_refusal_of_a_filter_that_nobody_has_asked_for() -> None:
    """Else a server could make every search of the collection fail."""
    refused = errors.InvalidFilter(option="--label", value="-x", detail="there is none")
    body = json.dumps({"error": {"message": str(refused), "kind": "InvalidFilter"}, "detail": str(refused)}).encode()

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the name that it has there
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with contextlib.closing(view_of(f"http://127.0.0.1:{server.server_port}")) as view:
        with pytest.raises(NoAnswerError):
            asyncio.run(view.timeline(schemas.Page.model_validate({})))
        with pytest.raises(errors.InvalidFilter):
            asyncio.run(view.timeline(schemas.Page.model_validate({"label": ("-x",)})))
    server.shutdown()
    server.server_close()


# --- questions that are too large for one -----------------------------------------------------------


def view_of(address: str) -> RemoteView:
    return RemoteView(MemberConfig("nas", address=address), 60)


def test_what_is_shown_with_more_hits_than_one_request_may_name(nas: str) -> None:
    with contextlib.closing(view_of(nas)) as view:
        found = asyncio.run(view.hit_metadata(range(1, 2 * selection.MAX_IMAGES + 2)))

    assert 30 == len(found)


def test_a_file_is_copied_up_to_a_limit(nas: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MAX_BYTES", 100)
    with contextlib.closing(view_of(nas)) as view, pytest.raises(NoAnswerError, match="its file is over"):
        asyncio.run(view.original(1))


# --- who is no longer asked -------------------------------------------------------------------------


class Waiting(RemoteView):
    """Answers only once it is cancelled, and says so."""

    def __init__(self) -> None:
        super().__init__(MemberConfig("waiting", address="http://127.0.0.1:9"), 60)
        self.asked, self.cancelled = asyncio.Event(), False

    async def timeline(self, page: schemas.Page) -> Any:  # noqa: ARG002  that of the others
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Busy(Waiting):
    async def timeline(self, page: schemas.Page) -> Any:  # noqa: ARG002  that of the others
        raise errors.Overloaded


def collected(*views: RemoteView) -> CollectionView:
    members = tuple(MemberConfig(str(number), address="http://127.0.0.1:9") for number, _ in enumerate(views))
    return CollectionView(CollectionConfig(members, 0.1), views)


def test_nobody_asks_on_behalf_of_a_client_that_has_left() -> None:
    async def use() -> None:
        waiting = Waiting()
        with contextlib.closing(collected(waiting)) as view:
            asking = asyncio.create_task(view.timeline(schemas.Page.model_validate({})))
            await waiting.asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.sleep(0)
            assert waiting.cancelled

    asyncio.run(use())


def test_nobody_asks_on_once_one_library_has_ended_the_question() -> None:
    async def use() -> None:
        waiting = Waiting()
        with contextlib.closing(collected(Busy(), waiting)) as view:
            with pytest.raises(errors.Overloaded):
                await view.timeline(schemas.Page.model_validate({}))
            await asyncio.sleep(0)
            assert waiting.cancelled

    asyncio.run(use())


@pytest.mark.parametrize(
    "label", ["-a\\b", '-it\'s "x"', "-zero\u200bwidth", "-" + 300 * "x"], ids=["\\", "quotes", "invisible", "long"]
)
def test_a_refusal_of_what_was_asked_for_is_known_in_whatever_way_it_was_printed(label: str) -> None:
    refused = errors.InvalidFilter(option="--label", value=label, detail="there is none")
    body = json.dumps({"error": {"message": str(refused), "kind": "InvalidFilter"}, "detail": str(refused)}).encode()
    error = connection._refused_filter(400, body)
    assert error is not None

    with pytest.raises(errors.InvalidFilter), remote.refusals_checked([label], []):
        raise error
    with pytest.raises(NoAnswerError, match="nobody has asked for"), remote.refusals_checked(["-other"], []):
        raise error


@pytest.mark.parametrize("said", ["label", "--label"], ids=["now", "before"])
def test_a_refusal_in_the_terms_of_the_api_is_told_in_those_of_the_command_line(said: str) -> None:
    refused = errors.InvalidFilter(option=said, value="x", detail="the labels are beach")
    body = json.dumps({"error": {"message": str(refused), "kind": "InvalidFilter"}}).encode()

    assert "--label cannot be 'x': the labels are beach." == str(connection._refused_filter(400, body))
