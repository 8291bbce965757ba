"""
The command label.
"""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind.cli.console import Console
from pixfind.cli.options import BUILD, DryRun, Json, command, refuse_others
from pixfind.library.library import Library

if TYPE_CHECKING:
    # A type alone: the help does without it.
    from pixfind.library.labels import Definition


@command(rich_help_panel=BUILD)
def label(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A label a line: beach, or with what it shows, dog: a dog -cat."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Remove all labels.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Label the pictures with the words of a file, and show how many have which; from then on `index` and `watch` label what is new.

    A label marks what a search for its words would show; `>= 4` at the end of a line takes a z-score of your own instead. Without FILE the labels are shown.
    """
    from pixfind.library import labels
    from pixfind.search import label_file

    console = context.obj.console
    if off:
        refuse_others(context, "off", "dry_run", "json", instead="Run it by itself.")
    definitions = label_file.read(file) if file is not None else [] if off else None
    if definitions is not None and not dry_run:
        with Library.open(context.obj.path, write=True) as library, library.lock("label"):
            _define(console, library, definitions)
    with contextlib.ExitStack() as opened:
        library = opened.enter_context(Library.open(context.obj.path))
        if definitions is not None and dry_run:
            from pixfind.workflows import rehearsal

            library = opened.enter_context(rehearsal.rehearsing(context.obj.path))
            _define(console, library, definitions)
            console.say("nothing was changed; the labels would be:")
        counts, defined = labels.counts(library.catalogue), labels.all_labels(library.catalogue)
    if json:
        console.json(
            [
                {
                    "label": one.definition.name,
                    "query": one.definition.query,
                    "min_z": one.definition.min_z,
                    "images": counts[one.definition.name],
                }
                for one in defined
            ]
        )
        return
    for one in defined:
        own = "" if one.definition.min_z is None else f" >= {one.definition.min_z:g}"
        console.data(f"{counts[one.definition.name]:>9,}  {one.definition.name}: {one.definition.query}{own}")
    if not defined:
        console.say("no labels; pixfind label FILE makes some")


def _define(console: Console, library: Library, definitions: "list[Definition]") -> None:
    from pixfind.cli import text_download
    from pixfind.cli.progress import TerminalObserver
    from pixfind.search import query
    from pixfind.workflows import label as workflow

    if definitions:
        text_download.fetch_texts(console, library, query.parse(definitions[0].query))
    with TerminalObserver(console) as observer:
        workflow.define(library, definitions, observer)
