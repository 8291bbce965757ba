"""Libraries of a collection that do not answer, or answer as no friend does."""

import contextlib
import functools
import http.server
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.collections.conftest import Split
from tests.collections.test_serving import described
from tests.serve.conftest import Client, connected

from pixfind.collection import ids
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.testing import make_drawn_pictures, make_library, wait_for
from pixfind.testing.servers import serving
from pixfind.workflows import label

# --- when one does not answer ---------------------------------------------------------------------


@pytest.mark.parametrize("remote", [False, True])
def test_a_label_that_one_library_lacks_finds_those_of_the_others(
    copied: Split, tmp_path: Path, *, remote: bool
) -> None:
    members = {}
    for part, names in zip(copied.parts, (["woods", "snowy"], ["snowy"]), strict=True):
        members[part.name] = shutil.copytree(part, tmp_path / part.name)
        with Library.open(members[part.name], write=True) as library, library.lock("label"):
            build.build_index(library)
            label.define(library, [Definition(name, "forest", -9.0) for name in names])
    with contextlib.ExitStack() as opened:
        if remote:
            nas = opened.enter_context(serving(members["right"], tmp_path / "nas.log"))
            file = described(tmp_path, {"left": members["left"], "right": nas.address})
        else:
            file = described(tmp_path, dict(members))
        client = opened.enter_context(connected(file, tmp_path / "log"))
        for query in ("k=60", "q=sky&all=true&k=60"):
            found = client.json(f"/api/v1/search?label=woods&{query}")
            hits = found["hits"]
            assert [] == found["missing"]
            assert 8 == len(hits)
            assert {"left"} == {hit["library"] for hit in hits}
            assert {"left", "right"} == {hit["library"] for hit in client.hits(f"/api/v1/search?label=snowy&{query}")}
            client.get(f"/api/v1/search?label=beach&{query}", 400)
        client.get("/api/v1/search?label=-beach&q=sky&all=true&k=60", 400)
        # The library that lacks a label has no image with it.
        without = client.hits("/api/v1/search?label=-woods&q=sky&all=true&k=60")
        assert (8, {"right"}) == (len(without), {hit["library"] for hit in without})
        assert [] == client.hits("/api/v1/search?label=-woods&label=-snowy&q=sky&all=true&k=60")
        for asked_for, count in (("woods", 8), ("-woods", len(without))):
            assert count == len(client.hits(f"/api/v1/search?label={asked_for}&k=60"))
            assert count == client.json(f"/api/v1/facets?label={asked_for}")["count"]
            assert count == client.json(f"/api/v1/timeline?label={asked_for}")["count"]
            assert count == sum(each["count"] for each in client.json(f"/api/v1/folders?label={asked_for}")["folders"])
            assert [] == client.json(f"/api/v1/places?label={asked_for}")["missing"]
        assert 0 == client.json("/api/v1/facets?label=-woods&label=-snowy")["count"]
        for asked in ("search", "facets", "timeline", "folders", "places"):
            assert "no library has this label" in client.get(f"/api/v1/{asked}?label=-woods&label=-beach", 400).text


def test_a_library_whose_server_ends_is_named_until_it_is_back(split: Split, tmp_path: Path) -> None:
    with serving(split.parts[1], tmp_path / "nas.log") as nas:
        port = nas.port
        members: dict[str, Path | str] = {"a": split.parts[0], "nas": nas.address}
        with connected(described(tmp_path, members), tmp_path / "log") as client:
            before = client.json("/api/v1/search?q=snow&all=true&k=60")
            its = next(hit["image_id"] for hit in before["hits"] if hit["library"] == "nas")
            nas.process.kill()
            nas.process.wait()
            without = {
                path: client.json(f"/api/v1/{path}")
                for path in ("search?q=snow&all=true&k=60", "search?in=*&k=60", "timeline", "facets", "folders")
            }
            state = client.json("/api/v1/status")
            silent = client.json(f"/api/v1/images/{its}", 504)
            selection = client.json(f"/api/v1/selection?ids={its}")
            similar = client.json(f"/api/v1/images/{its}/similar", 504)
            with serving(split.parts[1], tmp_path / "nas2.log", "--port", str(port)):
                after = client.json("/api/v1/search?q=snow&all=true&k=60")

    assert [] == before["missing"] == after["missing"]
    assert before["hits"] == after["hits"]
    for path, answer in without.items():
        assert ["nas"] == [each["library"] for each in answer["missing"]], path
        if "hits" in answer:
            assert ["a"] * 30 == [hit["library"] for hit in answer["hits"]]
    assert [None, True] == [each["missing"] and True for each in state["libraries"]]
    assert 30 == state["searchable_rows"]
    assert "nas" in silent["detail"]
    assert "nas" in similar["detail"]
    assert [its] == [each["image_id"] for each in selection["unavailable"]]


