"""
Commands that open a library to others: serve, mcp.
"""

from typing import Annotated

import typer

from pixfind.cli.program import app


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8765,
) -> None:
    """Open the library to a browser and to programs, until Ctrl-C."""
    from pixfind.serve import server

    console = context.obj.console
    server.run(context.obj.path, host, port, lambda address: console.data(address))
