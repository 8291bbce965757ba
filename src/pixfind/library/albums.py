"""
Albums: searches that their owner gave a name, and pictures that were put together by hand.

Owns `albums.json` in the library, which belongs to all its generations. A file and not a table, because a server, which writes no catalogue, keeps
them while another process embeds. Must not know what a search is: its parameters are those of the API. The search of an album of pictures is the filter
`album` with its own name, so that whoever can open a search can open it. A picture is its content: it stays in its albums wherever its file is moved.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pixfind import errors
from pixfind.library import generations, path_text
from pixfind.storage import disk, locks

NAME: Final = "albums.json"
FILTER: Final = "album"
"""the parameter of a search for the pictures of an album"""
_LOCK: Final = "albums.lock"
_PATIENCE_SECONDS: Final = 10.0

MAX_ALBUMS: Final = 1_000
MAX_NAME: Final = 100
"""characters"""
MAX_PICTURES: Final = 20_000
"""in one album: the file is written again with each change"""


@dataclass(frozen=True, slots=True)
class Album:
    """A search with a name."""

    name: str
    search: Mapping[str, Any]
    """its parameters, as the API names them: texts, numbers, true, and lists of texts"""
    pictures: tuple[str, ...] | None = None
    """of an album of pictures: their content hashes as hexadecimal digits, in the order in which they came; None for a search"""


def read(library: Path) -> list[Album]:
    """Return the albums, in the order in which they were made; raises LibraryNotFound where its drive is away, and InvalidAlbums for a file that is none of ours."""
    if not generations.is_library(library):
        raise errors.LibraryNotFound(path=library)
    found = _content(library)
    return [] if found is None else _parsed(library / NAME, found)


def content(library: Path) -> bytes | None:
    """Return the file of the albums as it is, for a copy, None where there is none; raises InvalidAlbums for one that is none of ours."""
    found = _content(library)
    if found is not None:
        _parsed(library / NAME, found)
    return found


def version(library: Path) -> tuple[int, int] | None:
    """Return a value that differs after every change of the albums; None where there are none."""
    with contextlib.suppress(OSError):
        found = (library / NAME).stat()
        # Each change publishes a file of its own.
        return found.st_ino, found.st_mtime_ns
    return None


def find(library: Path, name: str) -> Album:
    """Return the album of a name, in any case; raises AlbumNotFound."""
    albums = read(library)
    return albums[_existing(library, albums, name)]


def check_name(name: str) -> None:
    """Raise InvalidAlbum for what cannot be the name of an album."""
    visible = any(character.isprintable() and not character.isspace() for character in name)
    if not visible or len(name) > MAX_NAME or path_text.plain(name) != name:
        detail = f"a name has 1 to {MAX_NAME} characters that can be shown"
        raise errors.InvalidAlbum(name=name[:MAX_NAME], detail=detail)


def keep(library: Path, album: Album) -> None:
    """
    Add a search, in the place of one with its name.

    Raises NotWritable, and InvalidAlbum where an album of pictures has the name, and for a search among the pictures of an album that is none of pictures.
    """
    check_name(album.name)
    with _changing(library) as albums:
        others = [each for each in albums if each.name.casefold() != album.name.casefold()]
        if any(each.pictures is not None and each not in others for each in albums):
            detail = "pictures were put into an album of this name; choose another, or remove that one"
            raise errors.InvalidAlbum(name=album.name, detail=detail)
        inside = album.search.get(FILTER)
        if inside is not None and ((place := _place_of(others, inside)) is None or others[place].pictures is None):
            detail = f'its search is among the pictures of "{inside}", and pictures were put into no album of this name'
            raise errors.InvalidAlbum(name=album.name, detail=detail)
        if len(others) >= MAX_ALBUMS:
            raise errors.InvalidAlbum(name=album.name, detail=f"there are {MAX_ALBUMS:,} albums already")
        albums[:] = [*others, album]


def remove(library: Path, name: str) -> None:
    """Remove an album, and no picture; raises AlbumNotFound, NotWritable."""
    with _changing(library) as albums:
        del albums[_existing(library, albums, name)]


def put(library: Path, name: str, contents: Sequence[bytes], *, dry_run: bool = False) -> int:
    """
    Put pictures into an album, by their content hashes, and make it if there is none; return how many it did not have.

    Raises InvalidAlbum, NotWritable. `dry_run` changes nothing.
    """
    check_name(name)
    with _changing(library, dry_run=dry_run) as albums:
        place = _place_of(albums, name)
        if place is None:
            if len(albums) >= MAX_ALBUMS:
                raise errors.InvalidAlbum(name=name, detail=f"there are {MAX_ALBUMS:,} albums already")
            place = len(albums)
            albums.append(Album(name, {FILTER: name}, ()))
        album = albums[place]
        pictures = tuple(dict.fromkeys((*_pictures(album), *(content.hex() for content in contents))))
        if len(pictures) > MAX_PICTURES:
            raise errors.InvalidAlbum(name=name, detail=f"an album has at most {MAX_PICTURES:,} pictures")
        albums[place] = replace(album, pictures=pictures)
        return len(pictures) - len(_pictures(album))


def take(library: Path, name: str, contents: Sequence[bytes], *, dry_run: bool = False) -> int:
    """
    Take pictures out of an album, by their content hashes; return how many it had.

    Raises AlbumNotFound, InvalidAlbum, NotWritable. `dry_run` changes nothing.
    """
    taken = {content.hex() for content in contents}
    with _changing(library, dry_run=dry_run) as albums:
        place = _existing(library, albums, name)
        before = _pictures(albums[place])
        left = tuple(each for each in before if each not in taken)
        albums[place] = replace(albums[place], pictures=left)
        return len(before) - len(left)


def pictures_as_json(library: Path, name: str) -> str | None:
    """Return the content hashes of an album of pictures as a JSON list, a function of statements; None where there is no such album, or its file is damaged."""
    with contextlib.suppress(errors.OperationError):
        if (pictures := find(library, name).pictures) is not None:
            return json.dumps(pictures)
    return None


def _content(library: Path) -> bytes | None:
    path = library / NAME
    with disk.reading(path), contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return None


def _parsed(path: Path, data: bytes) -> list[Album]:
    try:
        return [_album(one) for one in json.loads(data)["albums"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise errors.InvalidAlbums(path=path, detail=str(error) or type(error).__name__) from error


def _place_of(albums: Sequence[Album], name: str) -> int | None:
    return next((place for place, each in enumerate(albums) if each.name.casefold() == name.casefold()), None)


def _existing(library: Path, albums: Sequence[Album], name: str) -> int:
    """Return the place of the album of a name, in any case; raises AlbumNotFound."""
    place = _place_of(albums, name)
    if place is None:
        names = ", ".join(album.name for album in albums) or "none yet"
        raise errors.AlbumNotFound(name=name, path=library, albums=names)
    return place


def _pictures(album: Album) -> tuple[str, ...]:
    if album.pictures is None:
        raise errors.InvalidAlbum(name=album.name, detail="an album of this name is a search; choose another")
    return album.pictures


@contextlib.contextmanager
def _changing(library: Path, *, dry_run: bool = False) -> Iterator[list[Album]]:
    if dry_run:
        yield read(library)
        return
    generations.refuse_links(library)
    if not generations.is_library(library):
        # The drive is away: what is written now would lie hidden below it, or in the way of its return.
        raise errors.LibraryNotFound(path=library)
    with locks.held(library / _LOCK, patience=_PATIENCE_SECONDS):
        albums = read(library)
        yield albums
        _publish(library, albums)


def _publish(library: Path, albums: Sequence[Album]) -> None:
    content = {"albums": [_values(album) for album in albums]}
    disk.publish(library / NAME, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())


def _values(album: Album) -> dict[str, Any]:
    return {name: value for name, value in asdict(album).items() if value is not None}


def _album(values: Any) -> Album:
    name, search, pictures = values["name"], values["search"], values.get("pictures")
    if not isinstance(name, str) or not isinstance(search, dict) or not isinstance(pictures, list | None):
        raise TypeError("an album has a name and a search, and may have pictures")
    return Album(name, search, None if pictures is None else tuple(bytes.fromhex(each).hex() for each in pictures))
