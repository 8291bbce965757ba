"""
Commands that fill a library: index, add, embed, merge, build-index.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfind import errors
from pixfind.cli import model_commands, previews, run_commands
from pixfind.cli.exclusion_options import ExclusionFlags
from pixfind.cli.grouped_options import grouped
from pixfind.cli.options import (
    BUILD,
    Archives,
    DryRun,
    EmbedFlags,
    Json,
    KnownPaths,
    Map,
    Model,
    NewModel,
    NewPrecision,
    On,
    Paths,
    Precision,
    Workers,
    WorkersOption,
    command,
    deprecated,
    refuse_others,
)
from pixfind.cli.source_options import SourceFlags
from pixfind.cli.video_options import VideoFlags
from pixfind.library import generations
from pixfind.library.library import Library
from pixfind.types import numbered

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
    exclusions: ExclusionFlags,
    archives: Archives = False,
    sources: SourceFlags,
    videos: VideoFlags,
    model: NewModel = None,
    precision: NewPrecision = "auto",
    workers: WorkersOption = None,
    on: On = None,
    maps: Map = None,
    thumbnails: Annotated[
        bool,
        typer.Option("--thumbnails", help="Make the page's thumbnails ahead, from now on; see `pixfind thumbnails`."),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
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
    options = flags.options(model=model, precision=precision, workers=workers, on=on, maps=maps)
    if switch.switch_anyway:
        deprecated(context, "index --switch-anyway", "pixfind model switch --anyway")
    run_index(
        context,
        options,
        paths or [],
        exclusions,
        archives=archives,
        settings=_settings(sources, videos, paths or []),
        anyway=switch.switch_anyway,
        thumbnails=thumbnails,
        dry_run=dry_run,
        json=json,
    )


def _settings(sources: SourceFlags, videos: VideoFlags, paths: list[str]) -> dict[str, Any] | None:
    """Return what the roots remember, None where nothing is said; raises OptionRequires."""
    return {**(sources.settings(paths) or {}), **videos.settings(paths)} or None


def run_index(
    context: typer.Context,
    options: "EmbedOptions",
    folders: list[str],
    exclusions: ExclusionFlags,
    *,
    anyway: bool,
    archives: bool = False,
    settings: Mapping[str, Any] | None = None,
    thumbnails: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Run `workflows.index` and show what it tells, or what it would do."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import scan
    from pixfind.workflows import index as workflow

    path, console = context.obj.path, context.obj.console
    if not generations.is_library(path):
        scan.check_folders(folders, settings=settings)
    how = _how(context, exclusions, archives=archives, settings=settings)
    if dry_run:
        previews.index(context, folders, options, json=json, thumbnails=thumbnails, **how)
        return
    with Library.create(path) as library, TerminalObserver(console, json=json) as observer:
        console.say(f"library: {library.path}")
        done = workflow.index(
            library,
            folders,
            options,
            switch_anyway=anyway,
            thumbnails=thumbnails,
            observer=observer,
            **how,
        )
    observer.tell(stopped=done.stopped, dry_run=False)
    end(stopped=done.stopped)
    if thumbnails and done.thumbnails_refused is not None:
        raise typer.Exit(done.thumbnails_refused.exit_code)


def _how(
    context: typer.Context, exclusions: ExclusionFlags, *, archives: bool, settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return how folders are scanned: arguments of `workflows.add.add`, and of those that call it."""
    return {
        "exclude": exclusions.given(context),
        "include": exclusions.include or (),
        "configured": exclusions.configured(context),
        "in_archives": archives,
        "settings": settings,
    }


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
@grouped
def add(
    context: typer.Context,
    *,
    paths: Paths,
    exclusions: ExclusionFlags,
    archives: Archives = False,
    sources: SourceFlags,
    videos: VideoFlags,
    model: Model = None,
    precision: Precision = "auto",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Register the images below folders, in archives and videos, of lists or in object storage, and report what is new, changed, moved, gone or offline."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import scan
    from pixfind.workflows import add as workflow
    from pixfind.workflows.choose_model import choose_model
    from pixfind.workflows.options import EmbedOptions

    path, settings = context.obj.path, _settings(sources, videos, paths)
    how = _how(context, exclusions, archives=archives, settings=settings)
    if not generations.is_library(path):
        scan.check_folders(paths, settings=settings)
    if dry_run:
        from pixfind.workflows import rehearsal

        with TerminalObserver(context.obj.console, json=json) as observer:
            rehearsal.preview_add(path, paths, observer, **how)
        observer.tell(dry_run=True)
        return
    with (
        Library.create(path) as library,
        library.lock("add"),
        TerminalObserver(context.obj.console, json=json) as observer,
    ):
        scan.check_folders(paths, library, settings)
        if model is not None or precision != "auto":
            choose_model(library, EmbedOptions(model=model, precision=precision), observer=observer)
        workflow.add(library, paths, observer=observer, **how)
    observer.tell(dry_run=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFlags:
    """One of several processes that somebody else starts."""

    worker_id: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Embed one part only: which one, from 0.")
    ] = None
    num_workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Embed one part only: of how many.")] = (
        None
    )


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
    on: On = None,
    maps: Map = None,
    model: Model = None,
    precision: Precision = "auto",
    then_index: Annotated[bool, typer.Option("--index", help="Build the index as well when all is embedded.")] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Return at once; watch with `pixfind status --watch`.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
    flags: EmbedFlags,
    part: PartFlags,
    control: ControlFlags,
) -> None:
    """Embed what is pending (the guide's step 1), then merge."""
    if control.set_cpu is not None or control.pause or control.resume:
        run_commands.control_by_flags(context, control.set_cpu, pause=control.pause, resume=control.resume)
        return
    options = flags.options(model=model, precision=precision, workers=workers, on=on, maps=maps)
    if part.worker_id is not None or part.num_workers is not None:
        _embed_part(context, options, part, json=json)
    elif dry_run:
        previews.embed(context, options, json=json)
    elif background:
        _embed_in_background(context, json=json)
    else:
        _embed(context, options, then_index=then_index, json=json)


