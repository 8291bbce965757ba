"""
A disk that fails: commands of pixfind in which one call that changes a file ends with EIO or ENOSPC.

The library that lets calls fail is written in C and loaded before all others (LD_PRELOAD), so it reaches SQLite, FAISS, ONNX Runtime
and every worker. This module builds it, tells it what is to fail, and runs commands in forks of one process that has it loaded and has
imported everything. Linux alone has all that it needs.
"""

import contextlib
import errno
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
from typing import Any, Self

_PLAN = struct.Struct("<QQQii32s480s4096s")
"""`struct plan` of the C source"""
_FOLDER_BYTES = 1024
_ONCE, _FROM_THEN_ON = 0, 1

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


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    """exit code; negative: ended by this signal; HUNG"""
    told: str
    """standard output and standard error"""
    calls: tuple[Call, ...]
    failed: int
    """calls that were made to fail"""


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

    def run(self, command: list[str], folders: tuple[Path, ...], fault: Fault | None = None, **options: Any) -> Ran:
        """
        Run a command of pixfind, or a function of this package ("module:function"), with the calls below `folders` counted.

        Options: `env`, `seconds` until it counts as hung, and `threads`: workers are threads of the command, which is faster.
        """
        self._write(fault, folders)
        self._log.write_bytes(b"")
        request = {"command": command, "output": str(self.place / "told"), "env": {}, "seconds": 60.0, **options}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        told = (self.place / "told").read_text(encoding="utf-8", errors="replace")
        _, failed, *_ = _PLAN.unpack(self._plan.read_bytes())
        self._write(None, ())
        return Ran(code, told, tuple(self._calls()), failed)

    @property
    def _plan(self) -> Path:
        return self.place / "plan"

    @property
    def _log(self) -> Path:
        return self.place / "calls"

    def _write(self, fault: Fault | None, folders: tuple[Path, ...]) -> None:
        watched = b"".join(os.fsencode(folder.resolve()).ljust(_FOLDER_BYTES, b"\0") for folder in folders)
        call = fault.call if fault else Call("", "", 0)
        plan = _PLAN.pack(
            0,
            0,
            call.number,
            fault.error if fault else 0,
            _FROM_THEN_ON if fault and fault.lasting else _ONCE,
            call.operation.encode(),
            call.kind.encode(),
            watched,
        )
        # Written in place: the file is mapped.
        descriptor = os.open(self._plan, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(descriptor, plan, 0)
        os.close(descriptor)

    def _calls(self) -> Iterator[Call]:
        numbers: dict[tuple[str, str], int] = {}
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
            operation, kind, *_ = line.split("\t")
            numbers[operation, kind] = numbers.get((operation, kind), 0) + 1
            yield Call(operation, kind, numbers[operation, kind])


# --- the process that has it loaded ---------------------------------------------------------------


def _main() -> None:
    _import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        sys.stdout.write(f"{_wait(child, request['seconds'])}\n")
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
    try:
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(request["env"])
        if request.get("threads"):
            _work_in_threads()
        code = _called(request["command"])
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    finally:
        os._exit(code)


def _called(command: list[str]) -> int:
    import importlib

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

    vars(embed)["Local"] = Serial


if __name__ == "__main__":
    _main()
