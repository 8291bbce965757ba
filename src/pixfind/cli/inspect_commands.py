"""
Commands that ask about a library and about this machine: status, verify, plan, models, tune.
"""

import contextlib
import dataclasses
import itertools
import time
from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli.options import Cpu, Device, Json, Model, Workers, command, share
from pixfind.library.library import Library


@command()
def status(
    context: typer.Context,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
) -> None:
    """Show the ledger, what is running, and what it is held back by."""
    from pixfind.workflows import status as state

    console = context.obj.console
    with Library.open(context.obj.path) as library:
        while True:
            now = state.status(library)
            if json:
                console.json(now.values())
            else:
                if watch:
                    console.clear()
                console.status(now)
            if not watch:
                return
            time.sleep(2)


@command()
def verify(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be derived; the rest becomes pending.")
    ] = False,
    json: Json = False,
) -> None:
    """Prove that the library is whole: the ledger, every checksum, every row both ways, the index."""
    from pixfind.library import verify as proof
    from pixfind.workflows import switch_model

    path, console = context.obj.path, context.obj.console
    if repair and (model := switch_model.restore_if_needed(path)) is not None:
        console.say(f"models.json was lost and has been written anew: search answers with {model}")
    if repair and (kept := proof.rebuild_if_needed(path)) is not None:
        console.say(
            f"metadata.db could not be read; it lies in {kept} now. Run `pixfind add` on your folders afterwards."
        )
    findings: list[proof.Finding] = []
    with Library.open(path, write=repair) as library, contextlib.ExitStack() as held:
        if repair:
            held.enter_context(library.lock("verify"))
        # Also the model that is to answer next, and what is kept of the one before.
        for one in itertools.chain([library], switch_model.open_inactive(library, write=repair)):
            with console.bar("checking rows", "rows") as show:
                found = proof.verify(one, show)
            if repair and found:
                if not json:
                    console.findings(found)
                found = proof.repair(one, found)
            findings += found
    if json:
        console.json([{slot: getattr(finding, slot) for slot in finding.__slots__} for finding in findings])
    else:
        console.findings(findings)
        console.tell("[green]whole[/green]: nothing found" if not findings else f"{len(findings)} finding(s)")
    if findings:
        raise typer.Exit(errors.LibraryDamaged.exit_code)


@command()
def plan(context: typer.Context, workers: Workers = None, cpu: Cpu = "80%") -> None:
    """Show the numbers that embed would use, each with its reason."""
    from pixfind.workflows.options import EmbedOptions, make_plan

    context.obj.console.plan(make_plan(EmbedOptions(workers=workers, share=share(cpu))))


@command()
def models(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[show] NAME", help="Show one model whole, with its card.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the models, what they are good for, and which are on this machine."""
    from pixfind.models import hub
    from pixfind.models import registry as table

    console = context.obj.console
    name = _model_named(words or [])
    shown = table.TABLE if name is None else tuple(model for model in table.TABLE if model.name == name)
    if not shown:
        raise errors.UnknownModel(name=name, known=table.names())
    here = {model.name: hub.here(model.name) is not None for model in shown}
    values = [{**dataclasses.asdict(model), "here": here[model.name]} for model in shown]
    if json:
        console.json(values)
    elif name is None:
        console.models(values, table.DEFAULT)
    else:
        folder = hub.here(name)
        card = None if folder is None or not (folder / "card.json").exists() else (folder / "card.json")
        console.model(values[0], None if card is None else card.read_text(encoding="utf-8"))


def _model_named(words: list[str]) -> str | None:
    """Both `models NAME` and `models show NAME` name a model; without words all are shown."""
    match words:
        case []:
            return None
        case [name] | ["show", name]:
            return name
    raise typer.BadParameter("name one model: pixfind models show NAME")


@command()
def tune(
    context: typer.Context,
    model: Model = None,
    sample: Annotated[int, typer.Option(min=16, help="Pictures to compare on.")] = 128,
    device: Device = "auto",
) -> None:
    """Find the fastest precision that keeps the answers, on your own pictures."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows.choose_model import fetch_model
    from pixfind.workflows.options import EmbedOptions
    from pixfind.workflows.tune import tune_model

    console = context.obj.console
    asked = EmbedOptions(model=model, device=device)
    with Library.open(context.obj.path) as library, TerminalObserver(console) as observer:
        report = tune_model(library, fetch_model(library, asked, observer), asked, sample, observer=observer)
        known, embedded = library.model(), library.has_embeddings()
    for line in report.lines():
        console.data(line)
    if known is not None and known.precision != (best := report.choice.value):
        how = (
            f"embed it again with `pixfind index --precision {best}`"
            if embedded
            else f"`pixfind embed --precision {best}`"
        )
        console.say(f"this library has {known.precision}; to take {best}: {how}")
