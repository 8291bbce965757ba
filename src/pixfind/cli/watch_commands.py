"""
The command `watch`: keeps a library current, one line for each round.
"""

import functools
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import previews, results
from pixfind.cli.console import Console
from pixfind.cli.grouped_options import grouped
from pixfind.cli.options import (
    BUILD,
    DryRun,
    EmbedFlags,
    KnownPaths,
    WorkersOption,
    command,
    library_first,
    refuse_others,
)
from pixfind.cli.styles import escape
from pixfind.library.library import Library
from pixfind.types import numbered
from pixfind.workflows.options import RESCAN_MINUTES

if TYPE_CHECKING:
    from pixfind.workflows.watch import RoundDone, WatchEvent

_CHANGES = ("new", "changed", "moved", "returned", "gone", "excluded")


@command(rich_help_panel=BUILD)
@grouped
def watch(
    context: typer.Context,
    *,
    paths: KnownPaths = None,
    workers: WorkersOption = None,
    rescan: Annotated[
        float,
        typer.Option(
            min=0.1,
            metavar="MINUTES",
            help="Scan folders this often whose file system does not tell all changes: NFS, SMB, FUSE, Docker mounts.",
        ),
    ] = RESCAN_MINUTES,
    keep_loaded: Annotated[
        float,
        typer.Option(
            min=0, metavar="MINUTES", help="Keep the model loaded this long without work; 0 gives it back at once."
        ),
    ] = 5,
    install: Annotated[
        bool, typer.Option("--install", help="Write a service that runs this watch, with these options, at each login.")
    ] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove that service.")] = False,
    dry_run: DryRun = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object a line for each thing that happens.")
    ] = False,
    flags: EmbedFlags,
) -> None:
    """
    Keep the library current: index what changes in its folders, within seconds, until stopped. Other commands work meanwhile.

    A PATH that is new is added first. What else `pixfind index` can be told of it (--archives, --exclude), tell `pixfind add`.
    """
    if install and uninstall:
        raise errors.ConflictingOptions(
            first="--install",
            second="--uninstall",
            detail="a watch is installed or it is not",
            instead="Give one of them.",
        )
    if uninstall:
        refuse_others(
            context,
            "uninstall",
            "dry_run",
            "json",
            instead="Leave it out: the service is removed whatever its options are.",
        )
        _uninstall(context, dry_run=dry_run, json=json)
        return
    options = flags.options(model=None, precision="auto", workers=workers)
    if install:
        if paths:
            raise errors.ConflictingOptions(
                first="--install",
                second="PATH",
                detail="a service watches what the library knows",
                instead=f"Add it first: pixfind add {shlex.join(paths)}",
            )
        _install(context, dry_run=dry_run, json=json)
        return
    if dry_run:
        previews.watch(context, options, paths or [], json=json)
        return
    from pixfind.embedding.runners.warm import Warm
    from pixfind.workflows import watch as workflow

    with Warm(keep_loaded * 60) as runner:
        workflow.watch(
            context.obj.path,
            options,
            folders=paths or (),
            rescan_minutes=rescan,
            runner=runner,
            tell=functools.partial(_tell_json if json else _tell, context.obj.console),
        )
    context.obj.console.say("the watch has ended")


def _tell_json(console: Console, event: "WatchEvent") -> None:
    # One line for each, flushed at once: a program waits for it.
    console.json_line({"event": type(event).__name__, **results.plain(event)})


def _install(context: typer.Context, *, dry_run: bool, json: bool) -> None:
    from pixfind.workflows import watch_service

    path, console = context.obj.path, context.obj.console
    Library.open(path).close()
    words = library_first(sys.argv[1:])
    words = words[2:] if words[0] == "--library" else words
    left_out = {"watch", "--install", "-v", "--verbose", "--quiet", "--json", "--dry-run"}
    service = watch_service.service(path, [word for word in words if word not in left_out])
    (watch_service.refuse_others if dry_run else watch_service.install)(service)
    if json:
        console.json({"path": service.path, "content": service.content.decode(), "dry_run": dry_run})
        return
    console.say(
        f"{'would write' if dry_run else 'wrote'} {escape(str(service.path))}: it runs `pixfind watch` on {escape(str(path))} at each login, and again after a failure"
    )
    console.say("start it now:")
    for line in service.start:
        console.say(f"  {escape(line)}")
    if service.keep:
        console.say(f"let it run while you are logged out:\n  {escape(service.keep)}")
    console.say(f"see what it does:\n  {escape(service.log)}")


def _uninstall(context: typer.Context, *, dry_run: bool, json: bool) -> None:
    from pixfind.workflows import watch_service

    path, console = context.obj.path, context.obj.console
    service = watch_service.service(path)
    (watch_service.refuse_removal if dry_run else watch_service.uninstall)(service)
    if json:
        console.json({"path": service.path, "dry_run": dry_run})
        return
    console.say(f"{'would remove' if dry_run else 'removed'} {escape(str(service.path))}; end the watch if it runs:")
    for line in service.stop:
        console.say(f"  {escape(line)}")


def _tell(console: Console, event: "WatchEvent") -> None:
    from pixfind.workflows import watch as workflow

    match event:
        case workflow.Watching(folders, rescanned):
            console.say(f"watching {numbered(len(folders), 'folder')}; end it with `pixfind stop`")
            for root, why in rescanned.items():
                console.say(f"  {escape(root)} is scanned every few minutes: {escape(why)}")
        case workflow.RoundDone(indexed=indexed):
            console.say(_round(event))
            if indexed is not None and indexed.thumbnails_refused is not None:
                console.error(str(indexed.thumbnails_refused))
        case workflow.WaitingForLock(error):
            console.say(f"waiting for `pixfind {error.fields['verb']}` (process {error.fields['pid']}) to end")
        case workflow.RoundFailed(error, seconds):
            console.error(f"{error}\nTrying again in {seconds:.0f} s.")
        case workflow.TooManyFolders(detail):
            console.say(f"[yellow]the system watches no more folders:[/yellow] {escape(detail)}")
            console.say("  until then all folders are scanned every few minutes; how to set it: docs/how-to/watch.md")


def _round(done: "RoundDone") -> str:
    """Say what came, and how long it took until it could be searched."""
    counts = [(sum(getattr(each, name) for each in done.scanned), name) for name in _CHANGES]
    found = ", ".join(f"{count:,} {name}" for count, name in counts if count) or "nothing new"
    if done.indexed is None:
        return f"{found}: embedded when the hours come"
    failed = done.indexed.embedded.outcomes.get("failed", 0)
    left = f", {failed:,} failed (`pixfind status` says why)" if failed else ""
    return f"{found}{left}: searchable after {done.seconds:.1f} s"
