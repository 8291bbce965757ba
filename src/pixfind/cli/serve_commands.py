"""
The commands serve and mcp: a library for browsers, programs and agents.
"""

from typing import Annotated

import typer

from pixfind.cli.options import SERVE, command


@command(rich_help_panel=SERVE)
def serve(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to listen on; others than this machine's own require a token."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8765,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name of this machine in requests.")
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Requests a second for each client; default: 1,000, or 10,000 when only this machine can connect.",
        ),
    ] = None,
) -> None:
    """Serve the library to browsers and programs, until Ctrl-C."""
    from pixfind.server import server

    console = context.obj.console

    def ready(address: str, token: str | None) -> None:
        # Flushed at once, because scripts wait for this line.
        console.data(address if token is None else f"{address}?token={token}")
        if token is not None:
            console.say(
                "this address contains the token and is shown only once; programs send Authorization: Bearer TOKEN"
            )
        console.say("press Ctrl-C to stop")

    server.run(context.obj.path, server.Options(host, port, tuple(allow_host or ()), max_rate), ready)


@command(rich_help_panel=SERVE)
def mcp(context: typer.Context) -> None:
    """Serve agents over standard input and output (Model Context Protocol): search_images, get_image, get_status."""
    from pixfind.server import mcp_server

    mcp_server.run(context.obj.path)
