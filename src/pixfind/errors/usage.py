"""Errors in how a command was called."""

from pixfind.errors.base import OperationError


class InvalidUsage(OperationError):
    """Invalid usage: {detail}"""

    exit_code = 2


class ConflictingOptions(InvalidUsage):
    """
    {first} cannot be used with {second}: {detail}.
    {instead}
    """


class OptionRequires(InvalidUsage):
    """
    {first} has no effect without {second}.
    {instead}
    """


class NothingToIndex(InvalidUsage):
    """
    There is no library in {path} yet, and no folder was given.
    Give one that contains pictures: pixfind index FOLDER
    """


class LibraryNotADirectory(InvalidUsage):
    """
    {path} is a file; a library is a directory.
    Use another directory: pixfind --library DIR ...
    """


class InsufficientMemory(InvalidUsage):
    """
    --memory {asked} is not enough for {workers} workers: each needs {least} for a model and a picture.
    Use at least {enough}, or fewer workers.
    """


class OutputNotWritable(OperationError):
    """
    {path} cannot be written: {detail}.
    Use another file, or - for standard output.
    """

    exit_code = 45


class NoModelSwitch(InvalidUsage):
    """
    There is no switch to complete: no other model is being embedded in {path}.
    Name the new model: pixfind model switch NAME
    """
