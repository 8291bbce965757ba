"""
Commands about models: model list, show, fetch, switch, rollback, prune; models; tune.
"""

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import completion_values, previews
from pixfind.cli.console import Console
from pixfind.cli.context import Context
from pixfind.cli.grouped_options import grouped
from pixfind.cli.options import (
    MODELS,
    Command,
    Device,
    DryRun,
    EmbedFlags,
    Group,
    Json,
    Model,
    NewPrecision,
    WorkersOption,
    app,
    command,
)
from pixfind.cli.results import plain
from pixfind.cli.styles import escape
from pixfind.library.library import Library
from pixfind.types import numbered

if TYPE_CHECKING:
    # A type alone: --help does without what switches models.
    from pixfind.workflows.switch_model import RollbackReport

model_app = typer.Typer(
    name="model",
    cls=Group,
    help="Show models, and switch the model of the library without losing search.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(model_app, rich_help_panel=MODELS)


@model_app.command("list", cls=Command)
def list_models(context: typer.Context, json: Json = False) -> None:
    """Show the models, what they are good for, and which are on this machine."""
    _show_models(context.obj, None, json=json)


@model_app.command("show", cls=Command)
def show_model(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion_values.models)],
    json: Json = False,
) -> None:
    """Show one model in full, with its card."""
    _show_models(context.obj, name, json=json)


@model_app.command(cls=Command)
def fetch(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completion_values.models,
            help="A name of the list, OWNER/REPO or a directory.",
        ),
    ],
    *,
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|fp32|fp16",
            help="Of the published weights of the part for texts; auto: the one that is here, else the smaller one.",
        ),
    ] = "auto",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Download a model now, both its parts, for a machine that will be offline later; continues a download that was interrupted."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import fetch as fetching

    console = context.obj.console
    plan = fetching.plan(name, precision=precision)
    if not json:
        console.downloads((("images", plan.image), ("texts", plan.text)), plan.text_reason, dry_run=dry_run)
    if not dry_run:
        with TerminalObserver(console) as observer:
            done = fetching.fetch(name, observer, precision=precision)
        console.say(f"{done.image.name}: {done.image.dimension} dimensions, files {done.image.hash[:12]}")
        console.say(f"  part for texts: {escape(done.text.value.text.name)} ({escape(done.text.reason)})")
    if json:
        console.json({**dataclasses.asdict(plan), "bytes": plan.bytes, "dry_run": dry_run})


@model_app.command(cls=Command)
@grouped
def switch(
    context: typer.Context,
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=completion_values.models,
            help="The new model; default: the one of a switch in progress.",
        ),
    ] = None,
    precision: NewPrecision = "auto",
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Switch even if some images that can be found now would no longer be found."),
    ] = False,
    workers: WorkersOption = None,
    dry_run: DryRun = False,
    json: Json = False,
    flags: EmbedFlags,
) -> None:
    """
    Embed the library with another model or precision; searches use the old one until the new embeddings are complete.

    The same as `pixfind index --model NAME`. Continues where an earlier run stopped.
    """
    from pixfind.cli.exclusion_options import ExclusionFlags
    from pixfind.cli.index_commands import run_index
    from pixfind.workflows import inactive_models

    path = context.obj.path
    with Library.open(path) as library:
        if name is None and precision == "auto" and not inactive_models.is_in_progress(library):
            raise errors.NoModelSwitch(path=path)
        active = library.model()
        if active is not None and name == active.name and precision in {"auto", active.precision}:
            context.obj.console.say(f"searches already use {active.name} {active.precision}; embedding what is new")
    options = flags.options(model=name, precision=precision, workers=workers)
    run_index(context, options, [], ExclusionFlags(), anyway=anyway, dry_run=dry_run, json=json)


