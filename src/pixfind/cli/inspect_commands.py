"""
The commands status, verify and plan: the state of a library and of this machine.
"""

import contextlib
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import collections
from pixfind.cli.console import Console
from pixfind.cli.options import INSPECT, Cpu, Device, DryRun, EmbedFlags, Json, On, Workers, command
from pixfind.cli.results import plain
from pixfind.library import generations
from pixfind.library.library import Library
from pixfind.types import numbered

if TYPE_CHECKING:
    from pixfind.library import verify as checks


@command(rich_help_panel=INSPECT)
def status(
    context: typer.Context,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
) -> None:
    """Show the ledger, what is running, and its bottleneck."""
    from pixfind.workflows import status as state

    console = context.obj.console
    if context.obj.collection is not None and not watch:
        collections.status(context.obj, context.obj.collection, json=json)
        return
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
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Check the library: counts, checksums, image/row references and the index."""
    console, collection = context.obj.console, context.obj.collection
    if dry_run and not repair:
        raise errors.OptionRequires(
            first="--dry-run", second="--repair", instead="Leave it out: a check changes nothing."
        )
    # Each finding says what --repair does about it.
    repair = repair and not dry_run
    # A repair works on one library, so `path` refuses several.
    several = collection is not None and not repair
    paths = collection.folders("`verify` reads") if several else [context.obj.path]
    findings = [finding for path in paths for finding in _findings(path, console, repair=repair, json=json)]
    if json:
        console.json([{slot: getattr(finding, slot) for slot in finding.__slots__} for finding in findings])
    else:
        console.findings(findings)
        console.print(
            "[green]consistent[/green]: nothing found" if not findings else numbered(len(findings), "finding")
        )
    if findings:
        raise typer.Exit(errors.LibraryDamaged.exit_code)


def _findings(path: Path, console: Console, *, repair: bool, json: bool) -> "list[checks.Finding]":
    """Return what is wrong with a library; with `repair` what is left of it."""
    from pixfind.library import repair as repairs
    from pixfind.library import verify as checks
    from pixfind.workflows import inactive_models, switch_model

    if repair and (model := switch_model.restore_if_needed(path)) is not None:
        console.say(f"models.json was lost and has been written again: searches use {model}")
    if repair and (done := repairs.rebuild_if_needed(path)) is not None:
        if done.rebuilt:
            console.say(
                f"metadata.db could not be read and was rebuilt from the embeddings; it was moved to {done.kept}. "
                "Only a backup still has the text in pictures, the labels and the exclusions."
            )
        else:
            console.say(f"metadata.db was damaged and has been repaired; as it was, it lies in {done.kept}.")
        console.say("Run `pixfind add` on your folders afterwards.")
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
    return findings


@command(rich_help_panel=INSPECT)
def plan(
    context: typer.Context,
    workers: Workers = None,
    cpu: Cpu = "80%",
    device: Device = "auto",
    on: On = None,
    json: Json = False,
) -> None:
    """
    Show the numbers that embed would use, each with its reason.

    With --on also how many workers fit on which node of the cluster.
    """
    from pixfind.models import engines
    from pixfind.workflows.embed import opened_runner
    from pixfind.workflows.options import plan_for

    tuned = None
    if generations.is_library(context.obj.path):
        with Library.open(context.obj.path) as library:
            model = library.model()
        tuned = None if model is None else engines.tuned_split(model.hash, model.precision)
    options = EmbedFlags(cpu=cpu, device=device).options(model=None, precision="auto", workers=workers, on=on)
    with opened_runner(options) as runner:
        made, room = plan_for(options, tuned, runner.room()), runner.room()
    if json:
        context.obj.console.json({**plain(made), "room": room})
    else:
        from pixfind.cli import tables

        tables.plan(made, room)
