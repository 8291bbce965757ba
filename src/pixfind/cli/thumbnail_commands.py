"""
The command thumbnails.
"""

from typing import Annotated

import typer

from pixfind import errors
from pixfind.cli.grouped_options import grouped
from pixfind.cli.options import BUILD, DryRun, EmbedFlags, Json, WorkersOption, command, explicit_options, refuse_others
from pixfind.library.library import Library
from pixfind.types import format_bytes, numbered

_OF_THE_MODEL = ("memory", "device", "max_megapixels", "retry")
"""options of an embed that mean nothing here"""


def _side(given: str) -> int:
    from pixfind.images.thumbnails import SIDES

    if given not in map(str, SIDES):
        raise typer.BadParameter(f"{given!r} is none of {', '.join(map(str, SIDES))}")
    return int(given)


@command(rich_help_panel=BUILD)
@grouped
def thumbnails(
    context: typer.Context,
    *,
    side: Annotated[
        int | None,
        typer.Option(
            parser=_side,
            metavar="PIXELS",
            help="Longer side: 512 (as at first), 256, 1024; the page makes smaller ones of them at once.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Begin with the first picture: for those that were away, failed or deleted.")
    ] = False,
    off: Annotated[
        bool, typer.Option("--off", help="`index` and `watch` make no more; those that are there stay.")
    ] = False,
    workers: WorkersOption = None,
    dry_run: DryRun = False,
    json: Json = False,
    flags: EmbedFlags,
) -> None:
    """
    Make the thumbnails of the page ahead, so that it shows any picture at once; from then on `index` and `watch` do it too.

    Continues where an earlier run stopped.
    """
    if off:
        refuse_others(context, "off", "dry_run", "json", instead="Run it by itself.")
        _want_none(context, dry_run=dry_run, json=json)
        return
    for name, option in explicit_options(context).items():
        if name in _OF_THE_MODEL:
            raise errors.ConflictingOptions(
                first="thumbnails",
                second=option,
                detail="no model is run, and no memory is planned",
                instead="Leave it out.",
            )
    options = flags.options(model=None, precision="auto", workers=workers)
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import make_thumbnails as workflow
    from pixfind.workflows.events import Step, ThumbnailsMade, start

    console = context.obj.console
    if dry_run:
        with Library.open(context.obj.path) as library:
            rows, bytes_ = workflow.preview(library, side=side, again=again)
        if json:
            console.json({"pending": rows, "bytes": bytes_, "dry_run": True})
        else:
            console.say(
                f"would look at {numbered(rows, 'picture')}; thumbnails of them all take {format_bytes(bytes_)} or less"
            )
        return
    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("thumbnails"),
        TerminalObserver(console, json=json) as observer,
    ):
        report = workflow.make_thumbnails(
            library, options, side=side, again=again, progress=start(Step.THUMBNAILS, observer)
        )
        observer(ThumbnailsMade(report))
    observer.tell(wanted=True, stopped=report.stopped, dry_run=False)
    if report.stopped:
        raise typer.Exit(130)


def _want_none(context: typer.Context, *, dry_run: bool, json: bool) -> None:
    from pixfind.library import thumbnail_progress

    if dry_run:
        Library.open(context.obj.path).close()
    else:
        with Library.open(context.obj.path, write=True) as library, library.lock("thumbnails"):
            thumbnail_progress.want(library.catalogue, None)
    make = "would make" if dry_run else "make"
    context.obj.console.say(f"`index` and `watch` {make} no more thumbnails; `pixfind thumbnails` continues")
    if json:
        context.obj.console.json({"wanted": False, "dry_run": dry_run})
