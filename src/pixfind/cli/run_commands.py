"""
Commands that reach a running embed: stop, pause, resume, limit.

Import nothing heavy: they answer at once, whatever the machine is busy with.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfind import errors
from pixfind.cli.options import RUNNING, DryRun, Json, command, deprecated, refuse_others, share
from pixfind.library import control
from pixfind.library.library import Library

if TYPE_CHECKING:
    # A type alone: these commands answer at once.
    from pixfind.workflows.running import Running


@command(rich_help_panel=RUNNING)
def stop(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """End a running embed cleanly, or else a watch: nothing that was saved is lost."""
    from pixfind.workflows import running

    console = context.obj.console
    with Library.open(context.obj.path) as library:
        if dry_run:
            _tell(context, "stop", running.to_stop(library), "", dry_run=True, json=json)
            return
        found, has_ended = running.stop(library)
        with console.bar("waiting for the workers") as show:
            waited = 0
            while not has_ended():
                time.sleep(0.2)
                waited += 1
                show(waited // 5, None)
    verb = found.verb if found.verb in {"watch", "read-text", "thumbnails"} else "embed"
    _tell(context, "stop", found, f"stopped; `pixfind {verb}` continues from here", dry_run=False, json=json)


@command(rich_help_panel=RUNNING)
def pause(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Pause a running embed; its workers stay and keep their memory."""
    _ask(context, "pause", control.ControlRequest(pause=True), _PAUSED, dry_run=dry_run, json=json)


@command(rich_help_panel=RUNNING)
def resume(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Resume a paused embed."""
    _ask(context, "resume", control.ControlRequest(pause=False), _RESUMED, dry_run=dry_run, json=json)


@command(rich_help_panel=RUNNING)
def limit(
    context: typer.Context,
    cpu: Annotated[str, typer.Argument(metavar="SHARE", help="Share of the machine's processor time: 25%.")],
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Change the share of the machine that a running embed may use."""
    requested = control.ControlRequest(cpu=share(cpu))
    _ask(context, "limit", requested, _LIMITED.format(cpu=cpu), dry_run=dry_run, json=json, share=requested.cpu)


_PAUSED = "pause requested; `pixfind resume` continues the work"
_RESUMED = "resume requested"
_LIMITED = "limit of {cpu} requested"


def control_by_flags(context: typer.Context, set_cpu: str | None, *, pause: bool, resume: bool) -> None:
    """Do what `embed --set-cpu`, `--pause` and `--resume` did before there were commands for it."""
    if pause and resume:
        raise errors.ConflictingOptions(
            first="--pause", second="--resume", detail="an embed does one or the other", instead="Give one of them."
        )
    option = "set_cpu" if set_cpu is not None else "pause" if pause else "resume"
    others = ("set_cpu", "pause", "resume")
    refuse_others(context, option, *others, instead="Leave it out: it does not reach an embed that is running.")
    requested = control.ControlRequest(
        cpu=None if set_cpu is None else share(set_cpu), pause=True if pause else False if resume else None
    )
    _request(context.obj.path, requested)
    for given, flag, verb, said in (
        (set_cpu is not None, f"--set-cpu {set_cpu}", f"limit {set_cpu}", _LIMITED.format(cpu=set_cpu)),
        (pause, "--pause", "pause", _PAUSED),
        (resume, "--resume", "resume", _RESUMED),
    ):
        if given:
            deprecated(context, f"embed {flag}", f"pixfind {verb}")
            context.obj.console.say(said)


def _ask(
    context: typer.Context,
    asked: str,
    requested: control.ControlRequest,
    said: str,
    *,
    dry_run: bool,
    json: bool,
    **more: Any,
) -> None:
    """Request something from the process that embeds, or say which one that is; raises NothingRunning."""
    from pixfind.workflows import running

    with Library.open(context.obj.path) as library:
        found = running.embedding(library) if dry_run else running.request(library, requested)
    _tell(context, asked, found, said, dry_run=dry_run, json=json, **more)


def _tell(
    context: typer.Context, asked: str, found: "Running", said: str, *, dry_run: bool, json: bool, **more: Any
) -> None:
    if json:
        context.obj.console.json({"request": asked, "verb": found.verb, "pid": found.pid, **more, "dry_run": dry_run})
    else:
        reached = f"`pixfind {found.verb}`" + (f" (process {found.pid})" if found.pid else "")
        context.obj.console.say(f"would ask {reached} to {asked}" if dry_run else said)


def _request(path: Path, requested: control.ControlRequest) -> None:
    from pixfind.workflows import running

    with Library.open(path) as library:
        running.request(library, requested)
