"""Errors about a library: its directory, its files, its lock and its database."""

from pixfind.errors.base import LibraryError


class NoLibrary(LibraryError):
    """
    There is no library in {path}.
    Make one with: pixfind --library {path} index FOLDER
    """

    exit_code = 3


class LibraryLocked(LibraryError):
    """
    {path} is in use by `pixfind {verb}` (process {pid} on {host}, since {since}).
    Wait for it, watch it with `pixfind status --watch`, or end it with `pixfind stop`.
    """

    exit_code = 4


class WorkerFilesBusy(LibraryError):
    """
    {path} is being written by another process that calls itself worker {worker}.
    Wait until it has ended, or give this one another number.
    """

    exit_code = 5


class DiskFull(LibraryError):
    """
    No room to write {path} ({detail}). All that was saved before is kept.
    Make room, then run the same command again: it goes on where it stood.
    """

    exit_code = 6


class LibraryDamaged(LibraryError):
    """
    {path} is damaged: {detail}.
    Find out how much with `pixfind verify`; mend what can be derived with `pixfind verify --repair`.
    """

    exit_code = 7


class LinkInLibrary(LibraryError):
    """
    {path} is a link, and a library holds none: what is written there would land elsewhere.
    Put the file or folder itself in its place. To keep a library on another disk, move all of it and name it with --library.
    """

    exit_code = 47


class MergeRefused(LibraryError):
    """
    Row {row} of {path} does not fit: {detail}. Nothing was merged from there on.
    `pixfind verify --repair` sets the images concerned to pending; the next `pixfind embed` embeds them again.
    """

    exit_code = 8


class NewerLibrary(LibraryError):
    """
    {path} was written by a newer pixfind (format {found}; this one knows {known}).
    Upgrade pixfind.
    """

    exit_code = 9


class NoSuchFolder(LibraryError):
    """
    {path} is not a folder that can be read: {detail}.
    """

    exit_code = 11


class NotEmbedded(LibraryError):
    """
    Nothing in {path} is embedded yet.
    Begin with: pixfind --library {path} index FOLDER
    """

    exit_code = 14


class NotWritable(LibraryError):
    """
    {path} cannot be written: {detail}.
    Give this user the right to write there, or use another library: pixfind --library DIR ...
    """

    exit_code = 15


class DiskFailed(LibraryError):
    """
    {path} could not be {operation}: {detail}. All that was saved before is kept.
    See that its disk is connected and healthy, and that this user may read and write there; then run the same command again: it goes on
    where it stood.
    """

    exit_code = 50


class DatabaseBusy(LibraryError):
    """
    {path} is held by another program: {detail}.
    Close what has it open (a database browser, a backup), then run the same command again.
    """

    exit_code = 51
