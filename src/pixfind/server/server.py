"""
The HTTP server: one address, one process, until Ctrl-C.

Owns uvicorn: its limits, its log and its shutdown. Connections are accepted only once the library is open and the model is loaded.
"""

import contextlib
import socket
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import threadpoolctl
import uvicorn

from pixfind import errors, machine
from pixfind.server import access, app, credentials, http_timeouts
from pixfind.server.clients import Proxies
from pixfind.server.credentials import Token
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
    needs_token: bool = True
    """False only where no other machine can connect"""
    token_file: Path | None = None
    """has the token, or gets a new one; None: a token that ends with the server"""
    proxies: Proxies = access.NO_PROXIES
    """whose X-Forwarded-For names the client"""
    origins: tuple[str, ...] = ()
    """other sites whose pages may ask"""
    watch: bool = False
    """keep the library current meanwhile, as `pixfind watch` does"""


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answers."""

    address: str
    """of the page, without the token"""
    token: str | None
    """None: none is needed"""
    token_file: Path | None
    """where programs of the owner find the token; None: nowhere, or there is none"""
    page_file: Path | None
    """opens the page in a browser; None: there is none"""

    @property
    def page(self) -> str:
        """The address that opens the page in a browser."""
        return _with_token(self.address, self.token)


OnReady = Callable[[Ready], None]


def run(path: Path, options: Options, ready: OnReady) -> None:
    """
    Serve the library at `path` until the process is interrupted.

    Raises LibraryNotFound, AddressInUse, InvalidTokenFile, what loading a model raises, and NotWritable where the watch cannot write.
    """
    assert options.needs_token or access.is_local(options.host)
    token = _token(options)
    listening = _listen(options.host, options.port)
    # A search multiplies matrices of a hundred rows: waking a second thread for them takes longer, much longer where other searches
    # run on it at the same time.
    threadpoolctl.threadpool_limits(1, "blas")
    machine.keep_freed_memory()
    with contextlib.ExitStack() as opened:
        opened.callback(listening.close)
        services = Services.open(path, watch=options.watch)
        opened.callback(services.close)
        port = listening.getsockname()[1]
        rules = access.rules_for(
            options.host,
            port,
            token=token,
            allowed=options.hosts,
            rate=options.rate,
            proxies=options.proxies,
            origins=options.origins,
        )
        protected = access.AccessMiddleware(app.make(services), rules, services.metrics.observe_request)
        # From here on the kernel accepts connections; uvicorn answers them as soon as it runs.
        listening.listen(_BACKLOG)
        files = credentials.OwnerFiles(path, port)
        opened.callback(files.delete)
        if services.watch is not None:
            services.watch.start()
        ready(_ready(_address(options.host, port), token, options.token_file, files))
        # uvicorn raises it again after its shutdown.
        with contextlib.suppress(KeyboardInterrupt):
            _Server(uvicorn.Config(protected, **http_timeouts.settings(options.proxies)), services, files).run(
                [listening]
            )


def _token(options: Options) -> Token | None:
    if not options.needs_token:
        return None
    return Token.new() if options.token_file is None else credentials.from_file(options.token_file)


def _ready(address: str, token: Token | None, token_file: Path | None, files: credentials.OwnerFiles) -> Ready:
    if token is None:
        return Ready(address, None, None, None)
    page_file = files.write_page(_with_token(address, token.text))
    return Ready(address, token.text, token_file or files.write_token(token), page_file)


def _with_token(address: str, token: str | None) -> str:
    return address if token is None else f"{address}?token={urllib.parse.quote(token, safe='')}"


class _Server(uvicorn.Server):
    """Ends the event streams before it waits for running requests: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, services: Services, files: credentials.OwnerFiles) -> None:
        super().__init__(config)
        self._services = services
        self._files = files

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Here too: after a SIGTERM nothing runs but this.
        self._files.delete()
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
