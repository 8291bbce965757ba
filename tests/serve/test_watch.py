"""`pixfind serve --watch`: the library stays current while it is served, and a watch that dies returns."""

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import pixfind
from pixfind import errors
from pixfind.library import verify, watch_lock
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.server import embed_control
from pixfind.server.services import Services
from pixfind.server.watch_control import WatchControl
from pixfind.testing import make_library, make_pictures, wait_for
from pixfind.testing.commands import Commands
from pixfind.types import Reason

_CONTROL = {"X-Pixfind": "1"}


@pytest.fixture
def served(tmp_path: Path) -> Path:
    make_pictures(tmp_path / "pictures", 20)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        build.build_index(library)
    return tmp_path / "library"


def watch_of(client: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = client.get("/api/status").json()["watch"]
    return found


def pid_of(library: Path) -> int:
    state = watch_lock.read(library)
    return state.pid if state else 0


def test_a_picture_copied_in_is_found_by_the_api_and_by_an_open_library(
    served: Path, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    client = serve(served, "--watch")
    wait_for(lambda: (watch_of(client) or {}).get("running"), what=lambda: watch_of(client))
    (new,) = make_pictures(tmp_path / "elsewhere", 1, first=50)
    with pixfind.Library.open(served) as opened:
        assert 20 == len(opened.search("red", 100, include_weak=True).hits)
        new.rename(tmp_path / "pictures" / "new.jpg")
        wait_for(lambda: "new.jpg" in [hit["name"] for hit in client.hits("/api/search?q=red&all=true&k=100")])
        wait_for(
            lambda: "new.jpg" in [Path(hit.path).name for hit in opened.search("red", 100, include_weak=True).hits]
        )

    assert {"running": True, "rescanned": {}, "stopped": None} == {
        name: value for name, value in (watch_of(client) or {}).items() if name in {"running", "rescanned", "stopped"}
    }
    with Library.open(served) as library:
        assert [] == verify.verify(library)


def test_the_watch_ends_with_the_server(served: Path, serve: Callable[..., Any]) -> None:
    client = serve(served, "--watch")
    process = psutil.Process(wait_for(lambda: pid_of(served)))
    assert 0 == client.server.interrupt(60)

    assert not process.is_running()
    assert watch_lock.read(served) is None


def test_the_watch_ends_when_the_server_is_killed(served: Path, serve: Callable[..., Any]) -> None:
    client = serve(served, "--watch")
    wait_for(lambda: pid_of(served))
    client.server.process.kill()

    wait_for(lambda: watch_lock.read(served) is None)


def test_a_watch_that_is_killed_returns(served: Path, serve: Callable[..., Any]) -> None:
    client = serve(served, "--watch")
    first = wait_for(lambda: pid_of(served))
    os.kill(first, signal.SIGKILL)
    stopped = str(wait_for(lambda: (watch_of(client) or {}).get("stopped")))

    assert "SIGKILL" in stopped
    assert wait_for(lambda: pid_of(served) not in {0, first})
    assert (watch_of(client) or {})["running"]


def test_a_watch_that_was_asked_to_end_returns_when_it_is_asked_to(
    served: Path, serve: Callable[..., Any], commands: Commands
) -> None:
    client = serve(served, "--watch")
    first = wait_for(lambda: pid_of(served))
    assert 0 == commands.run(["--library", str(served), "stop"]).returncode
    wait_for(lambda: (watch_of(client) or {}).get("stopped") == "it was asked to end")
    client.post("/api/embed", 202, json={"action": "start"}, headers=_CONTROL)

    assert wait_for(lambda: pid_of(served) not in {0, first})


def test_without_it_no_watch_runs_and_the_status_says_so(served: Path, serve: Callable[..., Any]) -> None:
    client = serve(served)

    assert watch_of(client) is None
    with watch_lock.held(served):
        told = Reason("ChangesNotTold", "nfs tells nothing", {"kind": "nfs"})
        watch_lock.tell(served, 15.0, {"/mnt/nas": told})
        assert {
            "running": True,
            "rescan_minutes": 15.0,
            "rescanned": {"/mnt/nas": "nfs tells nothing"},
            "reasons": {"/mnt/nas": dataclasses.asdict(told)},
            "stopped": None,
            "stop": None,
            "starts_again_in": None,
        } == (watch_of(client))


def test_a_library_that_cannot_be_written_is_not_watched(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_control, "can_control", lambda path: False)
    with pytest.raises(errors.NotWritable, match="a watch writes"):
        Services.open(served, watch=True)


# --- the child ------------------------------------------------------------------------------------


def controlled(folder: Path, program: str) -> WatchControl:
    """A watch that is this program; it is given a folder where it may leave traces."""
    (folder / "logs").mkdir()
    return WatchControl(folder, command=(sys.executable, "-c", program), first_pause=0.01)


def test_a_library_that_is_not_there_is_named_and_not_made(tmp_path: Path, commands: Commands) -> None:
    path = tmp_path / "library"
    for words in (["serve", "--port", "0", "--watch"], ["watch"]):
        done = commands.run(["--library", str(path), *words])
        assert 3 == done.returncode
        assert f"Create one with: pixfind --library {path} index FOLDER" in done.stderr.decode()
        assert not path.exists()


def test_the_reason_of_an_end_is_kept_and_pauses_grow(tmp_path: Path) -> None:
    said = json.dumps(dataclasses.asdict(Reason("DiskFull", "The disk is full.")))
    program = f"import sys; open(sys.argv[1] + '/runs', 'a').write('x'); print({said!r}); sys.exit(9)"
    control = controlled(tmp_path, program)
    control.start()
    told: set[str] = set()

    def three_runs() -> bool:
        told.add(str(control.stopped))
        return (tmp_path / "runs").exists() and len((tmp_path / "runs").read_text()) > 3

    wait_for(three_runs)
    control.close()

    assert [said for said in told if said.startswith("The disk is full. It starts again in ")]


def test_one_that_does_not_heed_the_end_of_its_input_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixfind.server.watch_control._END_SECONDS", 0.2)
    control = controlled(tmp_path, "import time, sys; open(sys.argv[1] + '/runs', 'a').write('x'); time.sleep(600)")
    # Servers that other tests share are children of this process too.
    before = {*psutil.Process().children()}
    control.start()
    wait_for((tmp_path / "runs").exists)
    control.close()

    assert set() == {*psutil.Process().children()} - before


def test_one_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    control = WatchControl(tmp_path, command=(str(tmp_path / "missing"),), first_pause=600.0)
    control.start()

    assert "No such file" in str(wait_for(lambda: control.stopped))
    control.close()
