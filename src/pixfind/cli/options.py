"""
Shared by all commands: the program, its global options, and options of several commands.
"""

import functools
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

import pixfind
from pixfind import errors
from pixfind.cli import completion_values, configuration, parameters, suggestions
from pixfind.cli.console import Console
from pixfind.cli.context import Context, collection_of
from pixfind.embedding.budget import MIN_MEMORY
from pixfind.embedding.elastic import WorkerRange
from pixfind.embedding.schedule import TimeWindow
from pixfind.library import generations, protected_files
from pixfind.library.library import locate
from pixfind.storage import output

if TYPE_CHECKING:
    # A type alone: the modules that load models are imported by the commands that need them.
    from pixfind.workflows.options import EmbedOptions


BUILD = "Build a library"
SEARCH = "Search"
RUNNING = "Control a running embed"
MODELS = "Models"
INSPECT = "Inspect"
MOVE = "Move and back up"
SERVE = "Serve"
SHELL = "The command line itself"
#: The panels of `pixfind --help`, in their order.
_PANELS = (BUILD, SEARCH, RUNNING, MODELS, INSPECT, MOVE, SERVE, SHELL)


class Command(parameters.Parameters, typer.core.TyperCommand):
    """A command; options that are not given have the defaults that the user has set (`configuration`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        used = ctx.find_object(Context)
        if used is None or ctx.resilient_parsing or not {"-h", "--help"}.isdisjoint(args):
            return super().parse_args(ctx, args)
        command = parameters.typed(ctx)
        found = configuration.settings(
            command,
            self.params,
            used.one if used.collection is None else None,
            (name for names in MODULES.values() for name in names),
            # That command shows what is refused.
            [] if command == "config" else None,
        )
        if found:
            found = configuration.without_excluded(found, self._given(ctx, args))
        ctx.default_map = {name: setting.value for name, setting in found.items()}
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = getattr(error.param, "name", None) or ""
            setting, given = found.get(name), ctx.get_parameter_source(name)
            if setting is None or given is None or given.name != "DEFAULT_MAP":
                raise
            detail = f"{setting.option} of `pixfind {setting.command}`: {error.message}".rstrip(".")
            raise errors.InvalidConfiguration(where=setting.source, detail=detail) from error

    def _given(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the longest names of the options on a command line; none of one that is refused afterwards."""
        try:
            values, _, _ = self.make_parser(ctx).parse_args(list(args))
        except suggestions.USAGE_ERROR:
            return []
        return [max(param.opts, key=len) for param in self.params if param.name in values]


class Group(parameters.Parameters, typer.core.TyperGroup):
    """Commands below one word."""


