"""
The HTTP server: one address, one process, until Ctrl-C.

Owns uvicorn: its limits, its log and its shutdown. Connections are accepted only once the library is open and the model is loaded.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import threadpoolctl
import uvicorn

from pixfind import errors, machine
from pixfind.server import access, app, http_timeouts
from pixfind.server.services import Services

_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen, and limits."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0: any free port"""
    hosts: tuple[str, ...] = ()
    """further names that are valid in a Host header"""
    rate: float | None = None
    """requests a second for each client; None: 1,000, or 10,000 when only this machine can connect"""


OnReady = Callable[[str, str | None], None]
"""Called with the address of the page and the token (None where none is needed)."""


def run(path: Path, options: Options, ready: OnReady) -> None:
    """
    Serve the library at `path` until the process is interrupted.

    Raises LibraryNotFound, AddressInUse, and what loading a model raises.
    """
    listening = _listen(options.host, options.port)
    # A search multiplies matrices of a hundred rows: waking a second thread for them takes longer, much longer where other searches
    # run on it at the same time.
    threadpoolctl.threadpool_limits(1, "blas")
    machine.keep_freed_memory()
    services = Services.open(path)
    try:
        rules, token = access.rules_for(options.host, options.hosts, options.rate)
        protected = access.AccessMiddleware(app.make(services), rules, services.metrics.observe_request)
        # From here on the kernel accepts connections; uvicorn answers them as soon as it runs.
        listening.listen(_BACKLOG)
        ready(_address(options.host, listening.getsockname()[1]), token)
        _Server(uvicorn.Config(protected, **http_timeouts.settings()), services).run([listening])
    except KeyboardInterrupt:
        # uvicorn raises it again after its shutdown.
        return
    finally:
        services.close()
        listening.close()


class _Server(uvicorn.Server):
    """Ends the event streams before it waits for running requests: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._services.watcher.close()
        await super().shutdown(sockets)


def _address(host: str, port: int) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104  shown, not listened on
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: without it asyncio does not switch Nagle's algorithm off, and each answer waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise errors.AddressInUse(host=host, port=port, detail=error.strerror) from error
    return listening
