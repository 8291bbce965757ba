"""
A disk that fails: commands of pixfind in which one call that changes a file ends with EIO or ENOSPC.

The library that lets calls fail is written in C and loaded before all others (LD_PRELOAD), so it reaches SQLite, FAISS, ONNX Runtime
and every worker. This module builds it, tells it what is to fail, and runs commands in forks of one process that has it loaded and has
imported everything. Linux alone has all that it needs.
"""

import contextlib
import errno
import gc
import importlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Self

_PLAN = struct.Struct("<QQQii32s480s4096s")
"""`struct plan` of the C source"""
_FOLDER_BYTES = 1024
_KINDS = 1024
_ONCE, _FROM_THEN_ON, _FIRST_OF_EACH_KIND = 0, 1, 2

HUNG = -1000
"""code of a command that had to be killed"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changes a file."""

    operation: str
    kind: str
    """of the file: its path below the watched folder, digits as #"""
    number: int
    """among the calls with this operation on this kind of file, from 1"""

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} ({self.number})"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to fail."""

    call: Call
    error: int = errno.EIO
    lasting: bool = False
    """all later calls fail too: a disk that is dead, or with ENOSPC one that is full"""


@dataclass(slots=True)
class FirstOfEachKind:
    """
    The first call of each operation on each kind of file is to fail, with EIO and ENOSPC in turns; what has failed is kept, so that a
    command that is run again gets further each time.
    """

    done: bytes = bytes(8 * _KINDS)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    """exit code; negative: ended by this signal; HUNG"""
    output: str
    """standard output and standard error"""
    calls: tuple[Call, ...]
    failed: tuple[Fault, ...]
    """calls that were made to fail, each with its error"""


