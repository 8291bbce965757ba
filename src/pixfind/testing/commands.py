"""
The command `pixfind` in a process of its own, begun in milliseconds.

A `Commands` starts one Python that has imported everything, and forks it for each command: its own process, environment, folder, files
for what it says, exit code; what is saved is the second that Python, NumPy and ONNX Runtime take to start. What must see Python start
(what is imported when, a terminal, signals) starts a real one.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self


class Commands:
    """Runs commands one after the other; use it in a `with`."""

    def __init__(self) -> None:
        self._server = self._start()

    @staticmethod
    def _start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "pixfind.testing.commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(600)
        self._server.stdout.close()

    def run(
        self, arguments: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run `pixfind ARGUMENTS` as this process would, and return what it said and how it ended."""
        with tempfile.TemporaryDirectory(prefix="pixfind-said-") as said:
            out, err = Path(said) / "out", Path(said) / "err"
            command = {
                "arguments": [os.fsencode(argument).hex() for argument in arguments],
                "folder": str(folder or Path.cwd()),
                "environment": dict(os.environ if environment is None else environment),
                "out": str(out),
                "err": str(err),
            }
            assert self._server.stdin is not None
            assert self._server.stdout is not None
            self._server.stdin.write(json.dumps(command) + "\n")
            self._server.stdin.flush()
            try:
                code = int(self._server.stdout.readline())
            except BaseException:
                # A test that took too long: the answer to its command must not be taken for that of the next one.
                self._server.kill()
                self._server.wait()
                self._server = self._start()
                raise
            return subprocess.CompletedProcess(list(arguments), code, out.read_bytes(), err.read_bytes())


_LOADED = (
    # ours, which commands import when they come to it
    "pixfind.__main__",
    "pixfind.cli.exclusion_options",
    "pixfind.cli.filter_flags",
    "pixfind.cli.grouped_options",
    "pixfind.cli.hit_pictures",
    "pixfind.cli.output_flags",
    "pixfind.cli.progress",
    "pixfind.cli.source_options",
    "pixfind.cli.text_download",
    "pixfind.cli.video_options",
    "pixfind.library.repair",
    "pixfind.library.verify",
    "pixfind.models.backends.onnx",
    "pixfind.search.searcher",
    "pixfind.workflows.collect",
    "pixfind.workflows.index",
    "pixfind.workflows.status",
    # and what others do
    "faiss",
    "filelock",
    "numpy.ma",
    "onnxruntime",
    "psutil",
    "rich.markdown",
    "threadpoolctl",
    "tokenizers",
    "typer.rich_utils",
)

# --- the server -----------------------------------------------------------------------------------


def become(command: dict[str, Any]) -> int:
    """In a fork: be that command; return its exit code."""
    import pixfind.__main__
    from pixfind.cli import main as run

    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, command["out"], os.O_WRONLY | os.O_CREAT),
        (2, command["err"], os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    # As `python -m pixfind` finds them.
    sys.modules["__main__"] = pixfind.__main__
    sys.argv = [pixfind.__main__.__file__, *(os.fsdecode(bytes.fromhex(argument)) for argument in command["arguments"])]
    try:
        run()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    return 0


def _forked(command: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = become(command)
        except BaseException:  # noqa: BLE001 - border: the process
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def load() -> None:
    """Import what commands need, once, before the forks."""
    for name in _LOADED:
        importlib.import_module(name)
    # In the forks a collection of garbage would touch, and so copy, all that was imported.
    gc.freeze()


def main() -> None:
    """Read a command a line, answer with the exit code of each."""
    load()
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    for line in sys.stdin:
        answers.write(f"{_forked(json.loads(line))}\n")
        answers.flush()


if __name__ == "__main__":
    main()
