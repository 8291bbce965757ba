"""
Listening: one address, one process, until Ctrl-C.

Owns uvicorn: its limits, its log and its end. Nothing listens before the library is open and the model warm.
"""

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from pixfind import errors
from pixfind.serve import app


def run(path: Path, host: str, port: int, ready: Callable[[str], None]) -> None:
    """
    Serve the library at `path` until the process is interrupted; `ready` is told the address of the page.

    Port 0 takes a free one. Raises NoLibrary, AddressTaken, and what loading a model raises.
    """
    services = app.Services.open(path)
    try:
        listening = _listen(host, port)
        config = uvicorn.Config(
            app.make(services),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=2,
        )
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{listening.getsockname()[1]}/")
        uvicorn.Server(config).run([listening])
    finally:
        services.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise errors.AddressTaken(host=host, port=port, detail=error.strerror) from error
    return listening
