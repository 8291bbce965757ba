"""
The commands status, verify and plan: the state of a library and of this machine.
"""

import contextlib
import itertools
import time
from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli.console import numbered
from pixfind.cli.options import INSPECT, Cpu, Json, Workers, command, share
from pixfind.library import generations
from pixfind.library.library import Library


@command(rich_help_panel=INSPECT)
def status(
    context: typer.Context,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
) -> None:
    """Show the ledger, what is running, and its bottleneck."""
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


@command(rich_help_panel=INSPECT)
def verify(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild derived data; images whose embeddings are lost become pending.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the library: counts, checksums, image/row references and the index."""
    from pixfind.library import repair as repairs
    from pixfind.library import verify as checks
    from pixfind.workflows import inactive_models, switch_model

    path, console = context.obj.path, context.obj.console
    if repair and (model := switch_model.restore_if_needed(path)) is not None:
        console.say(f"models.json was lost and has been written again: searches use {model}")
    if repair and (kept := repairs.rebuild_if_needed(path)) is not None:
        console.say(
            f"metadata.db could not be read; it was moved to {kept}. Run `pixfind add` on your folders afterwards."
        )
    findings: list[checks.Finding] = []
    with Library.open(path, write=repair) as library, contextlib.ExitStack() as held:
        if repair:
            held.enter_context(library.lock("verify"))
        # Also the staged model of a switch, and the previous one.
        for one in itertools.chain([library], inactive_models.open_inactive(library, write=repair)):
            with console.bar("checking rows", "rows") as show:
                found = checks.verify(one, show)
            if repair and found:
                if not json:
                    console.findings(found)
                found = repairs.repair(one, found)
            findings += found
    if json:
        console.json([{slot: getattr(finding, slot) for slot in finding.__slots__} for finding in findings])
    else:
        console.findings(findings)
        console.print(
            "[green]consistent[/green]: nothing found" if not findings else numbered(len(findings), "finding")
        )
    if findings:
        raise typer.Exit(errors.LibraryDamaged.exit_code)


@command(rich_help_panel=INSPECT)
def plan(context: typer.Context, workers: Workers = None, cpu: Cpu = "80%") -> None:
    """Show the numbers that embed would use, each with its reason."""
    from pixfind.models import engines
    from pixfind.workflows.options import EmbedOptions, make_plan

    tuned = None
    if generations.is_library(context.obj.path):
        with Library.open(context.obj.path) as library:
            model = library.model()
        tuned = None if model is None else engines.tuned_split(model.hash, model.precision)
    context.obj.console.plan(make_plan(EmbedOptions(workers=workers, share=share(cpu)), tuned))