def compiler() -> str | None:
    """Return the system's C compiler, None where there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(source: Path, folder: Path) -> Path:
    """Compile the library into `folder`."""
    built = folder / "failing_disk.so"
    command = [compiler() or "cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(built), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return built


@dataclass(slots=True)
class Disk:
    """A process that has the library loaded, and runs commands in forks of itself."""

    built: Path
    place: Path
    """folder of its own files"""
    _process: "subprocess.Popen[str]" = field(init=False)

    def __enter__(self) -> Self:
        self.place.mkdir(parents=True, exist_ok=True)
        self._write(None, ())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pixfind.testing.failing_disk"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "LD_PRELOAD": str(self.built),
                "FAILING_DISK": str(self._plan),
                "FAILING_DISK_LOG": str(self._log),
            },
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def run(
        self,
        command: list[str],
        folders: tuple[Path, ...],
        fault: Fault | FirstOfEachKind | None = None,
        **options: Any,
    ) -> Ran:
        """
        Run a command of pixfind, or a function of this package ("module:function"), with the calls below `folders` counted.

        Options: `env`, `seconds` until it counts as hung, and `threads`: workers are threads of the command, which is faster.
        """
        self._write(fault, folders)
        self._log.write_bytes(b"")
        request = {"command": command, "output": str(self.place / "output"), "env": {}, "seconds": 60.0, **options}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        output = (self.place / "output").read_text(encoding="utf-8", errors="replace")
        if isinstance(fault, FirstOfEachKind):
            fault.done = self._plan.read_bytes()[_PLAN.size :]
        self._write(None, ())
        calls = list(self._calls())
        failed = tuple(Fault(call, error) for call, error in calls if error)
        return Ran(code, output, tuple(call for call, _ in calls), failed)

    @property
    def _plan(self) -> Path:
        return self.place / "plan"

    @property
    def _log(self) -> Path:
        return self.place / "calls"

    def _write(self, fault: Fault | FirstOfEachKind | None, folders: tuple[Path, ...]) -> None:
        watched = b"".join(os.fsencode(folder.resolve()).ljust(_FOLDER_BYTES, b"\0") for folder in folders)
        mode, call, error, done = _ONCE, Call("", "", 0), errno.EIO, bytes(8 * _KINDS)
        match fault:
            case Fault():
                mode, call, error = _FROM_THEN_ON if fault.lasting else _ONCE, fault.call, fault.error
            case FirstOfEachKind():
                mode, done = _FIRST_OF_EACH_KIND, fault.done
        plan = _PLAN.pack(0, 0, call.number, error, mode, call.operation.encode(), call.kind.encode(), watched)
        # Written in place: the file is mapped.
        descriptor = os.open(self._plan, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(descriptor, plan + done, 0)
        os.close(descriptor)

    def _calls(self) -> Iterator[tuple[Call, int]]:
        """Yield each call, and the error with which it was made to fail, 0 for none."""
        numbers: dict[tuple[str, str], int] = {}
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
            operation, kind, _, error = line.split("\t")
            numbers[operation, kind] = numbers.get((operation, kind), 0) + 1
            yield Call(operation, kind, numbers[operation, kind]), int(error)


# --- the process that has it loaded ---------------------------------------------------------------


def _main() -> None:
    _import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        # Else each fork walks through, and so copies, what all of them share: that takes longer than most commands.
        gc.freeze()
        child = os.fork()
        if child == 0:
            _run(request)
        code = _wait(child, request["seconds"])
        _import_what_was_needed(Path(request["output"]))
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _import_everything() -> None:
    """What the forks need, once."""
    import faiss  # noqa: F401
    import onnxruntime  # noqa: F401

    from pixfind import cli  # noqa: F401
    from pixfind.library import scan, verify  # noqa: F401
    from pixfind.search import calibration, searcher  # noqa: F401
    from pixfind.server import server  # noqa: F401
    from pixfind.workflows import embed_part, index  # noqa: F401


def _import_what_was_needed(output: Path) -> None:
    """What one fork had to import, no later one has to."""
    needed = output.with_suffix(".modules")
    for name in needed.read_text(encoding="utf-8").split() if needed.exists() else ():
        # Some are no files of that name: made while another was imported.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    needed.unlink(missing_ok=True)


def _wait(child: int, seconds: float) -> int:
    """Return the exit code, or the signal as a negative number."""
    ended = os.pidfd_open(child)
    hung = not select.select([ended], [], [], seconds)[0]
    if hung:
        os.kill(child, signal.SIGKILL)
    os.close(ended)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return HUNG if hung else code


def _run(request: dict[str, Any]) -> None:
    """Run one command, in the fork, and end it."""
    code = 1
    known = set(sys.modules)
    try:
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(request["env"])
        if request.get("threads"):
            _work_in_threads()
        _embed_one_by_one()
        code = _called(request["command"])
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        imported = sorted(set(sys.modules) - known)
        Path(request["output"]).with_suffix(".modules").write_text("\n".join(imported), encoding="utf-8")
    finally:
        os._exit(code)


def _called(command: list[str]) -> int:
    from pixfind import cli

    module, _, function = command[0].partition(":")
    sys.argv = ["pixfind", *command]
    try:
        if function:
            getattr(importlib.import_module(module), function)(*command[1:])
        else:
            cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - border: the process
        import traceback

        traceback.print_exc()
        return 1
    return 0


def _work_in_threads() -> None:
    from pixfind.embedding.runners.serial import Serial
    from pixfind.workflows import embed

    _replace(embed, "Local", Serial)


def _embed_one_by_one() -> None:
    """
    In int8 an embedding depends on what else is in its batch, as the range of the activations is taken from all of them, and which
    images meet in a batch is a matter of time. Alone, each gets the same bits in every run.
    """
    from pixfind.embedding import plan

    _replace(plan, "_BATCHES", (1,))


def _replace(module: ModuleType, name: str, value: object) -> None:
    assert name in vars(module), f"{module.__name__} has no {name} any more"
    vars(module)[name] = value


if __name__ == "__main__":
    _main()
