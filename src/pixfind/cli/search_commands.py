"""
The commands search, search-text, search-image and duplicates.
"""

import dataclasses
import functools
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfind import machine
from pixfind.cli import album_commands, collections, hit_pictures, text_download
from pixfind.cli.album_commands import AlbumFlags
from pixfind.cli.context import Context
from pixfind.cli.filter_flags import FilterFlags
from pixfind.cli.grouped_options import grouped
from pixfind.cli.options import SEARCH, Command, Html, Json, command, explicit_options
from pixfind.cli.output_flags import Null, OutputFlags, OutputOptions, check_one_output
from pixfind.library.library import Library
from pixfind.storage import output
from pixfind.types import Sort, TerminalImages, numbered

if TYPE_CHECKING:
    # Types alone: what a command does not need it does not wait for.
    from pixfind.collection.searcher import CollectionSearcher
    from pixfind.search import duplicates as duplicate_groups
    from pixfind.search.query import Query
    from pixfind.search.results import SearchResult
    from pixfind.search.searcher import Searcher

IncludeWeak = Annotated[bool, typer.Option("--include-weak", "--all", help="Show hits below the cut-off too.")]
Distinct = Annotated[
    bool, typer.Option("--distinct", help="Fold pictures that are nearly the same, and those of a burst, into one.")
]
Sorted = Annotated[
    Sort,
    typer.Option(
        "--sort",
        metavar="ORDER",
        help="score: the best hits first; date: those above the cut-off, the last taken first; added: the last registered first.",
    ),
]
NO_MATCH = 1
"""exit code of a search that finds nothing"""

_MAX_SHEET_GROUPS = 500
"""Browsers are slow with more thumbnails on a page."""


