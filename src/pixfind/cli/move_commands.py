"""
The commands relocate, backup, export and import: pictures that are somewhere else now, a library in two places, tables from and for other
programs.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind.cli.options import MOVE, Json, Model, command
from pixfind.library.library import Library
from pixfind.storage import output

if TYPE_CHECKING:
    from pixfind.cli.console import Console
    from pixfind.library.relocate import Relocation


@command(rich_help_panel=MOVE)
def relocate(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Where the pictures were, as the library knows it.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Where they are now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also when none of the pictures that are looked for is there.")
    ] = False,
    json: Json = False,
) -> None:
    """
    Tell the library that pictures have moved to another mount or machine; nothing is embedded again.

    Every folder and image at or below OLD gets its path below NEW, in one step. OLD may be a path of Windows.
    """
    from pixfind.library import relocate as relocation
    from pixfind.workflows.relocate import relocate as workflow

    console, move = context.obj.console, relocation.Move.between(old, new)
    with ExitStack() as held:
        library = held.enter_context(Library.open(context.obj.path, write=not dry_run))
        if dry_run:
            done = relocation.preview(library, move, anyway=anyway)
        else:
            held.enter_context(library.lock("relocate"))
            with console.bar("looking at the files", "files") as show:
                done = workflow(library, move, anyway=anyway, progress=show)
    if json:
        console.json(_values(done, dry_run=dry_run))
    else:
        _tell(console, done, dry_run=dry_run)


@command(rich_help_panel=MOVE)
def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder, or an earlier backup.")],
    json: Json = False,
) -> None:
    """
    Copy the library to DIR while everything runs, or bring the copy there up to date.

    The copy is a library: `pixfind --library DIR search-text ...` answers from it. The pictures themselves are not copied.
    """
    from pixfind.workflows.backup import backup as workflow

    console = context.obj.console
    with Library.open(context.obj.path) as library, console.bar("copying", "embeddings") as show:
        done = workflow(library, folder, show)
    if json:
        from dataclasses import asdict

        console.json({**asdict(done), "path": str(done.path)})
        return
    from pixfind.cli.styles import escape

    models = "" if done.models == 1 else f" of {done.models} models"
    console.say(
        f"{done.images:,} images and {done.rows:,} embeddings in {escape(str(done.path))}, {done.copied_rows:,}{models} copied now"
    )


@command(rich_help_panel=MOVE)
def export(
    context: typer.Context,
    file: Annotated[
        output.Output,
        typer.Argument(
            parser=output.Output.at, metavar="FILE", help="NAME.parquet, .csv or .jsonl; - is standard output."
        ),
    ],
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="With the embedding of each image; not in CSV.")
    ] = False,
    kind: Annotated[
        str | None, typer.Option("--format", metavar="KIND", help="parquet, csv or jsonl; default: by the file's name.")
    ] = None,
) -> None:
    """Write a table of all images that have an embedding: path, size, dates, camera, place."""
    from pixfind.workflows import export_file

    if kind is not None and kind not in set(export_file.Format):
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(export_file.Format)}", param_hint="--format")
    chosen = export_file.Format(kind) if kind else export_file.Format.of(file.path)
    with Library.open(context.obj.path) as library:
        written = export_file.export_file(library, file, chosen, embeddings=embeddings)
    from pixfind.cli.styles import escape

    where = "" if file.is_standard_output else f" in {escape(str(file.path))}"
    context.obj.console.say(f"{written:,} images{where}")


@command("import", rich_help_panel=MOVE)
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet or JSON lines with the columns path and embedding.")
    ],
    model: Model = None,
    json: Json = False,
) -> None:
    """
    Give pending pictures embeddings that were made elsewhere by the same model, instead of embedding them.

    Register the pictures first: `pixfind add FOLDER`. A sample is embedded again, and every picture read, before anything is believed.
    """
    from pixfind.workflows.import_embeddings import import_embeddings
    from pixfind.workflows.options import EmbedOptions

    console = context.obj.console
    with (
        Library.open(context.obj.path, write=True) as library,
        library.lock("import"),
        console.bar("reading", "pictures") as show,
    ):
        done = import_embeddings(library, file, EmbedOptions(model=model), progress=show)
    if json:
        from dataclasses import asdict

        console.json(asdict(done))
        return
    console.say(
        f"{done.imported:,} embeddings imported; {done.checked} of them made again (lowest cosine {done.cosine:.4f})"
    )
    for count, what in (
        (done.known, "had an embedding already"),
        (done.unknown, "are not in the library: pixfind add FOLDER"),
        (done.changed, "have other bytes by now, and stay pending"),
        (done.unreadable, "cannot be read, and stay pending"),
    ):
        if count:
            console.say(f"  {count:,} {what}")


def _values(done: "Relocation", *, dry_run: bool) -> dict[str, object]:
    from dataclasses import asdict

    from pixfind.library import path_text

    roots = [{"old": path_text.readable(old), "new": path_text.readable(new)} for old, new in done.roots]
    sample = asdict(done.sample)
    sample["example"] = [path_text.readable(path) for path in done.sample.example]
    return {**asdict(done), "roots": roots, "sample": sample, "dry_run": dry_run}


def _tell(console: "Console", done: "Relocation", *, dry_run: bool) -> None:
    from pixfind.cli.styles import escape
    from pixfind.library import path_text

    would = "would be relocated" if dry_run else "relocated"
    for old, new in done.roots:
        console.say(f"{escape(path_text.readable(old))} -> {escape(path_text.readable(new))}")
    console.say(f"{done.images:,} images {would}, {done.embedded:,} of them embedded")
    if done.sample.checked:
        console.say(f"of {done.sample.checked} that were looked for: {done.sample}")
        old, new = map(path_text.readable, done.sample.example)
        console.say(f"for example {escape(old)} -> {escape(new)}")
    if done.sample.rounded:
        console.say("the new place rounds the times of files; the rounded times are taken over")
    if done.sample.retimed:
        console.say("files with another time count as changed: the next index embeds them again")
