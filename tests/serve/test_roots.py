"""The folders of a library over HTTP: with counts and rules; added and thinned only by whom it is allowed; and the last run."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing import make_broken, make_library, make_pictures, wait_for
from pixfind.testing.servers import Server, serving

_CONTROL = {"X-Pixfind": "1"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Server, requests.Session]]:
    """A server that needs its token, of a library with one folder of three pictures, and a client that has it."""
    make_pictures(tmp_path / "one", 3)
    make_broken(tmp_path / "one/broken.jpg", "text")
    make_library(tmp_path / "library", tmp_path / "one").close()
    with serving(tmp_path / "library", tmp_path / "serve.log", token=True) as server, requests.Session() as session:
        session.headers.update({"Authorization": f"Bearer {server.token}", **_CONTROL})
        yield server, session
    with Library.open(tmp_path / "library") as library:
        assert [] == verify.verify(library)


def post(guarded: tuple[Server, requests.Session], **body: Any) -> requests.Response:
    server, session = guarded
    return session.post(f"{server.address}/api/roots", json=body, timeout=60)


def roots(guarded: tuple[Server, requests.Session]) -> dict[str, dict[str, Any]]:
    server, session = guarded
    found = session.get(f"{server.address}/api/roots", timeout=60).json()["roots"]
    return {Path(each["path"]).name: each for each in found}


def idle(guarded: tuple[Server, requests.Session]) -> Callable[[], bool]:
    server, session = guarded
    return lambda: not session.get(f"{server.address}/api/status", timeout=60).json()["running"]


def test_roots_have_counts_rules_and_where_they_are(tmp_path: Path, guarded: tuple[Server, requests.Session]) -> None:
    with sqlite3.connect(tmp_path / "library/metadata.db") as database:
        database.execute("UPDATE images SET gone = 1 WHERE path LIKE '%00000.jpg'")
        database.execute(
            "UPDATE roots SET offline = 'no such folder', exclude = '[\"*/x/*\"]', left_out = '{\"psd\": 2}'"
        )
    found = roots(guarded)["one"]
    assert {"searchable": 2, "failed": 1, "gone": 1} == found["images"]
    assert ("no such folder", ["*/x/*"], {"psd": 2}, False) == (
        found["offline"],
        found["exclude"],
        found["left_out"],
        found["in_archives"],
    )


def test_a_folder_is_registered_and_embedded_and_then_thinned(
    tmp_path: Path, guarded: tuple[Server, requests.Session]
) -> None:
    make_pictures(tmp_path / "two -x", 2, first=40)
    assert 202 == post(guarded, action="add", path=str(tmp_path / "two -x"), exclude=["*/none/*"]).status_code
    wait_for(lambda: roots(guarded).get("two -x", {}).get("images") == {"searchable": 2}, what=lambda: roots(guarded))
    assert ["*/none/*"] == roots(guarded)["two -x"]["exclude"]
    wait_for(idle(guarded))
    assert 202 == post(guarded, action="exclude", path=str(tmp_path / "two -x/"), exclude=["*40.jpg"]).status_code
    wait_for(lambda: roots(guarded)["two -x"]["images"] == {"searchable": 1, "skipped": 1}, what=lambda: roots(guarded))
    wait_for(idle(guarded))

    server, session = guarded
    last = session.get(f"{server.address}/api/runs/last", timeout=60).json()
    assert ("index", True) == (last["verb"], last["seconds"] > 0)
    assert any("library:" in line for line in last["lines"])


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"action": "add", "path": "pictures"}, 400, "InvalidRequest"),
        ({"action": "add", "path": "--help"}, 400, "InvalidRequest"),
        ({"action": "add", "path": "https://example.org/list.csv"}, 400, "InvalidRequest"),
        ({"action": "add", "path": "s3://bucket/pictures"}, 400, "InvalidRequest"),
        ({"action": "add", "path": "/no/such/folder"}, 400, "FolderNotReadable"),
        ({"action": "scan", "path": "/etc"}, 400, "InvalidRequest"),
        ({"action": "delete", "path": "/etc"}, 400, "InvalidRequest"),
        ({"action": "add", "path": "/" + "x" * 5_000}, 400, "InvalidRequest"),
        ({"action": "add", "path": "/srv\0x"}, 400, "InvalidRequest"),
        ({"action": "add"}, 400, "InvalidRequest"),
    ],
)
def test_what_cannot_be_a_folder_is_refused(
    guarded: tuple[Server, requests.Session], body: dict[str, Any], status: int, kind: str
) -> None:
    answer = post(guarded, **body)
    assert (status, kind) == (answer.status_code, answer.json()["error"]["kind"])
    assert ["one"] == list(roots(guarded))


def test_a_pattern_is_needed_to_leave_something_out(tmp_path: Path, guarded: tuple[Server, requests.Session]) -> None:
    answer = post(guarded, action="exclude", path=str(tmp_path / "one"))
    assert "pattern" in answer.json()["error"]["message"]
    assert 400 == answer.status_code


def test_a_request_of_another_site_changes_nothing(tmp_path: Path, guarded: tuple[Server, requests.Session]) -> None:
    server, session = guarded
    del session.headers["X-Pixfind"]
    answer = session.post(f"{server.address}/api/roots", json={"action": "scan", "path": str(tmp_path / "one")}, timeout=60)  # fmt: skip
    assert 422 == answer.status_code


def test_while_another_process_writes_it_is_refused(tmp_path: Path, guarded: tuple[Server, requests.Session]) -> None:
    with Library.open(tmp_path / "library", write=True) as library, library.lock("merge"):
        answer = post(guarded, action="scan", path=str(tmp_path / "one"))
    assert (409, "AlreadyRunning") == (answer.status_code, answer.json()["error"]["kind"])


def test_without_a_token_no_folder_can_be_added(tmp_path: Path, client: Any) -> None:
    make_pictures(tmp_path / "secret", 1)
    body = {"action": "add", "path": str(tmp_path / "secret")}
    error = client.post("/api/roots", 403, json=body, headers=_CONTROL).json()["error"]
    assert "RootsForbidden" == error["kind"]
    assert not client.get("/api/status").json()["can_add_folders"]


def test_a_library_without_an_embed_has_no_log(tmp_path: Path, serve: Callable[..., Any]) -> None:
    (tmp_path / "nothing").mkdir()
    make_library(tmp_path / "library", tmp_path / "nothing", embed=False).close()
    client = serve(tmp_path / "library")
    last = client.get("/api/runs/last").json()
    assert ("add", []) == (last["verb"], last["lines"])
    assert [{}] == [root["images"] for root in client.get("/api/roots").json()["roots"]]


def test_a_file_is_no_folder(tmp_path: Path, guarded: tuple[Server, requests.Session]) -> None:
    (tmp_path / "pictures.zip").write_bytes(b"PK\5\6" + bytes(18))
    answer = post(guarded, action="add", path=str(tmp_path / "pictures.zip"))
    assert (400, "FolderNotReadable") == (answer.status_code, answer.json()["error"]["kind"])
