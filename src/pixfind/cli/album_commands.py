"""
The command albums, and the options of `search` that keep and open one.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfind import errors
from pixfind.cli import completion_values
from pixfind.cli.console import Console
from pixfind.cli.context import Context
from pixfind.cli.filter_flags import FilterFlags
from pixfind.cli.options import SEARCH, DryRun, Json, command
from pixfind.cli.styles import escape
from pixfind.library import albums as store
from pixfind.library import path_text
from pixfind.library.library import Library
from pixfind.types import Sort, numbered

if TYPE_CHECKING:
    from pixfind.search.indexed_files import FileCheck

_SHAPES = ("landscape", "portrait", "square")

#: flag -> parameter of the API
_NAMES = {"inside": "in", "in_album": store.FILTER}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFlags:
    """A search with a name."""

    album: Annotated[
        str | None,
        typer.Option(
            "--album",
            metavar="NAME",
            autocompletion=completion_values.albums,
            help="Open this album: a search that was kept, or pictures that were put together.",
        ),
    ] = None
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Keep this search as an album; the page shows it too.")
    ] = None


@command(rich_help_panel=SEARCH)
def albums(
    context: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Pictures of the library, for --add and --take.")
    ] = None,
    add: Annotated[
        str | None,
        typer.Option(
            "--add",
            metavar="NAME",
            autocompletion=completion_values.picture_albums,
            help="Put these pictures into an album, which is made if there is none.",
        ),
    ] = None,
    take: Annotated[
        str | None,
        typer.Option(
            "--take",
            metavar="NAME",
            autocompletion=completion_values.picture_albums,
            help="Take these pictures out of an album.",
        ),
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option(
            "--remove", metavar="NAME", autocompletion=completion_values.albums, help="Remove an album, and no picture."
        ),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    List the albums: searches with a name, from `pixfind search ... --save NAME` or the page, and pictures that were put together.

    `pixfind search --album NAME` opens one.
    """
    console = context.obj.console
    _check_one(add, take, remove, paths or [])
    with Library.open(context.obj.path) as library:
        if add is not None or take is not None:
            _change(console, library, add, take, paths or [], dry_run=dry_run)
        found = store.read(library.path)
        if remove is not None and dry_run:
            album = store.find(library.path, remove)
            console.say(f"would remove the album {escape(album.name)}; these would be left:")
            found.remove(album)
        elif remove is not None:
            store.remove(library.path, remove)
            found = store.read(library.path)
    if json:
        console.json([{"name": each.name, "search": each.search, "pictures": _count(each)} for each in found])
        return
    for album in found:
        if album.pictures is not None:
            console.data(f"{album.name}  {numbered(len(album.pictures), 'picture')}")
            continue
        said = [f"{name}={value}" for name, value in album.search.items() if name != "q"]
        console.data("  ".join([album.name, str(album.search.get("q", "")), *said]))
    if not found:
        console.say("no albums; pixfind search ... --save NAME makes one")


def _check_one(add: str | None, take: str | None, remove: str | None, paths: list[str]) -> None:
    given = [name for name, value in (("--add", add), ("--take", take), ("--remove", remove)) if value is not None]
    if len(given) > 1:
        detail, instead = "each changes one album", "Run one after the other."
        raise errors.ConflictingOptions(first=given[0], second=given[1], detail=detail, instead=instead)
    if bool(paths) != bool(given and given[0] != "--remove"):
        raise typer.BadParameter("pictures and --add NAME or --take NAME belong together", param_hint="PATH...")


def _change(
    console: Console, library: Library, add: str | None, take: str | None, paths: list[str], *, dry_run: bool
) -> None:
    """Put pictures into an album or take them out; raises NotInLibrary, OutdatedPicture, AlbumNotFound, InvalidAlbum, NotWritable."""
    from pixfind.search.indexed_files import FileCheck

    check = FileCheck(library)
    contents = [_content(library, path, None if add is None else check) for path in paths]
    name = add if add is not None else take
    assert name is not None
    store.check_name(name)
    changed = (store.put if add is not None else store.take)(library.path, name, contents, dry_run=dry_run)
    done, others = ("put into", "there already") if add is not None else ("taken out of", "not there")
    would, are = ("would be ", "are") if dry_run else ("", "were")
    said = f"{numbered(changed, 'picture')} {would}{done} {escape(name)}"
    unchanged = len(set(contents)) - changed
    console.say(f"{said}; {unchanged:,} {are} {others}" if unchanged else said)


