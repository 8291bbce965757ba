"""
A real `pixfind serve` in a separate process, on a free port.
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
    """A running server."""

    process: "subprocess.Popen[str]"
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


@contextlib.contextmanager
def serving(library: Path, log: Path, *options: str, token: bool = False) -> Iterator[Server]:
    """Run `pixfind serve` on a free port in the block, with or without a token; raises RuntimeError when it does not start."""
    command = [sys.executable, "-m", "pixfind", "--library", str(library), "serve", "--port", "0", *options]
    if not token:
        command.append("--no-token")
    with (
        log.open("w", encoding="utf-8") as errors,
        # Its own session, so that SIGINT reaches only this process.
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
            shown = urllib.parse.parse_qs(parts.query).get("token", [None])[0]
            yield Server(process, f"{parts.scheme}://{parts.netloc}", shown, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