def _embed(context: typer.Context, options: "EmbedOptions", *, then_index: bool, json: bool) -> None:
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import inactive_models
    from pixfind.workflows import index as workflow

    console = context.obj.console
    with Library.open(context.obj.path, write=True) as library, TerminalObserver(console, json=json) as observer:
        done = workflow.embed_and_merge(library, options, then_index=then_index, observer=observer)
        if inactive_models.is_in_progress(library):
            console.say("the model is being switched: `pixfind index` continues and completes it")
    observer.tell(stopped=done.stopped, dry_run=False)
    end(stopped=done.stopped)


def _embed_part(context: typer.Context, options: "EmbedOptions", part: PartFlags, *, json: bool) -> None:
    """Embed one part only, as one of several processes that somebody else starts."""
    from pixfind.workflows import inactive_models
    from pixfind.workflows.embed_part import embed_part

    worker, workers = _checked(context, part)
    with Library.open(context.obj.path) as library, inactive_models.open_staged(library, write=False) as filled:
        count = embed_part(filled, worker, workers, options)
    context.obj.console.say(
        f"part {worker} of {workers}: {numbered(count, 'image')} embedded; adopt them with `pixfind merge`"
    )
    if json:
        context.obj.console.json({"worker_id": worker, "num_workers": workers, "images": count})


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
    harmless = ("num_workers", "json", "cpu", "model", "precision", "device", "max_megapixels", "nice", "memory")
    refuse_others(context, "worker_id", *harmless, instead="Leave it out, or embed all of it: pixfind embed")
    return part.worker_id, part.num_workers


def _embed_in_background(context: typer.Context, *, json: bool) -> None:
    """Start the same command again, detached from this terminal."""
    from pixfind.workflows import running

    with Library.open(context.obj.path) as library:
        pid = running.start_detached(library, [word for word in sys.argv[1:] if word not in {"--background", "--json"}])
        log = library.logs / "embed.log"
    context.obj.console.say(f"embedding in the background (process {pid}, log {log}); see `pixfind status --watch`")
    if json:
        context.obj.console.json({"pid": pid, "log": log})


@command(rich_help_panel=BUILD)
def merge(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Move what workers saved into data/embeddings.npy."""
    if dry_run:
        previews.merge(context, json=json)
        return
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import inactive_models
    from pixfind.workflows import merge as workflow

    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("merge"),
        inactive_models.open_staged(library) as filled,
        TerminalObserver(context.obj.console, json=json) as observer,
    ):
        workflow.merge(filled, observer)
    observer.tell(dry_run=False)


@command(rich_help_panel=BUILD)
def build_index(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Build data/faiss.index, and measure its recall on this library."""
    if dry_run:
        previews.build_index(context, json=json)
        return
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import build_index as workflow

    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("build-index"),
        TerminalObserver(context.obj.console, json=json) as observer,
    ):
        workflow.build_index(library, observer, thorough=True)
    observer.tell(dry_run=False)


def end(*, stopped: bool) -> None:
    """Exit as a command does that was interrupted, if it was stopped."""
    if stopped:
        raise typer.Exit(130)
