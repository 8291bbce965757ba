"""
Albums: searches that their owner gave a name.

Owns `albums.json` in the library, which belongs to all its generations. A file and not a table, because a server, which writes no catalogue, keeps
them while another process embeds. Must not know what a search is: its parameters are those of the API.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pixfind import errors
from pixfind.library import generations, path_text
from pixfind.storage import disk, locks

NAME: Final = "albums.json"
_LOCK: Final = "albums.lock"
_PATIENCE_SECONDS: Final = 10.0

MAX_ALBUMS: Final = 1_000
MAX_NAME: Final = 100
"""characters"""


@dataclass(frozen=True, slots=True)
class Album:
    """A search with a name."""

    name: str
    search: Mapping[str, Any]
    """its parameters, as the API names them: texts, numbers, true, and lists of texts"""


def read(library: Path) -> list[Album]:
    """Return the albums, in the order in which they were made; raises InvalidAlbums for a file that is none of ours."""
    path, content = library / NAME, b'{"albums": []}'
    with disk.reading(path), contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
    try:
        return [_album(one) for one in json.loads(content)["albums"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise errors.InvalidAlbums(path=path, detail=str(error) or type(error).__name__) from error


def find(library: Path, name: str) -> Album:
    """Return the album of a name, in any case; raises AlbumNotFound."""
    found = read(library)
    for album in found:
        if album.name.casefold() == name.casefold():
            return album
    raise errors.AlbumNotFound(name=name, path=library, albums=", ".join(album.name for album in found) or "none yet")


def check_name(name: str) -> None:
    """Raise InvalidAlbum for what cannot be the name of an album."""
    visible = any(character.isprintable() and not character.isspace() for character in name)
    if not visible or len(name) > MAX_NAME or path_text.plain(name) != name:
        detail = f"a name has 1 to {MAX_NAME} characters that can be shown"
        raise errors.InvalidAlbum(name=name[:MAX_NAME], detail=detail)


def keep(library: Path, album: Album) -> None:
    """Add an album, in the place of one with its name; raises InvalidAlbum, NotWritable."""
    check_name(album.name)
    with _changing(library) as albums:
        others = [each for each in albums if each.name.casefold() != album.name.casefold()]
        if len(others) >= MAX_ALBUMS:
            raise errors.InvalidAlbum(name=album.name, detail=f"there are {MAX_ALBUMS:,} albums already")
        albums[:] = [*others, album]


def remove(library: Path, name: str) -> None:
    """Remove an album, and no picture; raises AlbumNotFound, NotWritable."""
    with _changing(library) as albums:
        album = find(library, name)
        albums[:] = [each for each in albums if each != album]


@contextlib.contextmanager
def _changing(library: Path) -> Iterator[list[Album]]:
    generations.refuse_links(library)
    with locks.held(library / _LOCK, patience=_PATIENCE_SECONDS):
        albums = read(library)
        yield albums
        _publish(library, albums)


def _publish(library: Path, albums: Sequence[Album]) -> None:
    content = {"albums": [asdict(album) for album in albums]}
    disk.publish(library / NAME, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())


def _album(values: Any) -> Album:
    name, search = values["name"], values["search"]
    if not isinstance(name, str) or not isinstance(search, dict):
        raise TypeError("an album has a name and a search")
    return Album(name, search)
