"""
The commands relocate, backup, export and import: pictures that are somewhere else now, a library in two places, tables from and for other
programs.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixfind import errors
from pixfind.cli import completion_values
from pixfind.cli.options import MOVE, DryRun, Json, Model, command
from pixfind.cli.results import plain
from pixfind.library import protected_files
from pixfind.library.library import Library
from pixfind.storage import output
from pixfind.types import numbered

if TYPE_CHECKING:
    from pixfind.cli.console import Console
    from pixfind.library.relocate import Relocation


@command(rich_help_panel=MOVE)
def relocate(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Where the pictures were, as the library knows it.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Where they are now.")],
    dry_run: DryRun = False,
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
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Copy the library to DIR while everything runs, or bring the copy there up to date.

    The copy is a library: `pixfind --library DIR search-text ...` answers from it. The pictures themselves are not copied.
    """
    from pixfind.workflows import backup as workflow

    console = context.obj.console
    with Library.open(context.obj.path) as library:
        if dry_run:
            done = workflow.preview(library, folder)
        else:
            with console.bar("copying", "embeddings") as show:
                done = workflow.backup(library, folder, show)
    if json:
        console.json({**plain(done), "dry_run": dry_run})
        return
    from pixfind.cli.styles import escape

    models = "" if done.models == 1 else f" of {done.models} models"
    would, copied = ("would be ", "would be copied") if dry_run else ("", "copied now")
    console.say(
        f"{numbered(done.images, 'image')} and {numbered(done.rows, 'embedding')} {would}in {escape(str(done.path))}, {done.copied_rows:,}{models} {copied}"
    )


@command(rich_help_panel=MOVE)
def export(
    context: typer.Context,
    file: Annotated[
        output.Output | None,
        typer.Argument(
            parser=protected_files.output_at, metavar="FILE", help="NAME.parquet, .csv or .jsonl; - is standard output."
        ),
    ] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="With the embedding of each image; not in CSV.")
    ] = False,
    kind: Annotated[
        str | None, typer.Option("--format", metavar="KIND", help="parquet, csv or jsonl; default: by the file's name.")
    ] = None,
    xmp: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead of a table XMP sidecars with the labels of each image, below DIR."),
    ] = None,
    xmp_beside: Annotated[
        bool, typer.Option("--xmp-beside", help="The same beside the pictures: IMG_1.jpg.xmp for IMG_1.jpg.")
    ] = False,
    album: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion_values.albums,
            help="With --xmp: an album whose name its images get as well.",
        ),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Write a table of all images that have an embedding: path, size, dates, camera, place, labels; or XMP sidecars with their labels.

    Nothing is ever written into a picture, and a sidecar of another program is never overwritten.
    """
    from pixfind.cli import sidecars

    if xmp is not None or xmp_beside:
        explicit = [name for name, given in (("FILE", file), ("--format", kind), ("--embeddings", embeddings)) if given]
        if xmp is not None and xmp_beside:
            explicit.append("--xmp-beside")
        if explicit:
            raise errors.ConflictingOptions(
                first="--xmp" if xmp is not None else "--xmp-beside",
                second=explicit[0],
                detail="one command writes one thing",
                instead=f"Leave out {explicit[0]}.",
            )
        sidecars.write(context.obj, xmp, album or (), dry_run=dry_run, json=json)
        return
    if album:
        raise errors.OptionRequires(first="--album", second="--xmp", instead="Add --xmp DIR.")
    if file is None:
        raise typer.BadParameter("name a file, or --xmp DIR", param_hint="FILE")
    _table(context, file, kind, embeddings=embeddings, dry_run=dry_run, json=json)


def _table(
    context: typer.Context, file: output.Output, kind: str | None, *, embeddings: bool, dry_run: bool, json: bool
) -> None:
    from pixfind.workflows import export_file

    if kind is not None and kind not in set(export_file.Format):
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(export_file.Format)}", param_hint="--format")
    chosen = export_file.Format(kind) if kind else export_file.Format.of(file.path)
    if json and file.is_standard_output and not dry_run:
        raise errors.ConflictingOptions(
            first="--json",
            second=f"FILE {file.path}",
            detail="both would be written to standard output",
            instead="Leave out one, or name a file.",
        )
    with Library.open(context.obj.path) as library:
        written = (export_file.count if dry_run else export_file.export_file)(
            library, file, chosen, embeddings=embeddings
        )
    if json:
        context.obj.console.json({"images": written, "format": chosen, "path": file.path, "dry_run": dry_run})
        return
    from pixfind.cli.styles import escape

    where = "" if file.is_standard_output else f" in {escape(str(file.path))}"
    context.obj.console.say(f"{numbered(written, 'image')}{' would be' if dry_run else ''}{where}")


@command("import", rich_help_panel=MOVE)
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet or JSON lines with the columns path and embedding.")
    ],
    model: Model = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Give pending pictures embeddings that were made elsewhere by the same model, instead of embedding them.

    Register the pictures first: `pixfind add FOLDER`. A sample is embedded again, and every picture read, before anything is believed.
    """
    from pixfind.workflows import import_embeddings as workflow
    from pixfind.workflows.options import EmbedOptions

    console, options = context.obj.console, EmbedOptions(model=model)
    with ExitStack() as held:
        library = held.enter_context(Library.open(context.obj.path, write=not dry_run))
        if dry_run:
            done = workflow.preview(library, file, options)
        else:
            held.enter_context(library.lock("import"))
            show = held.enter_context(console.bar("reading", "pictures"))
            done = workflow.import_embeddings(library, file, options, progress=show)
    if json:
        console.json({**plain(done), "dry_run": dry_run})
        return
    if dry_run:
        console.say(
            f"at most {numbered(done.imported, 'embedding')} would be imported, once pictures and a sample are checked"
        )
    else:
        again = f"{done.checked} of them made again (lowest cosine {done.cosine:.4f})"
        console.say(f"{numbered(done.imported, 'embedding')} imported; {again}")
    for count, what in (
        (done.known, "had an embedding already"),
        (done.unknown, "not in the library: pixfind add FOLDER"),
        (done.changed, "with other bytes by now: still pending"),
        (done.unreadable, "that cannot be read: still pending"),
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
    console.say(f"{numbered(done.images, 'image')} {would}, {done.embedded:,} of them embedded")
    if done.sample.checked:
        console.say(f"of {done.sample.checked} that were looked for: {done.sample}")
        old, new = map(path_text.readable, done.sample.example)
        console.say(f"for example {escape(old)} -> {escape(new)}")
    if done.sample.rounded:
        console.say("the new place rounds the times of files; the rounded times are taken over")
    if done.sample.retimed:
        console.say("files with another time count as changed: the next index embeds them again")
