"""A server that is stopped ends with 0 and logs no error, whatever its clients are doing."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.testing import wait_for
from pixfind.testing.servers import Server, serving

#: The first answer to it comes when the server reads the body, which never ends.
UPLOAD = (
    b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\nExpect: 100-continue\r\n\r\nthe first"
)
EVENTS = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def server(one: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(one, tmp_path / "serve.log") as made:
        yield made


@pytest.mark.parametrize("interrupts", [1, 2])
@pytest.mark.parametrize("head", [UPLOAD, EVENTS], ids=["upload", "events"])
def test_a_request_without_an_end_is_cancelled(server: Server, head: bytes, interrupts: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=600) as client:
        client.sendall(head)
        assert client.recv(10).startswith(b"HTTP/1.1 ")
        for _ in range(interrupts):
            server.process.send_signal(signal.SIGINT)
            wait_for(lambda: _refuses(server))

        assert 0 == server.process.wait(600)
    assert [] == _errors(server)


def test_a_server_can_be_stopped_as_soon_as_it_has_printed_its_address(server: Server) -> None:
    assert 0 == server.interrupt(600)
    assert [] == _errors(server)


def test_signals_are_minded_before_the_address_is_told(one: Path) -> None:
    # In a process of its own: a server configures the logging of the one that it runs in.
    told = subprocess.run(
        [sys.executable, "-c", _STOPPED_AT_ONCE, str(one)], capture_output=True, text=True, check=True
    )
    assert ("True\n", "") == (told.stdout, told.stderr)


_STOPPED_AT_ONCE = """
import signal, sys
from pathlib import Path
from pixfind.server.server import Options, run

def ready(_):
    print(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)

run(Path(sys.argv[1]), Options("127.0.0.1", 0, needs_token=False), ready)
"""


def _refuses(server: Server) -> bool:
    """Whether the server has heard that it shall stop."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=600).close()
    except ConnectionError:
        return True
    return False


def _errors(server: Server) -> list[str]:
    return re.findall("^(?:ERROR|Traceback|.*Error).*", server.log.read_text(encoding="utf-8"), re.MULTILINE)