def _content(library: Library, path: str, check: "FileCheck | None") -> bytes:
    """Return the content hash of a picture by its path; raises NotInLibrary, and with a `check` OutdatedPicture where it has another content by now."""
    from pixfind.search.indexed_files import IndexedFile

    for each in (path, os.path.abspath(path)):  # noqa: PTH100  a link stays a link
        found = next(library.catalogue.rows("read_at", "search.sql", path=path_text.to_text(each)), None)
        if found is not None:
            if check is not None and check.identity(IndexedFile(*found[1:])) is None:
                raise errors.OutdatedPicture(file=path)
            return bytes(found[0])
    raise errors.NotInLibrary(file=path, path=library.path)


def _count(album: store.Album) -> int | None:
    return None if album.pictures is None else len(album.pictures)


def check_kept(given: Mapping[str, str]) -> None:
    """Raise ConflictingOptions for options of the command line that an album cannot keep; `given`: parameter -> option."""
    for name in ("distinct", "each_file"):
        if name in given:
            raise errors.ConflictingOptions(
                first="--save",
                second=given[name],
                detail="an album keeps what is asked for, not which pictures stand for others",
                instead=f"Leave it out, and add it where the album is opened: pixfind search --album NAME {given[name]}",
            )


def made(used: Context, name: str, words: str, flags: FilterFlags, sort: Sort, *, include_weak: bool) -> store.Album:
    """Return a search as an album; raises InvalidAlbum, InvalidFilter, InvalidQuery, NotForCollections."""
    from pixfind.server.album_schemas import SavedSearch

    _folder(used)
    store.check_name(name)
    values: dict[str, Any] = {"q": words, "sort": None if sort is Sort.SCORE else str(sort), "all": include_weak}
    values |= {
        _NAMES.get(field, field): value for field, value in dataclasses.asdict(flags).items() if field not in _SHAPES
    }
    values["shape"] = next((shape for shape in _SHAPES if getattr(flags, shape)), None)
    try:
        search = SavedSearch.of({key: value for key, value in values.items() if value})
    except ValueError as error:
        raise errors.InvalidAlbum(name=name, detail=str(error)) from error
    search.check(name)
    return store.Album(name, search.values())


def keep(used: Context, album: store.Album) -> None:
    """Keep an album of the library; raises InvalidAlbum, NotForCollections."""
    store.keep(_folder(used), album)
    used.console.say(f"kept as the album {escape(album.name)}")


def opened(used: Context, name: str) -> Mapping[str, Any]:
    """Return the search of an album; raises AlbumNotFound, AlbumGone, InvalidAlbums, NotForCollections."""
    from pixfind.server.album_schemas import SavedSearch

    library = _folder(used)
    album = store.find(library, name)
    try:
        search = SavedSearch.of(album.search).values()
    except ValueError as error:
        detail = f'the search of "{album.name}": {error}'
        raise errors.InvalidAlbums(path=library / store.NAME, detail=detail) from error
    inside = search.get(store.FILTER)
    if inside is not None and store.pictures_as_json(library, inside) is None:
        raise errors.AlbumGone(name=album.name, album=inside)
    return search


def with_filters(flags: FilterFlags, search: Mapping[str, Any]) -> FilterFlags:
    """Return the filters of an album, in the place of those that the command line does not name."""
    fields = [field.name for field in dataclasses.fields(flags) if field.name not in _SHAPES]
    kept: dict[str, Any] = {
        field: search.get(_NAMES.get(field, field)) for field in fields if getattr(flags, field) is None
    }
    shape = search.get("shape")
    if shape in _SHAPES and not any(getattr(flags, each) for each in _SHAPES):
        kept[shape] = True
    return dataclasses.replace(flags, **kept)


def _folder(used: Context) -> Any:
    if used.collection is not None:
        raise errors.NotForCollections(
            detail="albums belong to one library", instead="Choose one library: pixfind --library LIBRARY search ..."
        )
    return used.path