@model_app.command(cls=Command)
def rollback(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Cancel a model switch in progress, or return to the previous model."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import switch_model

    console = context.obj.console
    if dry_run:
        from pixfind.workflows import rehearsal

        _tell_rollback(console, rehearsal.preview_rollback(context.obj.path), dry_run=True, json=json)
        return
    with Library.open(context.obj.path, write=True) as library, library.lock("rollback"):
        with TerminalObserver(console) as observer:
            done = switch_model.rollback(library, observer)
        _tell_rollback(console, done, dry_run=False, json=json)
        switch_model.finish_interrupted(library)


def _tell_rollback(console: Console, done: "RollbackReport", *, dry_run: bool, json: bool) -> None:
    if json:
        console.json({**dataclasses.asdict(done), "dry_run": dry_run})
        return
    would = "would " if dry_run else ""
    console.say(f"searches {would}use {done.model.name} {done.model.precision}")
    if (retired := done.retired) is not None:
        are = "would be" if dry_run else "are"
        console.say(f"  the embeddings of {retired.name} {retired.precision} {are} kept until the next switch;")
        console.say(f"  `pixfind model switch {retired.name}` {'would use' if dry_run else 'uses'} them")
    if done.pending:
        console.say(f"  {numbered(done.pending, 'image')} {'would be ' if dry_run else ''}pending: pixfind index")


@model_app.command(cls=Command)
def prune(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Delete the embeddings kept for `pixfind model rollback` to free disk space."""
    from pixfind.workflows import switch_model

    with contextlib.ExitStack() as held:
        library = held.enter_context(Library.open(context.obj.path, write=not dry_run))
        if dry_run:
            deleted = switch_model.kept(library)
        else:
            held.enter_context(library.lock("prune"))
            switch_model.finish_interrupted(library)
            deleted = switch_model.prune(library)
    if json:
        context.obj.console.json({"deleted": deleted, "dry_run": dry_run})
        return
    verb = "would delete" if dry_run else "deleted"
    context.obj.console.say(f"{verb} the embeddings of {', '.join(deleted)}" if deleted else "nothing was kept")


@command(rich_help_panel=MODELS)
def models(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[show] NAME", help="Show one model in full, with its card.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the models, what they are good for, and which are on this machine."""
    _show_models(context.obj, _model_named(words or []), json=json)


def _model_named(words: list[str]) -> str | None:
    """Both `models NAME` and `models show NAME` name a model; without words all are shown."""
    match words:
        case []:
            return None
        case [name] | ["show", name]:
            return name
    raise typer.BadParameter("name one model: pixfind models show NAME")


def _show_models(used: Context, name: str | None, *, json: bool) -> None:
    from pixfind.models import hub
    from pixfind.models import registry as table

    console = used.console
    shown = table.TABLE if name is None else tuple(model for model in table.TABLE if model.name == name)
    if not shown:
        raise errors.UnknownModel(name=name, known=table.names())
    here = {model.name: hub.cached_folder(model.name) is not None for model in shown}
    values = [{**dataclasses.asdict(model), "here": here[model.name]} for model in shown]
    if json:
        console.json(values)
    elif name is None:
        from pixfind.cli import tables

        tables.models(values, table.DEFAULT)
    else:
        folder = hub.cached_folder(name)
        card = None if folder is None or not (folder / "card.json").exists() else (folder / "card.json")
        console.model(values[0], None if card is None else card.read_text(encoding="utf-8"))


@command(rich_help_panel=MODELS)
def tune(
    context: typer.Context,
    model: Model = None,
    sample: Annotated[int, typer.Option(metavar="N", min=16, help="Pictures to compare on.")] = 128,
    device: Device = "auto",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Find the fastest precision that keeps the answers, on your own pictures."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows.choose_model import fetch_model
    from pixfind.workflows.options import EmbedOptions
    from pixfind.workflows.tune import tune_model

    console = context.obj.console
    options = EmbedOptions(model=model, device=device)
    if dry_run:
        previews.tune(context, options, sample, json=json)
        return
    with Library.open(context.obj.path) as library, TerminalObserver(console) as observer:
        report = tune_model(library, fetch_model(library, options, observer), options, sample, observer=observer)
        known, embedded = library.model(), library.has_embeddings()
    if json:
        console.json({**plain(report), "dry_run": False})
    else:
        for line in report.lines():
            console.data(line)
    if known is not None and known.precision != (best := report.choice.value):
        how = (
            f"embed it again with `pixfind index --precision {best}`"
            if embedded
            else f"`pixfind embed --precision {best}`"
        )
        console.say(f"this library has {known.precision}; to take {best}: {how}")
