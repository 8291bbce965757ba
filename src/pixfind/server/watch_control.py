"""
The watch of `pixfind serve --watch`: a child process that keeps the library current.

Owns its start, its end with the server, and its return after an end that nobody asked for. Searching never waits for it. Must not know
what a watch does; what it says about itself is in `library.watch_lock`.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pixfind.storage import logs
from pixfind.types import Reason, format_duration

_FIRST_PAUSE, _MAX_PAUSE = 5.0, 600.0
_LASTING_SECONDS = 60.0
"""A watch that ran so long had begun well: the next pause is short again."""
_END_SECONDS = 10.0

COMMAND = (sys.executable, "-m", "pixfind.server.watch_child")


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why no child runs."""

    reason: Reason
    starts_again_in: float | None
    """seconds from its end to its next start; None: once it is asked to"""

    def __str__(self) -> str:
        if self.starts_again_in is None:
            return self.reason.message
        return f"{self.reason.message} It starts again in {format_duration(self.starts_again_in)}."


class WatchControl:
    """Runs `command LIBRARY` for as long as the server runs."""

    def __init__(self, library: Path, *, command: tuple[str, ...] = COMMAND, first_pause: float = _FIRST_PAUSE) -> None:
        """Prepare; what the child writes to its standard error goes to logs/watch.log of the library at `library`."""
        self.stopped: Stopped | None = None
        """None while a child runs"""
        self._library = library
        self._command = command
        self._first_pause = first_pause
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = False
        self._on_request = False
        self._wake = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="watch", daemon=True)

    def start(self) -> None:
        """Start the watch."""
        self._thread.start()

    def restart(self) -> bool:
        """Start the watch again where it ended because somebody asked it to; return whether that was so."""
        asked, self._on_request = self._on_request, False
        if asked:
            self._wake.set()
        return asked

    def close(self) -> None:
        """End the watch: cleanly, and after a while at once."""
        with self._guard:
            self._closing = True
            process = self._process
        self._wake.set()
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                # Its workers end with it.
                process.kill()
        if self._thread.is_alive():
            self._thread.join()

    # --- the thread -------------------------------------------------------------------------------

    def _keep(self) -> None:
        pause = self._first_pause
        while not self._closing:
            self._wake.clear()
            began = time.monotonic()
            self.stopped = None
            code, why = self._run()
            if time.monotonic() - began >= _LASTING_SECONDS:
                pause = self._first_pause
            if code == 0:
                self.stopped, self._on_request = Stopped(Reason("AskedToEnd", "it was asked to end"), None), True
                pause = self._first_pause
                self._wait(None)
            else:
                self.stopped = Stopped(why or _ending(code), pause)
                self._wait(pause)
                pause = min(2 * pause, _MAX_PAUSE)

    def _wait(self, seconds: float | None) -> None:
        if not self._closing:
            self._wake.wait(seconds)

    def _run(self) -> tuple[int, Reason | None]:
        """Run the child until it ends; return its exit code, and the reason that it gave, or that kept it from starting."""
        with tempfile.TemporaryFile() as said, logs.appending(self._library / "logs" / "watch.log") as errors_to:
            with self._guard:
                if self._closing:
                    return 0, None
                try:
                    self._process = process = subprocess.Popen(
                        [*self._command, str(self._library)],
                        stdin=subprocess.PIPE,
                        stdout=said,
                        stderr=errors_to,
                        # Ctrl-C in the terminal is for the server, which then ends the watch.
                        start_new_session=True,
                    )
                except OSError as error:
                    return -1, Reason("NotStarted", f"{error}.", {"detail": str(error)})
            code = process.wait()
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            said.seek(0)
            return code, _said(said.read())


def _said(output: bytes) -> Reason | None:
    """Return what a child gave as its reason; None for one that gave none."""
    with contextlib.suppress(ValueError, TypeError):
        return Reason(**json.loads(output))
    return None


def _ending(code: int) -> Reason:
    if code >= 0:
        return Reason("EndedWithCode", f"it ended with exit code {code}.", {"code": str(code)})
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return Reason("EndedBySignal", f"it was ended by {name}.", {"signal": name})