class Program(Group):
    """The group of all commands, loaded when one is asked for; accepts `--library` after the command too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, library_first(args))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, after importing its module; without knowing its module, after importing all."""
        if cmd_name not in self.commands:
            load(cmd_name)
            self.commands = typer.main.get_group(app).commands
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except suggestions.USAGE_ERROR as error:
            suggestions.add_option_of_word(error, ctx, args[0])
            raise

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands by their panels, and in each in the order of `MODULES`, whichever module was imported first."""
        load()
        self.commands = typer.main.get_group(app).commands
        order = [name for names in MODULES.values() for name in names]
        known = sorted(super().list_commands(ctx), key=lambda name: order.index(name) if name in order else len(order))
        return sorted(known, key=lambda name: _PANELS.index(self.commands[name].rich_help_panel))  # type: ignore[attr-defined]


#: module of `cli` -> the commands in it, in the order of `--help`. One that is missing here is found all the same, but slowly.
MODULES = {
    "index_commands": ("index", "add", "embed", "merge", "build-index"),
    "watch_commands": ("watch",),
    "text_commands": ("read-text",),
    "label_commands": ("label",),
    "thumbnail_commands": ("thumbnails",),
    "demo_command": ("demo",),
    "search_commands": ("search", "search-text", "search-image", "duplicates"),
    "album_commands": ("albums",),
    "run_commands": ("stop", "pause", "resume", "limit"),
    "model_commands": ("models", "tune", "model"),
    "inspect_commands": ("status", "verify", "plan"),
    "config_command": ("config",),
    "move_commands": ("relocate", "backup", "export", "import"),
    "serve_commands": ("serve", "mcp"),
    "shell_commands": ("completions", "man"),
}


def load(command: str | None = None) -> None:
    """Import the module of a command; all of them for None, and for a command that is not in the table."""
    found = [module for module, names in MODULES.items() if command in names] or list(MODULES)
    for module in found:
        importlib.import_module(f"pixfind.cli.{module}")


def library_first(words: list[str]) -> list[str]:
    """
    Return the arguments with each `--library LIBRARY` moved to the front, named once where it was named twice.

    Arguments after `--` are not changed.
    """
    end = words.index("--") if "--" in words else len(words)
    named: dict[str, None] = {}
    others: list[str] = []
    left = iter(words[:end])
    for word in left:
        if word == "--library" and (value := next(left, None)) is not None:
            named[value] = None
        elif word.startswith("--library="):
            named[word.partition("=")[2]] = None
        else:
            others.append(word)
    return [*(part for value in named for part in ("--library", value)), *others, *words[end:]]


app = typer.Typer(
    name="pixfind",
    cls=Program,
    help="Search your own pictures by what they show. Begin with: pixfind index FOLDER",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
command = functools.partial(app.command, cls=Command)
"""registers a command; `rich_help_panel` is one of the panels below"""


def _show_version(requested: bool) -> None:
    if requested:
        Console.data(f"pixfind {pixfind.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    library: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR",
            help="The library to use, also accepted after the command; default: PIXFIND_LIBRARY, or else the user's own. Several, an address of `pixfind serve` or a file collection.toml are searched as one.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show more details.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show errors only.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if verbose and quiet:
        raise errors.ConflictingOptions(
            first="--verbose", second="--quiet", detail="they contradict each other", instead="Leave out one."
        )
    console = Console(quiet=quiet, verbose=verbose)
    if (collection := collection_of(library)) is not None:
        context.obj = Context(Path(), console, collection)
        return
    path = locate(Path(library[0]) if library else None)
    generations.refuse_no_folder(path)
    context.obj = Context(path, console)


def explicit_options(context: typer.Context) -> dict[str, str]:
    """Return parameter -> its longest option name, for those on the command line, not for defaults."""
    names = {param.name: param for param in context.command.params if param.name is not None}
    sources = {name: context.get_parameter_source(name) for name in names}
    return {
        name: max(names[name].opts, key=len) if names[name].opts[0].startswith("-") else names[name].opts[0].upper()
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    }


def refuse_others(context: typer.Context, option: str, *compatible: str, instead: str) -> None:
    """Raise ConflictingOptions for a parameter that has no effect together with `option` and is not `compatible`."""
    found = explicit_options(context)
    for name, other in found.items():
        if name != option and name not in compatible:
            raise errors.ConflictingOptions(
                # It may be set by a configuration file or a variable.
                first=found.get(option, f"--{option.replace('_', '-')}"),
                second=other,
                detail="the second would have no effect",
                instead=instead,
            )


def share(text: str) -> float:
    """Parse "80%", "80" or "0.8" as a share of the machine, above 0 and at most 1; raises BadParameter."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a share; write 80% or 0.8") from None
    share = number / 100 if text.endswith("%") or number > 1 else number
    if not 0 < share <= 1:
        raise typer.BadParameter(f"{text!r} is not between 1% and 100%")
    return share


