"""
What `--dry-run` says: what a command would do.

Owns the words. Found out by `workflows.rehearsal`, which changes nothing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from pixfind import errors
from pixfind.cli.console import Console
from pixfind.cli.results import plain
from pixfind.cli.styles import escape
from pixfind.types import format_bytes, numbered

if TYPE_CHECKING:
    # Types alone: a command that does its work does without previews.
    from pixfind.workflows.options import EmbedOptions
    from pixfind.workflows.rehearsal import EmbedPreview


def embed(context: typer.Context, options: "EmbedOptions", *, json: bool) -> None:
    """Say what `embed` would do."""
    from pixfind.workflows import rehearsal

    _tell_embed(context.obj.console, rehearsal.preview_embed(context.obj.path, options), {}, json=json)


def index(
    context: typer.Context,
    folders: list[str],
    options: "EmbedOptions",
    *,
    json: bool,
    more: Mapping[str, Any] | None = None,
    thumbnails: bool = False,
    **how: Any,
) -> None:
    """Say what `index` would do, with `--thumbnails` or without, and `more` in the JSON; `how` are further arguments of `rehearsal.preview_index`."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import rehearsal

    with TerminalObserver(context.obj.console, json=json) as observer:
        found = rehearsal.preview_index(context.obj.path, folders, options, observer=observer, **how)
    scanned = {"scanned": observer.results.get("scanned", [])}
    if thumbnails and not json:
        context.obj.console.say(
            "would make thumbnails ahead, of all pictures that have none, now and with each `index`"
        )
    _tell_embed(
        context.obj.console,
        found,
        {**(more or {}), **scanned, **({"thumbnails": True} if thumbnails else {})},
        json=json,
    )


def _tell_embed(console: Console, found: "EmbedPreview", more: Mapping[str, Any], *, json: bool) -> None:
    if json:
        console.json({**more, **plain(found), "dry_run": True})
        return
    precision = "" if found.precision == "auto" else f" {found.precision}"
    console.say(f"would embed {numbered(found.pending, 'image')} with {escape(found.model)}{precision}")
    if found.switches_from is not None:
        console.say(f"  until it is complete, searches would use {escape(found.switches_from)}")
    if found.download_bytes:
        console.say(f"  would download {format_bytes(found.download_bytes)} of the model first")
    if found.read:
        console.say(f"  would read the text in {numbered(found.read, 'embedded picture')}")
    if found.plan is not None:
        workers, batches = found.plan.workers, found.plan.batches
        console.say(f"  workers: {workers.value} ({escape(workers.reason)}); batches: {batches.value}")
    console.say("nothing was changed")


def read_text(context: typer.Context, *, retry: bool, json: bool) -> None:
    """Say what `read-text` would do."""
    from pixfind.workflows import rehearsal

    pending = rehearsal.preview_read_text(context.obj.path, retry=retry)
    if json:
        context.obj.console.json({"pending": pending, "dry_run": True})
        return
    context.obj.console.say(f"would read the text in {numbered(pending, 'picture')}")


def merge(context: typer.Context, *, json: bool) -> None:
    """Say what `merge` would do."""
    from pixfind.workflows import rehearsal

    found = rehearsal.preview_merge(context.obj.path)
    if json:
        context.obj.console.json({"merged": found, "dry_run": True})
        return
    context.obj.console.say(f"would merge {numbered(found.rows, 'row')}, {found.total:,} in all")


def build_index(context: typer.Context, *, json: bool) -> None:
    """Say what `build-index` would do."""
    from pixfind.index.build import kinds_to_try
    from pixfind.library.library import Library
    from pixfind.search import build

    with Library.open(context.obj.path) as library:
        due = build.is_due(library)
        rows, dimension = library.embeddings().shape
    kind, reason = kinds_to_try(rows, dimension, None)[0]
    if json:
        context.obj.console.json({"due": due, "rows": rows, "kind": kind, "reason": reason, "dry_run": True})
        return
    context.obj.console.say(
        f"would build the index of {numbered(rows, 'row')}, of the kind {kind} ({escape(reason)})"
        if due
        else f"the index is current: {numbered(rows, 'row')}"
    )


def tune(context: typer.Context, options: "EmbedOptions", sample: int, *, json: bool) -> None:
    """Say what `tune` would compare."""
    from pixfind.library.library import Library
    from pixfind.workflows import rehearsal

    with Library.open(context.obj.path) as library:
        model, download = rehearsal.model_of(library.model(), options)
        pictures = len(list(library.catalogue.rows("sample", limit=sample)))
    if not pictures:
        raise errors.NotEmbedded(path=context.obj.path)
    if json:
        context.obj.console.json({"model": model, "images": pictures, "download_bytes": download, "dry_run": True})
        return
    context.obj.console.say(f"would compare the precisions of {escape(model)} on {numbered(pictures, 'picture')}")
    if download:
        context.obj.console.say(f"  would download {format_bytes(download)} of the model first")


def watch(context: typer.Context, options: "EmbedOptions", folders: list[str], *, json: bool) -> None:
    """Say what `watch` of these folders too would do first, and which folders it would scan from time to time; raises as `watch` does."""
    from pixfind import machine
    from pixfind.images import source
    from pixfind.library import scan
    from pixfind.library.library import Library
    from pixfind.workflows import rehearsal

    if not folders:
        Library.open(context.obj.path).close()
    with rehearsal.rehearsing(context.obj.path) as library:
        known = {root.path for root in library.catalogue.roots()}
        scan.check_folders(folders, library)
        roots = [*scan.outer_roots(library), *(path for path in map(source.as_root, folders) if path not in known)]
    rescanned = {root: kind for root in roots if (kind := machine.untold_changes(root))}
    if not json:
        context.obj.console.say(f"would watch {numbered(len(roots), 'folder')}")
        for root, kind in rescanned.items():
            context.obj.console.say(f"  {escape(root)} would be scanned every few minutes: {escape(kind)}")
    index(context, roots if folders else [], options, json=json, more={"folders": roots, "rescanned": rescanned})
