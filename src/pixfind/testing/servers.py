"""
A real `pixfind serve` in a process of its own, on a free port.
"""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    process: "subprocess.Popen[str]"
    address: str
    """http://HOST:PORT, without a slash at the end"""
    token: str | None
    log: Path
    """what it wrote to standard error"""

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self.address).port or 80

    def interrupt(self, seconds: float = 20) -> int:
        """Send Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)


@contextlib.contextmanager
def serving(library: Path, log: Path, *options: str) -> Iterator[Server]:
    """Start `pixfind serve` on a free port, yield it once it answers, end it."""
    command = [sys.executable, "-m", "pixfind", "--library", str(library), "serve", "--port", "0", *options]
    with (
        log.open("w", encoding="utf-8") as errors,
        # Its own session: a Ctrl-C is sent to it alone.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True, env={**os.environ}
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')}")
            parts = urllib.parse.urlsplit(line)
            token = urllib.parse.parse_qs(parts.query).get("token", [None])[0]
            yield Server(process, f"{parts.scheme}://{parts.netloc}", token, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
