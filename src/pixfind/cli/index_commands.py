"""
Commands that fill a library: index, add, embed, merge, build-index.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import model_commands, run_commands
from pixfind.cli.options import (
    BUILD,
    Archives,
    EmbedFlags,
    Exclude,
    KnownPaths,
    Model,
    NewModel,
    NewPrecision,
    Paths,
    Precision,
    Workers,
    WorkersOption,
    command,
    deprecated,
    grouped,
    refuse_others,
)
from pixfind.library import generations
from pixfind.library.library import Library

if TYPE_CHECKING:
    # Types alone: at run time the modules that load models are imported by the commands that need them.
    from pixfind.workflows.options import EmbedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchFlags:
    """Flags of `index` that `pixfind model` has commands for."""

    rollback: Annotated[bool, typer.Option("--rollback", hidden=True)] = False
    drop_previous: Annotated[bool, typer.Option("--drop-previous", hidden=True)] = False
    switch_anyway: Annotated[bool, typer.Option("--switch-anyway", hidden=True)] = False


@command(rich_help_panel=BUILD)
@grouped
def index(
    context: typer.Context,
    *,
    paths: KnownPaths = None,
    exclude: Exclude = None,
    archives: Archives = False,
    model: NewModel = None,
    precision: NewPrecision = "auto",
    workers: WorkersOption = None,
    flags: EmbedFlags,
    switch: SwitchFlags,
) -> None:
    """
    Do everything: register, embed, merge, build the index. Continues where an earlier run stopped.

    With another --model searches use the old one until the new embeddings are complete; `pixfind model rollback` goes back.
    """
    if switch.rollback or switch.drop_previous:
        _end_switch(context, switch)
        return
    path = context.obj.path
    if not paths and not generations.is_library(path):
        raise errors.NothingToIndex(path=path)
    options = flags.options(model=model, precision=precision, workers=workers)
    if switch.switch_anyway:
        deprecated(context, "index --switch-anyway", "pixfind model switch --anyway")
    run_index(context, options, paths or [], exclude or [], archives=archives, anyway=switch.switch_anyway)


def run_index(
    context: typer.Context,
    options: "EmbedOptions",
    folders: list[Path],
    exclude: list[str],
    *,
    anyway: bool,
    archives: bool = False,
) -> None:
    """Run `workflows.index` and show what it tells."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import scan
    from pixfind.workflows import index as workflow

    path, console = context.obj.path, context.obj.console
    if not generations.is_library(path):
        scan.check_folders(folders)
    with Library.create(path) as library, TerminalObserver(console) as observer:
        console.say(f"library: {library.path}")
        done = workflow.index(
            library,
            folders,
            options,
            exclude=exclude,
            in_archives=archives,
            switch_anyway=anyway,
            observer=observer,
        )
    end(stopped=done.stopped)


def _end_switch(context: typer.Context, switch: SwitchFlags) -> None:
    """Do what `index --rollback` and `--drop-previous` did before there were commands for it."""
    option = "rollback" if switch.rollback else "drop_previous"
    refuse_others(context, option, instead="Run it by itself, then the rest with another `pixfind index`.")
    if switch.rollback:
        deprecated(context, "index --rollback", "pixfind model rollback")
        model_commands.rollback(context)
    else:
        deprecated(context, "index --drop-previous", "pixfind model prune")
        model_commands.prune(context)


