"""
A real `pixfind serve` in a separate process, on a free port.
"""

import atexit
import contextlib
import functools
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pixfind.testing.forked_processes import ForkedProcess, Forks


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    process: "subprocess.Popen[str] | ForkedProcess"
    address: str
    """http://HOST:PORT, without a trailing slash"""
    token: str | None
    log: Path
    """its standard error"""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urllib.parse.urlsplit(self.address).port or 80

    def interrupt(self, seconds: float = 20) -> int:
        """Send SIGINT and return the exit code; raises TimeoutExpired."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)


_POLL_SECONDS = 0.01

by_forks = False
"""Whether servers are forked from a Python that has imported everything: for tests, of which each would pay that second again, and no benchmark."""


@functools.cache
def _forks() -> Forks:
    made = Forks()
    atexit.register(made.close)
    return made


@contextlib.contextmanager
def serving(library: Path, log: Path, *options: str, token: bool = False) -> Iterator[Server]:
    """Run `pixfind serve` on a free port in the block, with or without a token; raises RuntimeError when it does not start."""
    arguments = ["--library", str(library), "serve", "--port", "0", *options, *([] if token else ["--no-token"])]
    with contextlib.ExitStack() as opened:
        process, line = (_forked if by_forks else _started)(opened, arguments, log)
        try:
            if not line:
                raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')}")
            parts = urllib.parse.urlsplit(line)
            shown = urllib.parse.parse_qs(parts.query).get("token", [None])[0]
            yield Server(process, f"{parts.scheme}://{parts.netloc}", shown, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(120)
                except subprocess.TimeoutExpired:
                    process.kill()


def _started(opened: contextlib.ExitStack, arguments: list[str], log: Path) -> tuple["subprocess.Popen[str]", str]:
    """Return a new Python, and the first line that it prints."""
    errors = opened.enter_context(log.open("w", encoding="utf-8"))
    process = opened.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "pixfind", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Its own session, so that SIGINT reaches only this process.
            start_new_session=True,
        )
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _forked(opened: contextlib.ExitStack, arguments: list[str], log: Path) -> tuple[ForkedProcess, str]:
    """Return a fork, and the first line that it prints."""
    printed = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="pixfind-said-"))) / "out"
    log.write_bytes(b"")
    process = _forks().start(arguments, printed, log)
    opened.callback(process.wait)
    line = ""
    while not line.endswith("\n") and process.poll() is None:
        time.sleep(_POLL_SECONDS)
        with contextlib.suppress(FileNotFoundError):
            line = printed.read_text(encoding="utf-8")
    return process, line.strip()
