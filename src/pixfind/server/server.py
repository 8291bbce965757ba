"""
The HTTP server: one address, in this process or in several, until Ctrl-C.

Owns uvicorn: its limits, its log and its shutdown. Connections are accepted only once the library is open and the model is loaded.
Several processes: `worker_processes`.
"""

import asyncio
import contextlib
import errno
import socket
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import threadpoolctl
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from pixfind import errors, machine
from pixfind.collection.config import CollectionConfig
from pixfind.library import path_text
from pixfind.server import access, app, credentials, http_timeouts
from pixfind.server.clients import Proxies
from pixfind.server.credentials import Token
from pixfind.server.services import Services

_BACKLOG = 1024
_PATIENCE_SECONDS, _RETRY_SECONDS = 2.5, 0.1
"""for an address that is in use: as long as nginx tries"""

_GRACE_SECONDS = 1.0
"""What runs for longer once the server was stopped is cancelled."""


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
    workers: int = 1
    """processes that answer"""


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


def run(served: Path | CollectionConfig, options: Options, ready: OnReady) -> None:
    """
    Serve the library in a folder, or several libraries as one, until the process is interrupted.

    Raises LibraryNotFound, LibrariesDiffer, AddressInUse, HostNotHere, InvalidTokenFile, what loading a model raises, NotWritable where the watch cannot write, and
    with several workers ServerWorkerEnded, ServerWorkerNotStarted and OneProcessOnly.
    """
    assert options.needs_token or access.is_local(options.host)
    token = _token(options)
    listening = listen(options.host, options.port)
    port = listening.getsockname()[1]
    with contextlib.ExitStack() as opened:
        opened.callback(listening.close)
        files = credentials.OwnerFiles(_folder_of(served), port)
        opened.callback(files.delete)

        def announce() -> None:
            ready(_ready(_address(options.host, port), token, options.token_file, files))

        if options.workers == 1:
            answer(served, options, token, listening, announce, files.delete)
            return
        # Imports what this module is imported by.
        from pixfind.server import worker_processes

        worker_processes.run(served, options, token, listening, announce)


def answer(
    served: Path | CollectionConfig,
    options: Options,
    token: Token | None,
    listening: socket.socket,
    announce: Callable[[], None],
    on_shutdown: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests in this process until it is interrupted; `announce` is called once connections are accepted. Raises as `run`."""
    # A search multiplies matrices of a hundred rows: waking a second thread for them takes longer, much longer where other searches
    # run on it at the same time.
    threadpoolctl.threadpool_limits(1, "blas")
    machine.keep_freed_memory()
    with contextlib.ExitStack() as opened:
        services = (
            Services.open(served, watch=options.watch, needs_token=options.needs_token, workers=options.workers)
            if isinstance(served, Path)
            else Services.of_collection(served, workers=options.workers)
        )
        opened.callback(services.close)
        rules = access.rules_for(
            options.host,
            listening.getsockname()[1],
            token=token,
            allowed=options.hosts,
            rate=options.rate,
            proxies=options.proxies,
            origins=options.origins,
            workers=options.workers,
        )
        protected = access.AccessMiddleware(app.make(services), rules, services.metrics.observe_request)
        # From here on the kernel accepts connections; uvicorn answers them as soon as it runs.
        listening.listen(_BACKLOG)
        if services.watch is not None:
            services.watch.start()
        # Of several workers each accepts one connection at a time: one of them would take all that come together.
        settings = http_timeouts.settings(options.proxies, options.workers) | (
            {"backlog": 1} if options.workers > 1 else {}
        )
        config = uvicorn.Config(_Cancellable(protected), **settings)
        # uvicorn raises it again after its shutdown.
        with contextlib.suppress(KeyboardInterrupt):
            _Server(config, services, announce, on_shutdown).run([listening])


def _folder_of(served: Path | CollectionConfig) -> Path | None:
    """Return where a server tells its owner the token: in the library; of a collection beside its file, else in its first library on this machine."""
    if isinstance(served, Path):
        return served
    if served.file is not None:
        return served.file.parent
    return next((member.path for member in served.members if member.path is not None), None)


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


class _Cancellable:
    """Lets a request that is cancelled end without a word: the server stops, and its connection is closed already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn logs whatever comes out of here as a bug, with a traceback.
        with contextlib.suppress(asyncio.CancelledError):
            await self._app(scope, receive, send)


class _Server(uvicorn.Server):
    """
    Ends the event streams before it waits for running requests, which would never end by themselves, and cancels those that take too long.

    uvicorn's own limit cancels requests whose connections are open, and tells each in its log as a bug.
    """

    def __init__(
        self, config: uvicorn.Config, services: Services, announce: Callable[[], None], on_shutdown: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._services = services
        self._announce = announce
        self._on_shutdown = on_shutdown
        self._warming: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # The queue of the kernel, which uvicorn has made as short as what is accepted at a time.
        for each in sockets or ():
            each.listen(_BACKLOG)
        # Not before uvicorn minds signals: whoever reads that the server runs may end it at once.
        self._announce()
        self._warming = asyncio.create_task(self._services.view.warm())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Here too: after a SIGTERM nothing runs but this.
        self._on_shutdown()
        await self._services.watcher.close()
        limit = asyncio.create_task(self._cancel_requests_later())
        # Returns once all requests have ended, or after a second Ctrl-C.
        await super().shutdown(sockets)
        limit.cancel()
        await self._cancel_requests()

    async def _cancel_requests_later(self) -> None:
        await asyncio.sleep(_GRACE_SECONDS)
        await self._cancel_requests()

    async def _cancel_requests(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # The requests hear that their connections are closed before they are cancelled.
        await asyncio.sleep(0)
        for task in list(self.server_state.tasks):
            task.cancel()


def _address(host: str, port: int) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104  shown, not listened on
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def listen(host: str, port: int, patience: float = _PATIENCE_SECONDS) -> socket.socket:
    """
    Bind an address, on which nothing is accepted yet; raises AddressInUse where it is not free within `patience` seconds, HostNotHere for an address that this machine does not have.

    The workers of a server that was killed hold its address until they have noticed, and who starts it again does so at once.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return _bind(host, port)
        except socket.gaierror as error:
            raise errors.HostNotHere(host=host, detail=f"no machine has this name ({error.strerror})") from error
        except (TypeError, ValueError) as error:
            # A name that cannot be written as one of the network: bytes that are no text, a NUL, an empty part.
            raise errors.HostNotHere(host=path_text.readable(host), detail="no machine can have this name") from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise errors.HostNotHere(host=host, detail="it is no address of this machine") from error
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise errors.AddressInUse(host=host, port=port, detail=error.strerror) from error
            time.sleep(_RETRY_SECONDS)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: without it asyncio does not switch Nagle's algorithm off, and each answer waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except BaseException:
        listening.close()
        raise
    return listening