class _QueryCommand(Command):
    """A command whose arguments may begin with a minus: `-people` is a term, `-k` is an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with_value = {name for param in self.params if not getattr(param, "is_flag", True) for name in param.opts}
        # With a space in front the parser takes it for an argument, and the query is the same.
        escaped = [
            f" {word}"
            if re.match(r"-[^-]", word) and not re.fullmatch(r"-(k\d*|h|0)", word) and before not in with_value
            else word
            for before, word in itertools.pairwise(("", *args))
        ]
        return super().parse_args(ctx, escaped)


@command(cls=_QueryCommand, rich_help_panel=SEARCH)
@grouped
def search(
    context: typer.Context,
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY...",
            help='Terms: beach +"sunset" -people +2:holiday.jpg id:123. Without any: all pictures that pass the filters, the newest first, or by --sort.',
        ),
    ] = None,
    shown: OutputFlags,
    include_weak: IncludeWeak = False,
    distinct: Distinct = False,
    sort: Sorted = Sort.SCORE,
    albums: AlbumFlags,
    filters: FilterFlags,
) -> None:
    """Find pictures by a query of words, pictures and exclusions."""
    if albums.album is not None:
        kept = album_commands.opened(context.obj, albums.album)
        filters = album_commands.with_filters(filters, kept)
        query = [*([str(kept["q"])] if kept.get("q") else []), *(query or [])]
        if "sort" in kept and "sort" not in explicit_options(context):
            sort = Sort(kept["sort"])
        include_weak = include_weak or bool(kept.get("all"))
    options = dataclasses.replace(shown.options(context), include_weak=include_weak, distinct=distinct, sort=sort)
    asked, album = _parsed(query or []), None
    if albums.save is not None:
        album_commands.check_kept(explicit_options(context))
        words = " ".join(query or [])
        album = album_commands.made(context.obj, albums.save, words, filters, sort, include_weak=include_weak)
    found = _search_and_show(context.obj, asked, options, filters)
    if album is not None:
        album_commands.keep(context.obj, album)
    _exit_code(found)


def _parsed(words: list[str]) -> "Query":
    """Return the query of a command line; without words it asks for nothing, but `""`, as of a variable that is not set, is refused. Raises InvalidQuery."""
    from pixfind.search import query as language

    return language.parse(words) if words else language.Query(())


@command(rich_help_panel=SEARCH)
@grouped
def search_text(
    context: typer.Context,
    *,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What the pictures should show.")],
    shown: OutputFlags,
    include_weak: IncludeWeak = False,
    sort: Sorted = Sort.SCORE,
    filters: FilterFlags,
) -> None:
    """Find pictures by a text as it is: signs such as + and - mean nothing special."""
    from pixfind.search import query as language

    options = dataclasses.replace(shown.options(context), include_weak=include_weak, sort=sort)
    _exit_code(_search_and_show(context.obj, language.text(query), options, filters))


@command(rich_help_panel=SEARCH)
@grouped
def search_image(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")],
    shown: OutputFlags,
    sort: Sorted = Sort.SCORE,
    filters: FilterFlags,
) -> None:
    """Find pictures that look like this one."""
    from pixfind.search import query as language

    options = dataclasses.replace(shown.options(context), sort=sort)
    _exit_code(_search_and_show(context.obj, language.image(str(file)), options, filters))


@command(rich_help_panel=SEARCH)
def duplicates(
    context: typer.Context,
    exact: Annotated[bool, typer.Option("--exact", help="Only files with the same bytes; opens no picture.")] = False,
    json: Json = False,
    paths: Annotated[
        bool, typer.Option("--paths", help="One path a line, an empty line after each group, for pipes.")
    ] = False,
    null: Null = False,
    html: Html = None,
) -> None:
    """List pictures that are the same, or nearly, in groups: copies, near-duplicates, shots and bursts, the largest file first. Deletes nothing."""
    from pixfind.search import duplicates as duplicate_groups

    console = context.obj.console
    check_one_output(json=json, paths=paths, null=null, html=html)
    if context.obj.collection is not None:
        found = collections.duplicates_in(context.obj.collection, exact=exact)
    else:
        with Library.open(context.obj.path) as library, console.bar("comparing", "pictures") as progress:
            found = duplicate_groups.find(library, near=not exact, progress=progress)
    if html is not None:
        _write_groups(context.obj, html, found)
    if json:
        console.json([group.values() for group in found.groups])
    elif paths:
        groups = ((*(each.path for each in group.members), "") for group in found.groups)
        console.paths(itertools.chain.from_iterable(groups), null=null)
    elif html is None or not html.is_standard_output:
        console.groups(found.groups)
    console.duplicates(found)


def _write_groups(used: Context, html: output.Output, found: "duplicate_groups.Duplicates") -> None:
    from pixfind.search import contact_sheet

    groups = found.groups[:_MAX_SHEET_GROUPS]
    sizes = {member.path: member.size for group in groups for member in group.members}
    total, done = sum(len(group.members) for group in groups), itertools.count(1)
    with used.console.bar("drawing the sheet", "pictures") as progress:

        def thumbnail(hit: hit_pictures.SheetHit) -> bytes | None:
            made = hit_pictures.thumbnail(hit.path)
            progress(next(done), total)
            return made

        page = contact_sheet.render_groups(
            "duplicates",
            [
                (
                    f"{number} {group.kind}",
                    [hit_pictures.SheetHit(member.path, group.cosine) for member in group.members],
                )
                for number, group in enumerate(groups, 1)
            ],
            thumbnail,
            note=lambda hit: f"{numbered(sizes[hit.path], 'byte')}",
        )
    used.console.write(html, page.encode())
    if len(groups) < len(found.groups):
        used.console.say(f"it shows the first {len(groups)} of {len(found.groups):,} groups; --json has all")


def show(used: Context, words: str, count: int, html: output.Output | None) -> None:
    """Search for words and show the result, as `search-text` does."""
    from pixfind.search import query as language

    _search_and_show(used, language.text(words), OutputOptions(count, html=html))


def _search_and_show(used: Context, query: "Query", options: OutputOptions, flags: FilterFlags | None = None) -> bool:
    """Search and show the result; return whether anything was found."""
    flags = flags or FilterFlags()
    filters = flags.parsed()
    for remark in flags.remarks():
        used.console.say(remark)
    with collections.searching(used, options.timeout, opens_files=options.opens_files) as searcher:
        text_download.fetch_texts(used.console, searcher.encoders.owner, query)
        result = searcher.search(
            query,
            options.count,
            filters,
            distinct=options.distinct,
            each_file=options.each_file,
            include_weak=options.include_weak,
            sort=options.sort,
        )
        collections.warn(result.missing)
        _show(used, searcher, result, options)
    if (explanation := result.explanation()) is not None:
        (used.console.say_json(explanation) if options.json else used.console.say(explanation["message"]))
    return bool(result.hits)


def _show(
    used: Context, searcher: "Searcher | CollectionSearcher", result: "SearchResult", options: OutputOptions
) -> None:
    thumbnail = functools.partial(collections.thumbnail, searcher)
    if options.html is not None:
        is_elsewhere = functools.partial(collections.is_elsewhere, searcher)
        used.console.write(options.html, hit_pictures.sheet(result, thumbnail, is_elsewhere))
    if options.folder is not None and result.hits:
        _collect(used, [hit.path for hit in result.hits], options.folder, link=options.link)
    if options.browse and result.hits:
        _browse(result, pictures=options.pictures is not TerminalImages.NONE)
    elif options.json:
        used.console.json([hit.values() for hit in result.hits])
    elif options.paths:
        used.console.paths((hit.path for hit in result.hits), null=options.null)
    elif options.listed:
        used.console.hits(result, hit_pictures.renderer(options.pictures, thumbnail) if result.hits else None)


def _browse(result: "SearchResult", *, pictures: bool) -> None:
    """Show the hits on the whole screen; raises ExtraNotInstalled."""
    machine.optional_package("textual", "browse", "search --browse")
    from pixfind.cli import browse

    browse.browse(
        f"{result.query.source or result.query}: {numbered(len(result.hits), 'hit')}", result.hits, pictures=pictures
    )


def _collect(used: Context, paths: list[str], folder: Path, *, link: bool) -> None:
    from pixfind.cli.styles import escape
    from pixfind.library import path_text
    from pixfind.workflows import collect

    done = collect.collect(paths, folder, link=link)
    used.console.say(
        f"{numbered(done.files, 'link') if link else numbered(done.files, 'copy', 'copies')} in {escape(str(done.folder))}"
    )
    for path, why in done.left_out:
        used.console.say(f"  left out: {escape(path_text.readable(path))}: {escape(why)}")


def _exit_code(found: bool) -> None:
    """Exit with NO_MATCH like grep, so that `pixfind search ... && ...` works."""
    if not found:
        raise typer.Exit(NO_MATCH)
