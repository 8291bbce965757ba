"""Errors about backups."""

from pixfind.errors.base import OperationError


class BackupRefused(OperationError):
    """
    {path} cannot become a backup of {library}: {detail}. Nothing was changed.
    Name a new or empty folder, or one that `pixfind backup` has made of this library: pixfind backup DIR
    """

    exit_code = 61


class BackupOvertaken(OperationError):
    """
    The library {library} was changed by `verify --repair` or a change of the model again and again while it was copied to {path}.
    What was in {path} before is still complete. Run `pixfind backup` again when that command has ended.
    """

    exit_code = 62