@command(rich_help_panel=BUILD)
def add(
    context: typer.Context,
    paths: Paths,
    exclude: Exclude = None,
    archives: Archives = False,
    model: Model = None,
    precision: Precision = "auto",
) -> None:
    """Register the images below folders or in archives, and tell what is new, changed, moved, gone or offline."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import scan
    from pixfind.workflows import add as workflow
    from pixfind.workflows.choose_model import choose_model
    from pixfind.workflows.options import EmbedOptions

    path = context.obj.path
    if not generations.is_library(path):
        scan.check_folders(paths)
    with (
        Library.create(path) as library,
        library.lock("add"),
        TerminalObserver(context.obj.console) as observer,
    ):
        scan.check_folders(paths, library)
        if model is not None or precision != "auto":
            choose_model(library, EmbedOptions(model=model, precision=precision), observer=observer)
        workflow.add(library, paths, exclude or (), observer, in_archives=archives)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFlags:
    """One of several processes that somebody else starts."""

    worker_id: Annotated[int | None, typer.Option(min=0, help="Embed one part only: which one, from 0.")] = None
    num_workers: Annotated[int | None, typer.Option(min=1, help="Embed one part only: of how many.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFlags:
    """Flags of `embed` that reach a running one; there are commands for them."""

    set_cpu: Annotated[str | None, typer.Option(metavar="SHARE", hidden=True)] = None
    pause: Annotated[bool, typer.Option("--pause", hidden=True)] = False
    resume: Annotated[bool, typer.Option("--resume", hidden=True)] = False


@command(rich_help_panel=BUILD)
@grouped
def embed(
    context: typer.Context,
    *,
    workers: Workers = None,
    model: Model = None,
    precision: Precision = "auto",
    then_index: Annotated[bool, typer.Option("--index", help="Build the index as well when all is embedded.")] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Return at once; watch with `pixfind status --watch`.")
    ] = False,
    flags: EmbedFlags,
    part: PartFlags,
    control: ControlFlags,
) -> None:
    """Embed what is pending (the guide's step 1), then merge."""
    if control.set_cpu is not None or control.pause or control.resume:
        run_commands.control_by_flags(context, control.set_cpu, pause=control.pause, resume=control.resume)
        return
    options = flags.options(model=model, precision=precision, workers=workers)
    if part.worker_id is not None or part.num_workers is not None:
        _embed_part(context, options, part)
    elif background:
        _embed_in_background(context)
    else:
        _embed(context, options, then_index=then_index)


def _embed(context: typer.Context, options: "EmbedOptions", *, then_index: bool) -> None:
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import inactive_models
    from pixfind.workflows import index as workflow

    console = context.obj.console
    with Library.open(context.obj.path, write=True) as library, TerminalObserver(console) as observer:
        done = workflow.embed_and_merge(library, options, then_index=then_index, observer=observer)
        if inactive_models.is_in_progress(library):
            console.say("the model is being switched: `pixfind index` continues and completes it")
    end(stopped=done.stopped)


def _embed_part(context: typer.Context, options: "EmbedOptions", part: PartFlags) -> None:
    """Embed one part only, as one of several processes that somebody else starts."""
    from pixfind.workflows import inactive_models
    from pixfind.workflows.embed_part import embed_part

    worker, workers = _checked(context, part)
    with Library.open(context.obj.path) as library, inactive_models.open_staged(library, write=False) as filled:
        count = embed_part(filled, worker, workers, options)
    context.obj.console.say(f"part {worker} of {workers}: {count:,} images embedded; adopt them with `pixfind merge`")


def _checked(context: typer.Context, part: PartFlags) -> tuple[int, int]:
    """Return which part of how many, or refuse what does not go together."""
    usage = "`pixfind embed --worker-id K --num-workers N` embeds part K of N; K counts from 0."
    if part.worker_id is None:
        raise errors.OptionRequires(first="--num-workers", second="--worker-id", instead=usage)
    if part.num_workers is None:
        raise errors.OptionRequires(first="--worker-id", second="--num-workers", instead=usage)
    if part.worker_id >= part.num_workers:
        raise typer.BadParameter(f"--worker-id {part.worker_id} is none of {part.num_workers} parts: they count from 0")
    # What only the coordinator of all workers can do: a part has none.
    harmless = ("num_workers", "cpu", "model", "precision", "device", "max_megapixels", "nice", "memory")
    refuse_others(context, "worker_id", *harmless, instead="Leave it out, or embed all of it: pixfind embed")
    return part.worker_id, part.num_workers


def _embed_in_background(context: typer.Context) -> None:
    """Start the same command again, detached from this terminal."""
    from pixfind.workflows import running

    with Library.open(context.obj.path) as library:
        pid = running.start_detached(library, [word for word in sys.argv[1:] if word != "--background"])
        log = library.logs / "embed.log"
    context.obj.console.say(f"embedding in the background (process {pid}, log {log}); see `pixfind status --watch`")


@command(rich_help_panel=BUILD)
def merge(context: typer.Context) -> None:
    """Move what workers saved into data/embeddings.npy."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import inactive_models
    from pixfind.workflows import merge as workflow

    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("merge"),
        inactive_models.open_staged(library) as filled,
        TerminalObserver(context.obj.console) as observer,
    ):
        workflow.merge(filled, observer)


@command(rich_help_panel=BUILD)
def build_index(context: typer.Context) -> None:
    """Build data/faiss.index, and measure its recall on this library."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import build_index as workflow

    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("build-index"),
        TerminalObserver(context.obj.console) as observer,
    ):
        workflow.build_index(library, observer, thorough=True)


def end(*, stopped: bool) -> None:
    """Exit as a command does that was interrupted, if it was stopped."""
    if stopped:
        raise typer.Exit(130)
