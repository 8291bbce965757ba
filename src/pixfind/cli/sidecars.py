"""
XMP sidecars on the command line: which albums give words, and what was done.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pixfind import errors
from pixfind.cli import album_commands
from pixfind.cli.console import Console
from pixfind.cli.context import Context
from pixfind.cli.filter_flags import FilterFlags
from pixfind.cli.results import plain
from pixfind.library import path_text
from pixfind.library.library import Library
from pixfind.types import numbered

if TYPE_CHECKING:
    from pixfind.workflows import export_xmp

_NAMED = 10
"""sidecars that were kept and are named"""


def write(used: Context, folder: Path | None, albums: Sequence[str], *, dry_run: bool, json: bool) -> None:
    """Write the sidecars with labels and albums, and say what was done, or would be; raises AlbumNotFound, what `export_xmp` raises, and Exit where the system refused some."""
    from pixfind.workflows import export_xmp

    with Library.open(used.path) as library:
        words = export_xmp.words_of_albums({name: _images_of(used, library, name) for name in albums})
        done = export_xmp.export_xmp(library, words, folder, dry_run=dry_run)
    if json:
        used.console.json({**plain(done), "dry_run": dry_run})
    else:
        _tell(used.console, done, dry_run=dry_run)
    if done.failed:
        raise typer.Exit(errors.OutputNotWritable.exit_code)


def _tell(console: Console, done: "export_xmp.Sidecars", *, dry_run: bool) -> None:
    from pixfind.cli.styles import escape

    would = "would be " if dry_run else ""
    others = [
        f"{count:,} {would}{verb}" for count, verb in ((done.changed, "changed"), (done.removed, "removed")) if count
    ]
    current = f"{done.unchanged:,} {'are' if dry_run else 'were'} current"
    console.say(", ".join([f"{numbered(done.written, 'sidecar')} {would}written", *others, current]))
    for place in done.kept[:_NAMED]:
        console.say(f"  kept as it is, it has what pixfind did not write: {escape(path_text.readable(place))}")
    if len(done.kept) > _NAMED:
        console.say(f"  and {len(done.kept) - _NAMED:,} more")
    for why, count in done.left_out.most_common():
        console.say(f"  {count:,} left out: {escape(why)}")
    for why, count in done.failed.most_common():
        console.error(f"{numbered(count, 'sidecar')} could not be written or removed: {escape(why)}")


def _images_of(used: Context, library: Library, name: str) -> list[int]:
    """Return the ids of all images that the search of an album shows."""
    from pixfind.search import query
    from pixfind.search.query import Query
    from pixfind.search.searcher import Searcher

    kept = album_commands.opened(used, name)
    filters = album_commands.with_filters(FilterFlags(), kept).parsed()
    words = query.parse(str(kept["q"])) if kept.get("q") else Query(())
    with Searcher(library) as searcher:
        everything = max(library.merged_rows, 1)
        found = searcher.search(words, everything, filters, each_file=True, include_weak=bool(kept.get("all")))
        also = [path for hit in found for path in hit.also]
        copies = {
            record
            for path in also
            if (record := library.catalogue.value("image_at", "export.sql", path=path_text.to_text(path)))
        }
    return [*(hit.image_id for hit in found), *copies]