def test_a_library_that_hangs_is_named_within_the_limit(split: Split, tmp_path: Path) -> None:
    hanging = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    members: dict[str, Path | str] = {"a": split.parts[0], "nas": f"http://127.0.0.1:{hanging.server_port}"}
    with (
        contextlib.closing(hanging.socket),
        connected(described(tmp_path, members, timeout=1), tmp_path / "log") as client,
    ):

        def without_nas(path: str) -> Any:
            answer = client.json(f"/api/v1/{path}")
            # On a busy machine the other library may miss so short a limit too, at first.
            return answer if ["nas"] == [each["library"] for each in answer["missing"]] else None

        # Accepted by the kernel, and read by nobody.
        answers = [
            wait_for(functools.partial(without_nas, path)) for path in ("search?q=snow", "search?in=*", "timeline")
        ]
        error = client.json(f"/api/v1/images/{ids.joined(1, 1)}", 504)["error"]

    for answer in answers:
        assert "no answer within" in answer["missing"][0]["why"]
    assert "LibrarySilent" == error["kind"]


def test_a_drive_that_is_away_is_named_until_it_is_back(split: Split, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    members: dict[str, Path | str] = {"a": split.parts[0], "drive": drive}
    with connected(described(tmp_path, members), tmp_path / "log") as client:
        without = client.json("/api/v1/search?q=snow&all=true&k=60")
        listed = client.json("/api/v1/search?in=*&k=60")
        make_drawn_pictures(tmp_path / "pictures", 5)
        make_library(drive, tmp_path / "pictures").close()
        back = client.json("/api/v1/search?q=snow&all=true&k=60")
        listed_again = client.json("/api/v1/search?in=*&k=60")

    assert (
        ["drive"] == [each["library"] for each in without["missing"]] == [each["library"] for each in listed["missing"]]
    )
    assert [] == back["missing"] == listed_again["missing"]
    assert 30 == len(without["hits"]) == len(listed["hits"])
    assert 35 == len(back["hits"]) == len(listed_again["hits"])


def test_nobody_answers(tmp_path: Path) -> None:
    with connected(
        described(tmp_path, {"a": tmp_path / "none", "b": tmp_path / "neither"}), tmp_path / "log"
    ) as client:
        for path in ("search?q=snow", "search?in=*", "timeline"):
            error = client.json(f"/api/v1/{path}", 504)["error"]
            assert "CollectionUnavailable" == error["kind"]
            assert "a: " in error["message"]
            assert "b: " in error["message"]
        assert [False, False] == [each["missing"] is None for each in client.json("/api/v1/status")["libraries"]]


# --- whoever answers may be no friend -------------------------------------------------------------


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers every question with a script, and remembers what it was told."""

    told: list[dict[str, str]] = []  # noqa: RUF012  of the one server of a test

    def do_GET(self) -> None:
        self.told.append(dict(self.headers))
        body = b"<script>alert(1)</script>"
        self.send_response(200)
        for name, value in {
            "Content-Type": "text/html",
            "Content-Disposition": 'inline; filename="x.html"',
            "Content-Security-Policy": "default-src *",
            "Set-Cookie": "pixfind_session=stolen",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the name that it has there
        pass


def test_a_hostile_server_reaches_no_browser_and_hears_no_token(split: Split, tmp_path: Path) -> None:
    hostile = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=hostile.serve_forever, daemon=True).start()
    file = described(tmp_path, {"a": split.parts[0], "nas": f"http://127.0.0.1:{hostile.server_port}"})
    image = f"/api/v1/images/{ids.joined(1, 1)}"
    try:
        with serving(file, tmp_path / "log", token=True) as server:
            client = Client(server)
            client.session.headers["Authorization"] = f"Bearer {server.token}"
            client.session.cookies.set("mine", "secret-of-the-browser")
            passed_on = client.get(f"{image}/file")
            client.json(image, 504)
            client.json(f"{image}/thumbnail", 504)
            found = client.json("/api/v1/search?q=snow")
    finally:
        hostile.shutdown()
        hostile.server_close()

    assert "application/octet-stream" == passed_on.headers["content-type"]
    assert passed_on.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'; sandbox" == passed_on.headers["content-security-policy"]
    assert "nosniff" == passed_on.headers["x-content-type-options"]
    assert "set-cookie" not in passed_on.headers
    assert ["nas"] == [each["library"] for each in found["missing"]]
    assert Hostile.told
    for headers in Hostile.told:
        assert not {"cookie", "authorization"} & {name.lower() for name in headers}


def test_a_server_that_breaks_off_a_file_is_no_bug_of_ours(split: Split, tmp_path: Path) -> None:
    class Broken(Hostile):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"\xff\xd8\xff")

    broken = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=broken.serve_forever, daemon=True).start()
    file = described(tmp_path, {"a": split.parts[0], "nas": f"http://127.0.0.1:{broken.server_port}"})
    try:
        with connected(file, tmp_path / "log") as client, pytest.raises(requests.RequestException):
            client.get(f"/api/v1/images/{ids.joined(1, 1)}/file")
    finally:
        broken.shutdown()
        broken.server_close()
