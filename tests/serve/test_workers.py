"""`serve --workers`: several processes on one address, seen from outside."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest
import requests

from pixfind import errors
from pixfind.library import watch_lock
from pixfind.server import worker_processes
from pixfind.server.server import Options, listen
from pixfind.testing import decoders, wait_for
from pixfind.testing.commands import Commands
from pixfind.testing.servers import Server, serving

WORKER = "pixfind.server.worker_processes"


def workers(server: Server) -> list[psutil.Process]:
    """The processes that answer."""
    found = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        # One that has ended meanwhile is none.
        with contextlib.suppress(psutil.Error):
            if WORKER in process.cmdline():
                found.append(process)
    return found


def status(server: Server, path: str = "/api/v1/search?q=sky&all=true", **options: Any) -> int:
    """Ask over a connection of its own, which any worker may accept."""
    return requests.get(server.address + path, timeout=600, **options).status_code


@pytest.fixture
def server(one: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(one, tmp_path / "serve.log", "--workers", "2") as made:
        yield made


def lines(server: Server) -> list[str]:
    return server.log.read_text(encoding="utf-8").splitlines()


def test_all_workers_answer(server: Server) -> None:
    """A worker that is held up keeps its connections; all others are accepted by the other one."""
    first, second = workers(server)
    for stopped in (first, second):
        stopped.suspend()
        # It may have accepted one before: the next ones go elsewhere.
        with contextlib.suppress(requests.Timeout):
            requests.get(f"{server.address}/healthz", timeout=5)
        assert [200] * 10 == [status(server) for _ in range(10)]
        stopped.resume()


def test_a_worker_that_dies_is_replaced_and_the_others_answer_meanwhile(server: Server) -> None:
    before = {process.pid for process in workers(server)}
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(killed) or psutil.Process(killed).status() == psutil.STATUS_ZOMBIE)
    assert 200 == status(server)
    wait_for(lambda: 2 == len({process.pid for process in workers(server)} - {killed}))
    wait_for(lambda: any("another takes its place" in line for line in lines(server)))
    assert f"a worker of the server (process {killed}) was ended by SIGKILL; another takes its place" in lines(server)
    assert 0 == server.interrupt(600)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0)])
def test_they_end_with_the_server(server: Server, number: signal.Signals, code: int) -> None:
    running = workers(server)
    server.process.send_signal(number)

    assert code == server.process.wait(600)
    assert 2 == len(running)
    wait_for(lambda: not any(process.is_running() for process in running))
    assert not any("Traceback" in line or "ERROR" in line for line in lines(server))


def test_they_end_when_the_server_is_killed(server: Server) -> None:
    running = workers(server)
    server.process.kill()
    server.process.wait(600)

    wait_for(lambda: not any(process.is_running() for process in running))


def test_an_address_that_is_still_held_by_workers_of_a_killed_server_is_waited_for() -> None:
    held = listen("127.0.0.1", 0)
    held.listen()
    port = held.getsockname()[1]
    with pytest.raises(errors.AddressInUse):
        listen("127.0.0.1", port, patience=0)

    bound: list[socket.socket] = []
    waiting = threading.Thread(target=lambda: bound.append(listen("127.0.0.1", port, patience=600)))
    waiting.start()
    held.close()
    waiting.join()
    assert [port] == [each.getsockname()[1] for each in bound]
    bound[0].close()


@pytest.mark.parametrize("host", ["nope.invalid", "192.0.2.1", "\udcff", "\xe4..b", "a\0b"])
def test_an_address_of_another_machine_is_no_matter_of_ports(host: str) -> None:
    with pytest.raises(errors.HostNotHere, match="Use an address of this machine with --host"):
        listen(host, 0)


def test_a_request_without_an_end_is_cancelled(server: Server) -> None:
    with requests.get(f"{server.address}/api/v1/events", stream=True, timeout=600) as events:
        next(events.iter_content(1))
        assert 0 == server.interrupt(600)


def test_a_session_and_a_token_open_every_worker(one: Path, tmp_path: Path) -> None:
    with serving(one, tmp_path / "serve.log", "--workers", "2", token=True) as made:
        opened = requests.get(f"{made.address}/?token={made.token}", allow_redirects=False, timeout=600)
        cookies = opened.cookies
        for stopped in workers(made):
            stopped.suspend()
            with contextlib.suppress(requests.Timeout):
                requests.get(f"{made.address}/healthz", timeout=5)
            assert 200 == status(made, cookies=cookies)
            assert 200 == status(made, headers={"Authorization": f"Bearer {made.token}"})
            assert 401 == status(made)
            stopped.resume()
        command_lines = " ".join(word for process in workers(made) for word in process.cmdline())
        environments = " ".join(value for process in workers(made) for value in process.environ().values())
        assert made.token is not None
        assert made.token not in command_lines + environments


def test_an_upload_that_hangs_or_crashes_its_decoder_ends_alone(drawn: Path, tmp_path: Path) -> None:
    """Both workers have decoders that do what the last bytes of a picture say; see `testing.decoders`."""
    (tmp_path / "sitecustomize.py").write_text(
        "from pixfind.worker.decoders import DecoderPool\n"
        f"DecoderPool.__init__.__kwdefaults__['command'] = {decoders.COMMAND!r}\n",
        encoding="utf-8",
    )
    picture = next((drawn.parent / "pictures").glob("*.jpg")).read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pixfind", "--library", str(drawn), "serve", "--port", "0", "--no-token"]
    with subprocess.Popen(
        [*command, "--workers", "2", "--json"], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        answers: dict[str, int] = {}

        def upload(how: str) -> None:
            # The one that hangs ends with the server.
            with contextlib.suppress(requests.ConnectionError):
                sent = requests.post(f"{address}api/v1/search", data=picture + how.encode(), timeout=600)
                answers[how] = sent.status_code

        hanging = threading.Thread(target=upload, args=("hang",))
        hanging.start()
        try:
            for _ in range(2):
                upload("crash")
                assert 422 == answers["crash"]
                upload("")
                assert 200 == answers[""]
                assert 200 == requests.get(f"{address}api/v1/search?q=sky&all=true", timeout=600).status_code
            assert "hang" not in answers
        finally:
            process.send_signal(signal.SIGINT)
            hanging.join()
            assert 0 == process.wait(600)


def test_what_keeps_a_worker_from_starting_is_what_one_process_says(tmp_path: Path, commands: Commands) -> None:
    said = []
    for count in ("1", "2"):
        done = commands.run(["--library", str(tmp_path / "none"), "serve", "--port", "0", "--workers", count])
        said.append((done.returncode, done.stdout, done.stderr))

    assert said[0] == said[1]
    assert errors.LibraryNotFound.exit_code == said[0][0]


def test_what_a_library_prints_in_a_worker_goes_to_the_log(one: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif {WORKER!r} in sys.orig_argv:\n    print('a library says hello', flush=True)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pixfind", "--library", str(one), "serve", "--port", "0", "--no-token", "--json"]
    with subprocess.Popen(
        [*command, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        printed, logged = process.communicate(timeout=600)

    assert json.loads(line)["address"]
    assert "" == printed
    assert 2 == logged.count("a library says hello")


def test_a_worker_whose_server_ends_before_it_says_anything_ends_without_a_word() -> None:
    for said in (b"", b"gASV"):
        done = subprocess.run([sys.executable, "-m", WORKER], input=said, capture_output=True, check=False, timeout=600)
        assert (130, b"", b"") == (done.returncode, done.stdout, done.stderr)


def no_process(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")


def test_a_system_that_starts_no_process_is_named(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_process)
    with socket.socket() as listening, pytest.raises(errors.ServerWorkerNotStarted, match="temporarily unavailable"):
        worker_processes.run(one, Options(workers=2), None, listening, lambda: pytest.fail("none is ready"))


def test_a_worker_that_cannot_be_replaced_at_once_is_replaced_later(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "_FIRST_PAUSE", 0.001)
    popen, started = subprocess.Popen, 0

    def start(command: list[str], **options: Any) -> Any:
        nonlocal started
        started += 1
        if started in (2, 3):
            no_process()
        # The first ends by itself.
        return popen(command if started > 3 else [sys.executable, "-c", ""], **options)

    with socket.socket() as listening:
        worker = worker_processes._Worker((one, Options(workers=2), None), listening)
        monkeypatch.setattr(subprocess, "Popen", start)
        worker.start()
        worker.keep()
        wait_for(lambda: started == 4)
        worker.end()
        worker.wait()

    assert 4 == started


def test_why_a_worker_that_takes_the_place_of_another_does_not_start_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_processes, "_FIRST_PAUSE", 0.001)
    popen, started = subprocess.Popen, 0

    def start(command: list[str], **options: Any) -> Any:
        nonlocal started
        started += 1
        # The first ends by itself; then its library is away.
        return popen(command if started > 1 else [sys.executable, "-c", ""], **options)

    with socket.socket() as listening:
        worker = worker_processes._Worker((tmp_path / "away", Options(workers=2), None), listening)
        monkeypatch.setattr(subprocess, "Popen", start)
        worker.start()
        worker.keep()
        wait_for(
            lambda: f"({errors.LibraryNotFound(path=tmp_path / 'away')}".partition("\n")[0].rstrip(".") in caplog.text
        )
        worker.end()
        worker.wait()


def test_one_watch_keeps_the_library_current(one: Path, serve: Callable[..., Any]) -> None:
    client = serve(one, "--workers", "2", "--watch")
    wait_for(lambda: watch_lock.read(one) is not None)
    for _ in range(4):
        wait_for(lambda: requests.get(f"{client.server.address}/api/v1/status", timeout=600).json()["watch"]["running"])
    watches = [
        process
        for process in psutil.Process(client.server.process.pid).children(recursive=True)
        if "pixfind.server.watch_child" in process.cmdline()
    ]
    assert 1 == len(watches)
