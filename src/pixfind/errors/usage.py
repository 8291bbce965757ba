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


class InvalidPart(InvalidUsage):
    """
    {text!r} is not a part: write K/N, such as 3/16, for part K of N; N is at most {limit}.
    For the third of sixteen libraries: pixfind add FOLDER --part 3/16
    """


class InvalidConfiguration(InvalidUsage):
    """
    {where} is not valid: {detail}.
    `pixfind config --help` says how options are set.
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


class InvalidLibraryName(InvalidUsage):
    """
    {path} cannot be the name of a library: {detail}.
    Use another directory: pixfind --library DIR ...
    """


class InsufficientMemory(InvalidUsage):
    """
    --memory {asked} is not enough for {workers}: each needs {least} for a model and a picture.
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


class ColumnMissing(InvalidUsage):
    """
    The list {path} has no column {column}.
    Name one that it has: {columns}
    """


class ColumnRepeated(InvalidUsage):
    """
    The list {path} has the column {column} more than once.
    Give each its own name, or leave {column} out of --column and --keep.
    """


class ExclusionUnknown(InvalidUsage):
    """
    {path} has no exclusion {glob!r} that could be taken back.
    {detail}
    """


class ColumnNotNamed(InvalidUsage):
    """
    The list {path} has several columns; say which one has the addresses.
    Name one: pixfind add {path} --column NAME; it has {columns}
    """
