"""The state of a library, told live; an embed started, paused and stopped from outside."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from pixfind.embedding.runners.serial import Serial
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.testing import make_broken, make_library, make_pictures, make_slow_pictures, wait_for
from pixfind.testing.commands import Commands
from pixfind.testing.libraries import QUIET
from pixfind.workflows.index import index

_CONTROL = {"X-Pixfind": "1"}


def _events(client: Any, seconds: float = 60) -> Iterator[dict[str, Any]]:
    with requests.get(f"{client.server.address}/api/events", stream=True, timeout=seconds) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def _until(client: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first state that is as wanted, from the stream of events."""
    states = _events(client)
    told: list[dict[str, Any]] = []

    def is_wanted() -> bool:
        told.append(next(states))
        return wanted(told[-1])

    wait_for(is_wanted, what=lambda: told[-1])
    return told[-1]


def _act(client: Any, action: str, status: int = 202) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/api/embed", status, json={"action": action}, headers=_CONTROL).json()
    return answer


def test_the_status_is_that_of_the_command_line(client: Any, drawn: Path, commands: Commands) -> None:
    expected = json.loads(commands.run(["--library", str(drawn), "status", "--json"]).stdout)
    found = client.get("/api/status").json()

    same = ("library", "images", "merged_rows", "index_rows", "recall", "model", "precision", "running", "failures")
    assert [expected[name] for name in same] == [found[name] for name in same]
    assert (60, True, False) == (found["searchable_rows"], found["can_control"], found["paused"])
    assert 60 == found["searchable_images"]
    assert [str(drawn.parent / "pictures")] == found["folders"]


def test_pictures_that_have_gone_cannot_be_searched_and_copies_can(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 4)
    first, second, *_ = sorted((tmp_path / "pictures").iterdir())
    shutil.copy(first, tmp_path / "pictures/copy.jpg")
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        second.unlink()
        index(library, [tmp_path / "pictures"], QUIET, runner=Serial())
    state = serve(tmp_path / "library").json("/api/status")
    # Its row stays where it is.
    assert (4, 4, 4) == (state["searchable_rows"], state["searchable_images"], state["images"]["seen"])


def test_failures_are_told_by_reason(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 2)
    for n in range(5):
        make_broken(tmp_path / f"pictures/truncated-{n}.jpg", "truncated", seed=n)
    make_broken(tmp_path / "pictures/text.jpg", "text")
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    client = serve(tmp_path / "library")
    reasons = client.get("/api/status").json()["failures"]

    assert {"truncated": 5, "not an image": 1} == reasons
    assert 6 == len(client.get("/api/failures").json()["failures"])
    first = client.get("/api/failures?reason=truncated&k=3").json()
    rest = client.get("/api/failures?reason=truncated&k=3&offset=3").json()
    assert [(3, True), (2, False)] == [(len(page["failures"]), page["more"]) for page in (first, rest)]
    assert {f"truncated-{n}.jpg" for n in range(5)} == {
        Path(failure["path"]).name for page in (first, rest) for failure in page["failures"]
    }
    assert [] == client.get("/api/failures?reason=nothing").json()["failures"]


def test_a_library_without_embeddings_is_served_and_says_what_to_do(tmp_path: Path, serve: Callable[..., Any]) -> None:
    Library.create(tmp_path / "library").close()
    client = serve(tmp_path / "library")

    assert 0 == client.get("/api/status").json()["searchable_rows"]
    for found in (
        client.get("/api/search?q=sky"),
        client.get("/api/search?after=2020"),
        client.get("/api/images/1/similar"),
    ):
        assert ([], "Nothing is embedded yet.") == (found.json()["hits"], found.json()["remark"])
    assert "pixfind" in client.post("/v1/embeddings", 409, json={"input": "sky"}).json()["error"]["message"]
    client.get("/metrics")


def test_an_embed_is_started_watched_and_searched_without_a_restart(tmp_path: Path, serve: Callable[..., Any]) -> None:
    """From an empty library to an answer, by the page's own means; searching all the while."""
    make_pictures(tmp_path / "pictures", 200)
    make_library(tmp_path / "library", tmp_path / "pictures", embed=False).close()
    client = serve(tmp_path / "library")
    empty = client.get("/api/search?q=red&all=true").json()
    assert (200, 0, []) == (client.get("/api/status").json()["images"]["pending"], empty["rows"], empty["hits"])

    _act(client, "start")
    running = _until(client, lambda state: state["running"])
    assert "embed" == running["run"]["verb"]
    assert "AlreadyRunning" == _act(client, "start", 409)["error"]["kind"]
    while client.get("/api/status").json()["running"]:
        client.get("/api/search?q=red&all=true")
    done = _until(client, lambda state: not state["running"])

    assert (200, 200, 200) == (done["images"]["embedded"], done["searchable_rows"], done["index_rows"])
    found = client.get("/api/search?q=red&all=true").json()
    assert (200, 60) == (found["rows"], len(found["hits"]))
    assert found["generation"]
    assert "NothingRunning" == _act(client, "stop", 409)["error"]["kind"]


