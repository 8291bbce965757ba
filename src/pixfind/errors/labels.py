"""Errors about labels and albums."""

from pixfind.errors.base import OperationError
from pixfind.errors.usage import InvalidUsage


class InvalidLabels(OperationError):
    """
    {path} has no labels that can be used: {detail}.
    A line is a name, or a name and what its pictures show: dog: a dog -cat
    """

    exit_code = 84


class InvalidAlbums(OperationError):
    """
    The albums in {path} cannot be read: {detail}.
    Repair the file, take that of a backup, or move it away and begin again; pictures and embeddings do not depend on it.
    """

    exit_code = 85


class AlbumNotFound(OperationError):
    """
    There is no album "{name}" in {path}. There are: {albums}.
    `pixfind search ... --save NAME` makes one.
    """

    exit_code = 86


class AlbumGone(OperationError):
    """
    The album "{name}" is a search among the pictures of the album "{album}", which is not there any more.
    `pixfind albums --add NAME PATH...` makes one, and `pixfind albums --remove NAME` removes the search.
    """

    exit_code = 77


class NotInLibrary(OperationError):
    """
    {file} is no picture of the library {path}, or was not read yet.
    `pixfind search ... --paths` lists pictures; `pixfind index FOLDER` reads new ones.
    """

    exit_code = 75


class OutdatedPicture(OperationError):
    """
    {file} is gone, or was changed since it was indexed, and the library knows only what it was.
    Bring the library up to date first: pixfind index
    """

    exit_code = 76


class InvalidAlbum(InvalidUsage):
    """The album "{name}" cannot be made: {detail}."""
