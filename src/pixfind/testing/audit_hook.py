"""
Records network and process events of Python code, one JSON line each; `watch.Audit` installs a copy as sitecustomize.py.

Must not import pixfind: it runs first in every Python process.
"""

import json
import os
import sys
from typing import Any

_folder = os.environ.get("PIXFIND_TESTING_WATCH")
_names_port = 53
_here = {"localhost", "127.0.0.1", "::1"}
_writing = False


def _note(*values: Any) -> None:
    global _writing
    # Opening our own file is an event too.
    if _writing:
        return
    _writing = True
    try:
        with open(f"{_folder}/{os.getpid()}.jsonl", "a", encoding="utf-8") as file:  # noqa: PTH123 - before pathlib
            file.write(json.dumps(values) + "\n")
    finally:
        _writing = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        if isinstance(address, tuple):
            _note("address", str(address[0]), int(address[1]))
        elif address is not None:
            _note("unix", os.fsdecode(address))
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"} and arguments[0] is not None:
        host = os.fsdecode(arguments[0])
        _note("address", host, 0 if host in _here else _names_port)
    elif event in {"os.fork", "os.forkpty"}:
        _note("fork")
    elif event == "subprocess.Popen":
        _note("exec", [os.fsdecode(argument) for argument in arguments[1]])
    elif event == "import":
        _note("import", arguments[0])


if _folder is not None:
    # An audit hook cannot be removed.
    sys.addaudithook(_hook)
