"""
The commands serve and mcp: a library for browsers, programs and agents.
"""

import re
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli.console import Console
from pixfind.cli.options import SERVE, Json, command, refuse_others
from pixfind.cli.results import plain

if TYPE_CHECKING:
    # A type alone: --help does not wait for the server.
    from pixfind.server.server import Ready


def _origin(text: str) -> str:
    """Parse an origin as a browser sends it: scheme, host and port, nothing else; raises BadParameter."""
    parts = urllib.parse.urlsplit(text)
    # Browsers leave out the port that a scheme has by default.
    default = f":{80 if parts.scheme == 'http' else 443}"
    if not re.fullmatch(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", text) or parts.netloc.endswith(
        default
    ):
        raise typer.BadParameter(f"{text!r} is no origin; write https://photos.example or http://localhost:3000")
    return text


@command(rich_help_panel=SERVE)
def serve(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to listen on; others than this machine's own are for networks."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0: any free port.")] = 8765,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the library current meanwhile, as `pixfind watch` does.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Use the token in this file, made where it is missing; default: a new one at each start.",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Answer every user and program of this machine without a token.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name of this machine in requests.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            parser=_origin,
            metavar="ORIGIN",
            help="Let pages of this site use the API with the token: https://photos.example",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="Take the client's address from the X-Forwarded-For of this proxy; also a network."
        ),
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Requests a second for each client; default: 1,000, or 10,000 when only this machine can connect.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=64,
            help="Processes that answer; each has the model and the index in its own memory.",
        ),
    ] = 1,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="CLUSTER",
            help="Serve each library from a node of a Ray cluster that has it: ray, HOST:PORT or local-ray; with --workers processes for each.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Serve the library, or several as one, to browsers and programs, until Ctrl-C."""
    from pixfind.server import access, server
    from pixfind.server.clients import Proxies

    if watch and context.obj.collection is not None:
        raise errors.NotForCollections(
            detail="--watch keeps one library current",
            instead="Leave it out, and run `pixfind --library LIBRARY watch` for each of them.",
        )
    if watch and on is not None:
        raise errors.ConflictingOptions(
            first="--watch",
            second="--on",
            detail="a library is kept current by the machine that has it",
            instead="Leave out --watch, and run `pixfind --library LIBRARY watch` there.",
        )
    if no_token and not access.is_local(host):
        raise errors.ConflictingOptions(
            first="--no-token",
            second=f"--host {host}",
            detail="everybody on the network could look at the pictures",
            instead="Leave out one. --token-file FILE keeps the token over restarts.",
        )
    if no_token and token_file is not None:
        refuse_others(
            context,
            "no_token",
            "host",
            "port",
            "open_page",
            "watch",
            "allow_host",
            "allow_origin",
            "trusted_proxy",
            "max_rate",
            "workers",
            "json",
            instead="Leave out one.",
        )

    try:
        proxies = Proxies.parse(trusted_proxy or ())
    except ValueError as error:
        raise typer.BadParameter(f"--trusted-proxy: {error}") from None

    def ready(started: server.Ready) -> None:
        _announce(context.obj.console, started, json=json)
        if open_page:
            _open(context.obj.console, started)

    options = server.Options(
        host,
        port,
        tuple(allow_host or ()),
        max_rate,
        needs_token=not no_token,
        token_file=None if token_file is None else token_file.expanduser().absolute(),
        proxies=proxies,
        origins=tuple(allow_origin or ()),
        watch=watch,
        workers=workers,
    )
    if on is None:
        server.run(context.obj.served, options, ready)
    else:
        from pixfind.server import on_cluster

        on_cluster.run(context.obj.served, on, options, ready)


def _announce(console: Console, started: "Ready", *, json: bool) -> None:
    # Flushed at once, because scripts wait for this line.
    if json:
        console.json_line({**plain(started), "page": started.page})
    else:
        console.data(started.page)
    if started.token is None:
        console.say("no token is needed: every user of this machine can look at the pictures and start an embed")
    else:
        console.say("open this address, which contains the token, in a browser; it then keeps a session for 30 days")
        where = f"it is in {started.token_file}" if started.token_file else "no file can keep it private here"
        console.say(f"programs send the header Authorization: Bearer TOKEN; {where}")
    console.say("press Ctrl-C to stop")


def _open(console: Console, started: "Ready") -> None:
    import webbrowser

    # Not the address with the token: all users of the machine can read the arguments of a program.
    page = started.address if started.page_file is None else started.page_file.as_uri()
    if not webbrowser.open(page):
        console.say("no browser could be started; open the address above")


@command(rich_help_panel=SERVE)
def mcp(context: typer.Context) -> None:
    """Serve agents over standard input and output (Model Context Protocol): search_images, get_image, get_images, get_status."""
    from pixfind.server import mcp_server

    mcp_server.run(context.obj.served)
