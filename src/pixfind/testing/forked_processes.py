"""
Processes of `pixfind` that run on while a test runs, such as servers, begun in a fraction of a second.

A `Forks` starts one Python that has imported everything, and forks it for each command. Unlike those of `commands` they run side by side; a test
may send signals to one, and waits for its end when it likes.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

_POLL_SECONDS = 0.005


class ForkedProcess:
    """A process that `Forks` began; as a `subprocess.Popen`, as far as tests need one."""

    def __init__(self, pid: int, end: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = end

    def poll(self) -> int | None:
        """Return how it ended, as the `poll` of a Popen does; None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(FileNotFoundError):
                self.returncode = int(self._end.read_text(encoding="ascii"))
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return how it ended; raises TimeoutExpired after `timeout` seconds."""
        begun = time.monotonic()
        while (code := self.poll()) is None:
            if timeout is not None and time.monotonic() - begun > timeout:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            # It may end at this moment, and be known to have ended only then.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Forks:
    """Begins processes; they outlive it. Only where a process can fork."""

    def __init__(self) -> None:
        self._ends = Path(tempfile.mkdtemp(prefix="pixfind-ends-"))
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "pixfind.testing.forked_processes", str(self._ends)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
            start_new_session=True,
        )

    def start(self, arguments: Sequence[str], out: Path, err: Path) -> ForkedProcess:
        """Begin `pixfind ARGUMENTS` as this process would, in a session of its own; what it prints is appended to two files."""
        command = {
            "arguments": [os.fsencode(argument).hex() for argument in arguments],
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "out": str(out),
            "err": str(err),
        }
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(command) + "\n")
        self._parent.stdin.flush()
        pid = int(self._parent.stdout.readline())
        return ForkedProcess(pid, self._ends / str(pid))

    def close(self) -> None:
        """End the process that forks, and forget how the others ended."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(600)
        self._parent.stdout.close()
        shutil.rmtree(self._ends, ignore_errors=True)


# --- the process that forks -------------------------------------------------------------------------


def _note_ends(ends: Path) -> None:
    """Write how each child that has ended did so to a file of its number."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            written = ends / f"{pid}.part"
            written.write_text(str(os.waitstatus_to_exitcode(status)), encoding="ascii")
            written.rename(ends / str(pid))


def _fork(line: str) -> int:
    """Return the process id of a child that becomes a command."""
    from pixfind.testing import commands

    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            code = commands.become(json.loads(line))
        except BaseException:  # noqa: BLE001 - border: the process
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    return child


def main() -> None:
    """Read a command a line, answer with the process id of each."""
    from pixfind import machine

    machine.begin_with_one_blas_thread()
    from pixfind.server import server  # noqa: F401 - loaded once, before the forks
    from pixfind.testing import commands

    commands.load()
    ends = Path(sys.argv[1])
    signal.signal(signal.SIGCHLD, lambda *_: _note_ends(ends))
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    for line in sys.stdin:
        answers.write(f"{_fork(line)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
