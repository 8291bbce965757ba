"""
What all commands share: the program, its global options, and options that several commands have.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pixfind.cli.console import Console
from pixfind.embedding.budget import Hours
from pixfind.library.library import locate

_LEAST_MEMORY = 512 * 2**20

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


def size(text: str) -> int:
    """Read "4GiB", "4G" or "500MB" as bytes; powers of two, as memory is counted."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT])i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not an amount of memory; write 4GiB or 800MiB")
    amount = int(float(match[1]) * 2 ** {"M": 20, "G": 30, "T": 40}[match[2].upper()])
    if amount < _LEAST_MEMORY:
        raise typer.BadParameter(f"{text!r} is too little for a model and a picture; give at least 512MiB")
    return amount


def hours(text: str) -> Hours:
    """Read "22:00-07:00" as a daily span."""
    try:
        return Hours.parse(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a span of hours; write 22:00-07:00") from None


Workers = Annotated[
    int | None, typer.Argument(min=1, metavar="[WORKERS]", help="Processes; default: 80 % of the cores.")
]
Cpu = Annotated[str, typer.Option(metavar="SHARE", help="Share of the processors for pixfind.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="Model of the library, chosen the first time; see `pixfind models`.")
]
NewModel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Model of the library; see `pixfind models`. Another one than now is embedded beside it, and answers once it is complete.",
    ),
]
NewPrecision = Annotated[str, typer.Option(help="auto, fp32, int8 or bf16; another one than now as another model.")]
Precision = Annotated[str, typer.Option(help="auto, fp32, int8 or bf16; chosen the first time.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Leave out files and folders with this name or path.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KnownPaths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="Folders with pictures; default: all that the library knows."),
]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders with pictures.")]
Megapixels = Annotated[float, typer.Option("--max-megapixels", min=0.001, max=1_000_000, help="Skip larger pictures.")]
Retry = Annotated[bool, typer.Option("--retry", help="Try again what failed or was skipped.")]
Nice = Annotated[int, typer.Option(min=0, max=19, help="Priority of the workers: the higher, the later they come.")]
Memory = Annotated[
    int | None, typer.Option(parser=size, metavar="SIZE", help="Memory for all workers; default: 80 % of what is free.")
]
PauseWhenBusy = Annotated[bool, typer.Option("--pause-when-busy", help="Rest while other programs need the machine.")]
Between = Annotated[
    Hours | None, typer.Option(parser=hours, metavar="HOURS", help="Work at this time of the day: 22:00-07:00.")
]
