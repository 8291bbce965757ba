"""
The commands search, search-text, search-image and duplicates.
"""

import dataclasses
import itertools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfind import errors
from pixfind.cli import text_download
from pixfind.cli.options import SEARCH, Command, Context, Html, Json, command, explicit_options, grouped
from pixfind.library.library import Library
from pixfind.storage import output
from pixfind.types import TerminalImages

if TYPE_CHECKING:
    # Types alone: what a command does not need it does not wait for.
    from pixfind.search import duplicates as duplicate_groups
    from pixfind.search.filters import Filters
    from pixfind.search.query import Query
    from pixfind.search.results import SearchResult

_FILTERS = "Filters"
"""panel of `pixfind search --help`"""

Count = Annotated[int, typer.Option("-k", "--count", max=1_000_000, metavar="K", help="How many pictures.")]
AsPaths = Annotated[bool, typer.Option("--paths", help="One path a line, for pipes.")]
Null = Annotated[
    bool,
    typer.Option(
        "-0", "--null", help="With --paths: end each with a NUL byte, for `xargs -0`; names may hold a newline."
    ),
]
CopyTo = Annotated[
    Path | None, typer.Option("--copy-to", metavar="DIR", help="Copy the hits into a new or empty folder.")
]
LinkTo = Annotated[
    Path | None, typer.Option("--link-to", metavar="DIR", help="The same with symbolic links to the pictures.")
]
IncludeWeak = Annotated[bool, typer.Option("--include-weak", "--all", help="Show hits below the cut-off too.")]
Distinct = Annotated[bool, typer.Option("--distinct", help="Fold pictures that are nearly the same into one.")]
EachFile = Annotated[
    bool, typer.Option("--each-file", help="Show RAW and JPEG of one shot, and what else it has, as hits of their own.")
]
AsPictures = Annotated[
    TerminalImages,
    typer.Option("--pictures", metavar="HOW", help="Thumbnails in the terminal: auto, kitty, iterm, sixel, none."),
]

NO_MATCH = 1
"""exit code of a search that finds nothing"""

_THUMBNAIL_SIDE = 320
_MAX_PIXELS = 200_000_000
_MAX_SHEET_GROUPS = 500
"""Browsers are slow with more thumbnails on a page."""