def test_a_scan_finds_what_is_new_and_embeds_it(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 5)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    client = serve(tmp_path / "library")
    make_pictures(tmp_path / "pictures", 3, first=100)

    _act(client, "scan")
    done = _until(client, lambda state: state["searchable_rows"] == 8 and state["index_rows"] == 8)
    assert 8 == done["images"]["embedded"]


def test_pictures_merged_by_others_are_found_without_a_restart(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_pictures(tmp_path / "pictures", 20)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        build.build_index(library)
        client = serve(library.path)
        before = client.get("/api/search?q=red&all=true&k=100").json()

        make_pictures(tmp_path / "more", 15, first=100)
        make_library(tmp_path / "library", tmp_path / "more").close()
        merged = client.get("/api/search?q=red&all=true&k=100").json()
        build.build_index(library)
        indexed = client.get("/api/search?q=red&all=true&k=100").json()

    assert [20, 35, 35] == [found["rows"] for found in (before, merged, indexed)]
    assert [20, 35, 35] == [len(found["hits"]) for found in (before, merged, indexed)]
    assert 3 == len({found["generation"] for found in (before, merged, indexed)})


def test_an_embed_is_paused_resumed_and_stopped(tmp_path: Path, serve: Callable[..., Any]) -> None:
    make_slow_pictures(tmp_path / "pictures", 300)
    with make_library(tmp_path / "library", tmp_path / "pictures", embed=False) as library:
        client = serve(library.path)
        _act(client, "start")
        _until(client, lambda state: state["running"] and bool(state["workers"]))
        _act(client, "pause")
        paused = _until(client, lambda state: state["paused"])
        assert "paused" in paused["pause_reason"]
        assert {"kind": "PausedOnRequest", "message": paused["pause_reason"], "values": {}} == paused["pause"]
        assert paused["images"]["pending"] > 0
        client.get("/api/search?q=red&all=true")
        _act(client, "resume")
        _until(client, lambda state: not state["paused"])
        _act(client, "stop")
        stopped = _until(client, lambda state: not state["running"])
        assert 300 == stopped["images"]["embedded"] + stopped["images"]["pending"]
        assert [] == verify.verify(library)


def test_only_known_actions_are_taken(client: Any) -> None:
    for body in (
        b"",
        b"{}",
        b"[]",
        b'{"action": "delete"}',
        b'{"action": 1}',
        b"\xff",
        b'{"action": "stop"',
        b"[" * 60_000,
    ):
        error = client.post("/api/embed", 400, data=body, headers=_CONTROL).json()["error"]
        assert error["kind"] in ("InvalidRequest", "EmptyBody")


# --- events and the end ----------------------------------------------------------------------------


def test_many_listeners_are_told_the_same(client: Any) -> None:
    """As many as one client may have."""
    states: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: states.append(next(_events(client)))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)

    assert [60] * 16 == [state["images"]["seen"] for state in states]


def test_ctrl_c_ends_the_server_at_once_whoever_listens(tmp_path: Path, serve: Callable[..., Any]) -> None:
    Library.create(tmp_path / "library").close()
    client = serve(tmp_path / "library")
    listening, ended = threading.Event(), threading.Event()

    def listen() -> None:
        for _ in _events(client):
            listening.set()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    client.get("/api/status")
    assert listening.wait(600)

    assert 0 == client.server.interrupt(600)
    assert ended.wait(600)
    assert "Traceback" not in client.server.log.read_text(encoding="utf-8")


def test_a_server_that_cannot_start_says_why(tmp_path: Path, client: Any, drawn: Path, commands: Commands) -> None:
    for library, options, code, said in (
        (drawn, ("--port", str(client.server.port)), 37, "--port 0"),
        (tmp_path / "none", ("--port", "0"), 3, "There is no library"),
        (drawn, ("--host", "no.such.name.invalid", "--port", "0"), 95, "no.such.name.invalid"),
    ):
        done = commands.run(["--library", str(library), "serve", *options])
        assert (code, True) == (done.returncode, said in done.stderr.decode())
