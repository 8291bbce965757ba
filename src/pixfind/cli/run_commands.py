"""
Commands that reach a running embed: stop, pause, resume, limit.

Import nothing heavy: they answer at once, whatever the machine is busy with.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli.options import RUNNING, command, deprecated, refuse_others, share
from pixfind.library import control
from pixfind.library.library import Library


@command(rich_help_panel=RUNNING)
def stop(context: typer.Context) -> None:
    """End a running embed cleanly, or else a watch: nothing that was saved is lost."""
    from pixfind.workflows import running

    console = context.obj.console
    with Library.open(context.obj.path) as library:
        verb, has_ended = running.stop(library)
        with console.bar("waiting for the workers") as show:
            waited = 0
            while not has_ended():
                time.sleep(0.2)
                waited += 1
                show(waited // 5, None)
    console.say(f"stopped; `pixfind {'watch' if verb == 'watch' else 'embed'}` continues from here")


@command(rich_help_panel=RUNNING)
def pause(context: typer.Context) -> None:
    """Pause a running embed; its workers stay and keep their memory."""
    _request(context.obj.path, control.ControlRequest(pause=True))
    context.obj.console.say(_PAUSED)


@command(rich_help_panel=RUNNING)
def resume(context: typer.Context) -> None:
    """Resume a paused embed."""
    _request(context.obj.path, control.ControlRequest(pause=False))
    context.obj.console.say(_RESUMED)


@command(rich_help_panel=RUNNING)
def limit(
    context: typer.Context,
    cpu: Annotated[str, typer.Argument(metavar="SHARE", help="Share of the machine's processor time: 25%.")],
) -> None:
    """Change the share of the machine that a running embed may use."""
    _request(context.obj.path, control.ControlRequest(cpu=share(cpu)))
    context.obj.console.say(_LIMITED.format(cpu=cpu))


_PAUSED = "pause requested; `pixfind resume` continues the embed"
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


def _request(path: Path, requested: control.ControlRequest) -> int:
    from pixfind.workflows import running

    with Library.open(path) as library:
        return running.request(library, requested)
