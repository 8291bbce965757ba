"""Errors about folders that have moved."""

from pixfind.errors.base import OperationError
from pixfind.errors.usage import InvalidUsage


class NotBelow(InvalidUsage):
    """
    No folder and no image of this library is at or below {old}. Its folders: {roots}.
    Write the path as the library knows it: pixfind relocate OLD NEW
    """


class OtherPathStyle(InvalidUsage):
    """
    {new} is not a path of this system: {detail}.
    Run `pixfind relocate` on the machine where the pictures are now, with the path that they have there.
    """


class RelocationRefused(OperationError):
    """
    {old} cannot become {new}: {detail}. Nothing was changed.
    {instead}
    """

    exit_code = 67


class NotMovedThere(OperationError):
    """
    Of {checked} images of {old} that were looked for below {new}, none is there with its size and time: {detail}. Nothing was changed.
    Check the two names (`--dry-run` shows where an image would be), or relocate all the same: --anyway
    """

    exit_code = 68