class _QueryCommand(Command):
    """A command whose arguments may begin with a minus: `-people` is a term, `-k` is an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # With a space in front the parser takes it for an argument, and the query is the same.
        escaped = [
            f" {word}" if re.match(r"-[^-]", word) and not re.fullmatch(r"-(k\d*|h|0)", word) else word for word in args
        ]
        return super().parse_args(ctx, escaped)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FilterFlags:
    """Which pictures are searched."""

    inside: Annotated[
        str | None, typer.Option("--in", metavar="GLOB", help="Only these folders or files.", rich_help_panel=_FILTERS)
    ] = None
    after: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Taken on or after: 2021, 2021-05, 2021-05-17.", rich_help_panel=_FILTERS),
    ] = None
    before: Annotated[str | None, typer.Option(metavar="DATE", help="Taken before.", rich_help_panel=_FILTERS)] = None
    min_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Shorter side at least.", rich_help_panel=_FILTERS)
    ] = None
    max_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Longer side at most.", rich_help_panel=_FILTERS)
    ] = None
    landscape: Annotated[bool, typer.Option("--landscape", help="Wider than high.", rich_help_panel=_FILTERS)] = False
    portrait: Annotated[bool, typer.Option("--portrait", help="Higher than wide.", rich_help_panel=_FILTERS)] = False
    square: Annotated[bool, typer.Option("--square", help="About as wide as high.", rich_help_panel=_FILTERS)] = False
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of the camera's name.", rich_help_panel=_FILTERS)
    ] = None
    near: Annotated[
        str | None,
        typer.Option(metavar="LAT,LON,KM", help="Taken within so many kilometres.", rich_help_panel=_FILTERS),
    ] = None

    def parsed(self) -> "Filters":
        """Return the filters; raises ConflictingOptions for two shapes, and what `filters.parse` raises."""
        from pixfind.search import filters

        shapes = [name for name in ("landscape", "portrait", "square") if getattr(self, name)]
        if len(shapes) > 1:
            raise errors.ConflictingOptions(
                first=f"--{shapes[0]}",
                second=f"--{shapes[1]}",
                detail="no picture has both shapes",
                instead="Leave out one.",
            )
        return filters.parse(
            inside=self.inside,
            after=self.after,
            before=self.before,
            min_size=self.min_size,
            max_size=self.max_size,
            shape=shapes[0] if shapes else None,
            camera=self.camera,
            near=self.near,
        )


@command(cls=_QueryCommand, rich_help_panel=SEARCH)
@grouped
def search(
    context: typer.Context,
    *,
    query: Annotated[
        list[str], typer.Argument(metavar="QUERY...", help='Terms: beach +"sunset" -people +2:holiday.jpg id:123')
    ],
    count: Count = 20,
    json: Json = False,
    paths: AsPaths = False,
    null: Null = False,
    html: Html = None,
    copy_to: CopyTo = None,
    link_to: LinkTo = None,
    include_weak: IncludeWeak = False,
    distinct: Distinct = False,
    each_file: EachFile = False,
    pictures: AsPictures = TerminalImages.AUTO,
    filters: FilterFlags,
) -> None:
    """Find pictures by a query of words, pictures and exclusions."""
    from pixfind.search import query as language

    options = _output_options(context, count, json, paths, null, html, pictures)
    options = dataclasses.replace(options, include_weak=include_weak, distinct=distinct, each_file=each_file)
    options = options.collecting(copy_to, link_to)
    _exit_code(_search_and_show(context.obj, language.parse(query), options, filters.parsed()))


@command(rich_help_panel=SEARCH)
def search_text(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What the pictures should show.")],
    count: Count = 20,
    json: Json = False,
    paths: AsPaths = False,
    null: Null = False,
    html: Html = None,
    copy_to: CopyTo = None,
    link_to: LinkTo = None,
    include_weak: IncludeWeak = False,
    each_file: EachFile = False,
    pictures: AsPictures = TerminalImages.AUTO,
) -> None:
    """Find pictures by a text, in which signs have no special meaning."""
    from pixfind.search import query as language

    options = _output_options(context, count, json, paths, null, html, pictures)
    options = dataclasses.replace(options, include_weak=include_weak, each_file=each_file)
    _exit_code(_search_and_show(context.obj, language.text(query), options.collecting(copy_to, link_to)))


@command(rich_help_panel=SEARCH)
def search_image(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")],
    count: Count = 20,
    json: Json = False,
    paths: AsPaths = False,
    null: Null = False,
    html: Html = None,
    copy_to: CopyTo = None,
    link_to: LinkTo = None,
    each_file: EachFile = False,
    pictures: AsPictures = TerminalImages.AUTO,
) -> None:
    """Find pictures that look like this one."""
    from pixfind.search import query as language

    options = _output_options(context, count, json, paths, null, html, pictures)
    options = dataclasses.replace(options, each_file=each_file)
    _exit_code(_search_and_show(context.obj, language.image(str(file)), options.collecting(copy_to, link_to)))


@command(rich_help_panel=SEARCH)
def duplicates(
    context: typer.Context,
    exact: Annotated[bool, typer.Option("--exact", help="Only files with the same bytes; opens no picture.")] = False,
    json: Json = False,
    html: Html = None,
) -> None:
    """List pictures that are the same, or nearly, in groups, the largest file first. Deletes nothing."""
    from pixfind.search import duplicates as duplicate_groups

    path, console = context.obj.path, context.obj.console
    _check_one_output(json=json, paths=False, html=html)
    with Library.open(path) as library, console.bar("comparing", "pictures") as progress:
        found = duplicate_groups.find(library, near=not exact, progress=progress)
    if html is not None:
        _write_groups(context.obj, html, found)
    if json:
        console.json([group.values() for group in found.groups])
    elif html is None or not html.is_standard_output:
        console.groups(found.groups)
    console.duplicates(found)


def _write_groups(used: Context, html: output.Output, found: "duplicate_groups.Duplicates") -> None:
    from pixfind.cli import contact_sheet

    groups = found.groups[:_MAX_SHEET_GROUPS]
    sizes = {member.path: member.size for group in groups for member in group.members}
    total, done = sum(len(group.members) for group in groups), itertools.count(1)
    with used.console.bar("drawing the sheet", "pictures") as progress:

        def thumbnail(picture: Path) -> bytes | None:
            made = _thumbnail(picture)
            progress(next(done), total)
            return made

        page = contact_sheet.render_groups(
            "duplicates",
            [
                (f"{number} {group.kind}", [_SheetHit(Path(member.path), group.cosine) for member in group.members])
                for number, group in enumerate(groups, 1)
            ],
            thumbnail,
            note=lambda picture: f"{sizes[str(picture)]:,} bytes",
        )
    used.console.write(html, page.encode())
    if len(groups) < len(found.groups):
        used.console.say(f"it shows the first {len(groups)} of {len(found.groups):,} groups; --json has all")


def show(used: Context, words: str, count: int, html: output.Output | None) -> None:
    """Search for words and show the result, as `search-text` does."""
    from pixfind.search import query as language

    _search_and_show(used, language.text(words), _OutputOptions(count, html=html))


@dataclasses.dataclass(frozen=True, slots=True)
class _OutputOptions:
    """How a result is shown."""

    count: int
    json: bool = False
    paths: bool = False
    null: bool = False
    html: output.Output | None = None
    pictures: TerminalImages = TerminalImages.AUTO
    include_weak: bool = False
    distinct: bool = False
    each_file: bool = False
    folder: Path | None = None
    """where copies of the hits, or links to them, are put"""
    link: bool = False

    def collecting(self, copy_to: Path | None, link_to: Path | None) -> "_OutputOptions":
        """Return these options with a folder for the hits; raises ConflictingOptions for two, FolderTaken."""
        from pixfind.workflows import collect

        if copy_to is not None and link_to is not None:
            raise errors.ConflictingOptions(
                first="--copy-to",
                second="--link-to",
                detail="the hits are put into one folder",
                instead="Leave out one.",
            )
        folder = copy_to or link_to
        if folder is None:
            return self
        return dataclasses.replace(self, folder=collect.check_folder(folder), link=link_to is not None)

    @property
    def listed(self) -> bool:
        """Whether hits are listed for people: not when the page goes to standard output."""
        return self.html is None or not self.html.is_standard_output


def _output_options(
    context: typer.Context,
    count: int,
    json: bool,
    paths: bool,
    null: bool,
    html: output.Output | None,
    pictures: TerminalImages,
) -> _OutputOptions:
    """Return how to show the result; raises ConflictingOptions, OptionRequires for options that have no effect together."""
    _check_one_output(json=json, paths=paths, html=html)
    if null and not paths:
        raise errors.OptionRequires(first="--null", second="--paths", instead="Add --paths; --json needs no NUL bytes.")
    if pictures not in (TerminalImages.AUTO, TerminalImages.NONE):
        for name, used in (("--json", json), ("--paths", paths), ("--html -", html and html.is_standard_output)):
            if used:
                raise errors.ConflictingOptions(
                    first=explicit_options(context)["pictures"],
                    second=name,
                    detail="thumbnails are shown only in the list of hits for people",
                    instead=f"Leave out {name}.",
                )
    return _OutputOptions(count, json, paths, null, html, pictures)


def _check_one_output(*, json: bool, paths: bool, html: output.Output | None) -> None:
    """Raise ConflictingOptions for two outputs that would both go to standard output."""
    page = html is not None and html.is_standard_output
    outputs = [
        name for name, used in (("--json", json), ("--paths", paths), (f"--html {html and html.path}", page)) if used
    ]
    if len(outputs) > 1:
        raise errors.ConflictingOptions(
            first=outputs[0],
            second=outputs[1],
            detail="both would be written to standard output",
            instead="Leave out one" + (", or give --html a file." if page else "."),
        )


def _search_and_show(used: Context, query: "Query", options: _OutputOptions, filters: "Filters | None" = None) -> bool:
    """Search and show the result; return whether anything was found."""
    from pixfind.search import searcher as searching
    from pixfind.search.filters import NO_FILTERS

    with Library.open(used.path) as library:
        text_download.fetch_texts(used.console, library, query)
        result = searching.search(
            library,
            query,
            options.count,
            filters or NO_FILTERS,
            distinct=options.distinct,
            each_file=options.each_file,
            include_weak=options.include_weak,
        )
    if options.html is not None:
        used.console.write(options.html, _sheet(result))
    if options.folder is not None and result.hits:
        _collect(used, [hit.path for hit in result.hits], options.folder, link=options.link)
    if options.json:
        used.console.json([hit.values() for hit in result.hits])
    elif options.paths:
        for hit in result.hits:
            used.console.data(hit.path, end=b"\0" if options.null else b"\n")
    elif options.listed:
        used.console.hits(result, _thumbnail_renderer(options.pictures) if result.hits else None)
    if (message := result.message()) is not None:
        used.console.say(message)
    return bool(result.hits)


def _collect(used: Context, paths: list[str], folder: Path, *, link: bool) -> None:
    from pixfind.cli.styles import escape
    from pixfind.library import path_text
    from pixfind.workflows import collect

    done = collect.collect(paths, folder, link=link)
    used.console.say(f"{done.files} {'links' if link else 'copies'} in {escape(str(done.folder))}")
    for path, why in done.left_out:
        used.console.say(f"  left out: {escape(path_text.readable(path))}: {escape(why)}")


def _exit_code(found: bool) -> None:
    """Exit with NO_MATCH like grep, so that `pixfind search ... && ...` works."""
    if not found:
        raise typer.Exit(NO_MATCH)


def _sheet(result: "SearchResult") -> bytes:
    from pixfind.cli import contact_sheet

    same_shot = {Path(hit.path): [os.path.basename(path) for path in hit.same_shot] for hit in result.hits}  # noqa: PTH119  locations
    page = contact_sheet.render(
        result.query.source or str(result.query),
        [_SheetHit(Path(hit.path), hit.score) for hit in result.hits],
        _thumbnail,
        note=lambda picture: ", ".join(same_shot.get(picture, ())),
    )
    return page.encode()


def _thumbnail_renderer(requested: TerminalImages) -> Callable[[str], str] | None:
    """Return a function from a path to the escape sequence that shows its thumbnail; None where thumbnails are not shown."""
    if requested is TerminalImages.NONE or (requested is TerminalImages.AUTO and not sys.stdout.isatty()):
        return None
    from pixfind.cli import terminal_images

    keyboard, screen = 0, sys.stdout.fileno()
    how = terminal_images.choose(requested, os.environ, lambda: terminal_images.device_attributes(keyboard, screen))
    if how is TerminalImages.NONE:
        return None

    def show(path: str) -> str:
        made = _thumbnail(Path(path), terminal_images.SIDES[how])
        return terminal_images.sequence(made, how) if made else ""

    return show


def _thumbnail(picture: Path, side: int = _THUMBNAIL_SIDE) -> bytes | None:
    """Return a JPEG; None where the picture cannot be read now."""
    from pixfind import errors
    from pixfind.images import decode, source, thumbnails

    try:
        data = source.read(str(picture)).data
        return thumbnails.make(data, side, limits=decode.Limits(_MAX_PIXELS))
    except errors.ImageProblem:
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class _SheetHit:
    path: Path
    score: float
