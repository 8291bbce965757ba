"""
Commands that open a library to others: serve, mcp.
"""

from typing import Annotated

import typer

from pixfind.cli.options import SERVE, command


@command(rich_help_panel=SERVE)
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; with any but this machine's own a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8765,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name that browsers call this machine.")
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option(
            min=1, help="Requests a second for each client; default: 1,000, and 10,000 for this machine's own."
        ),
    ] = None,
) -> None:
    """Open the library to a browser and to programs, until Ctrl-C."""
    from pixfind.server import server

    console = context.obj.console

    def ready(address: str, token: str | None) -> None:
        # A flushed line: scripts wait for it.
        console.data(address if token is None else f"{address}?token={token}")
        if token is not None:
            console.say("this address holds the token and is shown only now; programs send Authorization: Bearer TOKEN")
        console.say("Ctrl-C ends it")

    server.run(context.obj.path, server.Options(host, port, tuple(allow_host or ()), max_rate), ready)


@command(rich_help_panel=SERVE)
def mcp(context: typer.Context) -> None:
    """Serve agents over standard input and output (Model Context Protocol): search_images, get_image, get_status."""
    from pixfind.server import mcp_server

    mcp_server.run(context.obj.path)
