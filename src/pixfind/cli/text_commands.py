"""
The command read-text.
"""

from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli import previews
from pixfind.cli.grouped_options import grouped
from pixfind.cli.options import BUILD, DryRun, EmbedFlags, Json, WorkersOption, command, refuse_others
from pixfind.embedding.elastic import WorkerRange
from pixfind.library.library import Library


@command(rich_help_panel=BUILD)
@grouped
def read_text(
    context: typer.Context,
    *,
    workers: WorkersOption = None,
    off: Annotated[
        bool, typer.Option("--off", help="`index` and `watch` read no more text; what was read stays.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
    flags: EmbedFlags,
) -> None:
    """
    Read the text in the pictures, so that searches find it; from then on `index` and `watch` do it too.

    Needs the extra "ocr". Continues where an earlier run stopped; pictures that look most like text come first.
    """
    from pixfind.library import texts

    if off:
        refuse_others(context, "off", "dry_run", "json", instead="Run it by itself.")
        if dry_run:
            Library.open(context.obj.path).close()
        else:
            with Library.open(context.obj.path, write=True) as library, library.lock("read-text"):
                texts.want(library.catalogue, wanted=False)
        read = "would read" if dry_run else "read"
        context.obj.console.say(f"`index` and `watch` {read} no more text; `pixfind read-text` continues")
        if json:
            context.obj.console.json({"wanted": False, "dry_run": dry_run})
        return
    if dry_run:
        previews.read_text(context, retry=flags.retry, json=json)
        return
    _read(context, flags, workers, json=json)


def _read(context: typer.Context, flags: EmbedFlags, workers: WorkerRange | None, *, json: bool) -> None:
    from pixfind.cli.progress import TerminalObserver
    from pixfind.library import texts
    from pixfind.models import readers
    from pixfind.workflows import read_text as workflow

    options, console = flags.options(model=None, precision="auto", workers=workers), context.obj.console
    # Before anything is remembered: a reader that is not here is no reason for `index` to fail from then on.
    readers.name()
    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("read-text"),
        TerminalObserver(console, json=json) as observer,
    ):
        if library.model() is None:
            raise errors.NotEmbedded(path=library.path)
        texts.want(library.catalogue, wanted=True)
        report = workflow.read_text(library, options, observer=observer)
    observer.tell(wanted=True, stopped=report.stopped, dry_run=False)
    if report.stopped:
        raise typer.Exit(130)