def size(text: str) -> int:
    """Parse "4GiB", "4G" or "500MB" as bytes (powers of two); raises BadParameter."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT])i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not an amount of memory; write 4GiB or 800MiB")
    amount = int(float(match[1]) * 2 ** {"M": 20, "G": 30, "T": 40}[match[2].upper()])
    if amount < MIN_MEMORY:
        raise typer.BadParameter(f"{text!r} is too little for a model and a picture; give at least 512MiB")
    return amount


def hours(text: str) -> TimeWindow:
    """Parse "22:00-07:00" as a daily time window; raises BadParameter."""
    try:
        return TimeWindow.parse(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a span of hours; write 22:00-07:00") from None


def worker_range(text: str) -> WorkerRange:
    """Parse "4" and "1-16" as a number of workers; raises BadParameter."""
    try:
        return WorkerRange.parse(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number of workers; write 4, or 1-16 on a cluster") from None


_WORKERS = "Worker processes, or on a cluster the fewest and the most: 1-16; default: 80 % of the cores."
Workers = Annotated[WorkerRange | None, typer.Argument(parser=worker_range, metavar="[WORKERS]", help=_WORKERS)]
WorkersOption = Annotated[
    WorkerRange | None, typer.Option("--workers", parser=worker_range, metavar="WORKERS", help=_WORKERS)
]
Cpu = Annotated[str, typer.Option(metavar="SHARE", help="Share of the machine's processor time for pixfind.")]


Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion_values.models,
        help="Model of the library, chosen the first time; see `pixfind models`.",
    ),
]
NewModel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion_values.models,
        help="Model of the library; see `pixfind models`. If it differs from the current model, embeddings are built alongside and searches switch when they are complete.",
    ),
]
NewPrecision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion_values.precisions,
        help="auto, fp32, int8, bf16 or int8-openvino. Changing the precision counts as switching the model.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion_values.precisions,
        help="auto, fp32, int8, bf16 or int8-openvino; chosen the first time.",
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, ...")]
Archives = Annotated[
    bool, typer.Option("--archives", help="Also look into the zip and tar files below the folders, from now on.")
]
Html = Annotated[
    output.Output | None,
    typer.Option(
        parser=protected_files.page_at, metavar="FILE", help="Write a contact sheet to look at; - is standard output."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]
# No `Path`, which takes a slash out of an address.
KnownPaths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Folders with pictures, zip or tar files, lists (CSV, Parquet ...), s3://bucket/prefix (gs://, az://); default: all that the library knows.",
    ),
]
Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Folders with pictures, zip or tar files, lists (CSV, Parquet ...), s3://bucket/prefix (gs://, az://).",
    ),
]


On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="CLUSTER",
        help="Embed on a Ray cluster: HOST:PORT, ray://HOST:PORT, ray (the one that is configured here) or local-ray (start one, to try it).",
    ),
]


def folder_map(text: str) -> tuple[str, str]:
    """Parse "/volume1/photos=/mnt/photos"; raises BadParameter."""
    here, equals, there = text.partition("=")
    if not (equals and here.startswith("/") and there.startswith("/")):
        raise typer.BadParameter(f"{text!r} is no pair of folders; write /volume1/photos=/mnt/photos")
    return here, there


Map = Annotated[
    list[Any] | None,
    typer.Option(
        "--map",
        parser=folder_map,
        metavar="FROM=TO",
        help="With --on: nodes have the pictures below FROM of this machine below TO. What a node does not find is sent to it.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedFlags:
    """How to embed: options that `index`, `embed` and `model switch` share."""

    cpu: Cpu = "80%"
    memory: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Memory for all workers; default: 80 % of what is available."),
    ] = None
    nice: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=19, help="Niceness of worker processes; higher values yield more to other programs."
        ),
    ] = 5
    between: Annotated[
        TimeWindow | None,
        typer.Option(parser=hours, metavar="HOURS", help="Work at this time of the day: 22:00-07:00."),
    ] = None
    pause_when_busy: Annotated[
        bool, typer.Option("--pause-when-busy", help="Pause while other programs need the machine.")
    ] = False
    device: Device = "auto"
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", metavar="N", min=0.001, max=1_000_000, help="Skip larger pictures.")
    ] = 200
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed or was skipped.")] = False

    def options(
        self,
        *,
        model: str | None,
        precision: str,
        workers: WorkerRange | None = None,
        on: str | None = None,
        maps: list[tuple[str, str]] | None = None,
    ) -> "EmbedOptions":
        """Return what was asked for; refuses what no machine can do with these numbers, before any work is done."""
        from pixfind.workflows.options import EmbedOptions, make_plan

        if workers is not None and not workers.fixed and on is None:
            instead = "On one machine give one number: its cores do not come and go."
            raise errors.OptionRequires(first=f"A range of workers ({workers})", second="--on", instead=instead)
        if maps and on is None:
            instead = "On one machine the pictures lie where they were found."
            raise errors.OptionRequires(first="--map", second="--on", instead=instead)
        options = EmbedOptions(
            model=model,
            precision=precision,
            device=self.device,
            workers=None if workers is None else workers.least,
            most_workers=None if workers is None else workers.most,
            share=share(self.cpu),
            nice=self.nice,
            memory=self.memory,
            megapixels=self.max_megapixels,
            hours=self.between,
            pause_when_busy=self.pause_when_busy,
            on=on,
            maps=tuple(maps or ()),
            retry=self.retry,
        )
        make_plan(options)
        return options


def deprecated(context: typer.Context, old: str, new: str) -> None:
    """Say that a flag has become a command; the flag goes away with the next release."""
    context.obj.console.say(f"note: `{old}` is deprecated and will be removed; use `{new}`")
