"""
What all commands share: the program, its global options, and options that several commands have.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pixfind.console import Console
from pixfind.library import locate

app = typer.Typer(
    name="pixfind",
    help="Search your own pictures by what they show. Begin with: pixfind index FOLDER",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, slots=True)
class Globals:
    path: Path
    console: Console


@app.callback()
def options(
    context: typer.Context,
    library: Annotated[Path | None, typer.Option(metavar="DIR", help="The library to use.")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    context.obj = Globals(locate(library), Console(quiet=quiet, verbose=verbose))


def share(text: str) -> float:
    """Read "80%", "80" or "0.8" as a share of the machine."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a share; write 80% or 0.8") from None
    share = number / 100 if text.endswith("%") or number > 1 else number
    if not 0 < share <= 1:
        raise typer.BadParameter(f"{text!r} is not between 1% and 100%")
    return share


Workers = Annotated[
    int | None, typer.Argument(min=1, metavar="[WORKERS]", help="Processes; default: 80 % of the cores.")
]
Cpu = Annotated[str, typer.Option(metavar="SHARE", help="Share of the processors for pixfind.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="Model of the library, chosen the first time; see `pixfind models`.")
]
Precision = Annotated[str, typer.Option(help="auto, fp32, int8 or bf16; chosen the first time.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Leave out files and folders with this name or path.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders with pictures.")]
Megapixels = Annotated[float, typer.Option("--max-megapixels", min=0.001, max=1_000_000, help="Skip larger pictures.")]
Retry = Annotated[bool, typer.Option("--retry", help="Try again what failed or was skipped.")]
