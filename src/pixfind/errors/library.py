"""Errors about a library: its directory, its files, its lock and its database."""

from typing import Any

from pixfind.errors import extras
from pixfind.errors.base import OperationError


class LibraryNotFound(OperationError):
    """
    There is no library in {path}.
    Create one with: pixfind --library {path} index FOLDER
    """

    exit_code = 3


class LibraryLocked(OperationError):
    """
    {path} is in use by `pixfind {verb}` (process {pid} on {host}, since {since}).
    Wait until it ends, watch it with `pixfind status --watch`, or stop it with `pixfind stop`.
    """

    exit_code = 4


class AlreadyWatched(OperationError):
    """
    {path} is watched already, by process {pid}.
    One watch keeps all folders of a library current; `pixfind stop` ends it.
    """

    exit_code = 65


class WorkerFilesBusy(OperationError):
    """
    {path} is being written by another process that runs as worker {worker}.
    Wait until it ends, or use another worker number.
    """

    exit_code = 5


class DiskFull(OperationError):
    """
    The disk is full: {path} cannot be written ({detail}). Everything saved before is kept.
    Free disk space, then run the same command again: it continues where it stopped.
    """

    exit_code = 6


class LibraryDamaged(OperationError):
    """
    {path} is damaged: {detail}.
    Check the library with `pixfind verify`; rebuild derived data with `pixfind verify --repair`.
    """

    exit_code = 7


class LinkInLibrary(OperationError):
    """
    {path} is a symbolic link, which a library must not contain: data would be written elsewhere.
    Replace it with the file or folder itself. To keep a library on another disk, move all of it and use --library.
    """

    exit_code = 47


class MergeRefused(OperationError):
    """
    Row {row} of {path} cannot be merged: {detail}. Rows before it were merged.
    `pixfind verify --repair` makes the affected images pending; the next `pixfind embed` embeds them again.
    """

    exit_code = 8


class NewerLibrary(OperationError):
    """
    {path} was written by a newer version of pixfind (format {found}; this version supports {known}).
    Upgrade pixfind: pip install --upgrade pixfind
    """

    exit_code = 9


class FolderNotReadable(OperationError):
    """
    {path} is not a folder or an archive that can be read: {detail}.
    Check the name and its permissions, and that its drive is connected.
    """

    exit_code = 11


class ArchiveUnreadable(OperationError):
    """
    {path} cannot be read as an archive: {detail}.
    pixfind reads zip, cbz and tar files, plain or compressed with gzip. Check it with `unzip -t` or `tar -tf`.
    """

    exit_code = 39


class StoreUnreachable(OperationError):
    """
    {path} cannot be listed: {detail}.
    {instead}
    """

    exit_code = 42


class CloudSupportMissing(OperationError):
    """
    {path} lies in object storage, which needs the extra `cloud`.
    Install it with: {command}
    """

    exit_code = 43

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"command": extras.install_command("cloud"), **fields})


class AddressRefused(OperationError):
    """
    {path} cannot be read: {detail}.
    {instead}
    """

    exit_code = 44


class ListUnreadable(OperationError):
    """
    {path} cannot be read as a list of pictures: {detail}.
    pixfind reads CSV, TSV, JSON lines, Parquet and text with one address a line, by the ending of the name. Check the file, then add it again.
    """

    exit_code = 48


class ThumbnailsTooLarge(OperationError):
    """
    The thumbnails of {pictures} need about {needed} in {folder}, where {free} are free.
    Free disk space, or make smaller ones: pixfind thumbnails --side 256; or none: pixfind thumbnails --off
    """

    exit_code = 74


class NotEmbedded(OperationError):
    """
    Nothing in {path} is embedded yet.
    Start with: pixfind --library {path} index FOLDER
    """

    exit_code = 14


class NotWritable(OperationError):
    """
    {path} cannot be written: {detail}.
    Give your user write permission, or use another library: pixfind --library DIR ...
    """

    exit_code = 15


class DiskFailed(OperationError):
    """
    {path} could not be {operation}: {detail}. Everything saved before is kept.
    Check that its disk is connected and healthy and that your user may read and write there; then run the same command again: it continues where it
    stopped.
    """

    exit_code = 50


class DatabaseBusy(OperationError):
    """
    {path} is locked by another program: {detail}.
    Close the program that has it open (a database browser, a backup), then run the same command again.
    """

    exit_code = 51


class LibraryClosed(OperationError):
    """
    The library {path} was closed by this program.
    Open it again with pixfind.open, or do the work before the end of its `with`.
    """

    exit_code = 54
