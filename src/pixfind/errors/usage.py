"""Errors in how a command was called."""

from pixfind.errors.base import LibraryError


class WrongUsage(LibraryError):
    """Wrong usage: {detail}"""

    exit_code = 2


class OptionsExclude(WrongUsage):
    """
    {first} cannot be used with {second}: {detail}.
    {instead}
    """


class OptionNeeds(WrongUsage):
    """
    {first} does nothing without {second}.
    {instead}
    """


class NothingToIndex(WrongUsage):
    """
    There is no library in {path} yet, and no folder was named.
    Name one with pictures: pixfind index FOLDER
    """


class LibraryIsFile(WrongUsage):
    """
    {path} is a file, and a library is a folder.
    Name another place: pixfind --library DIR ...
    """


class TooLittleMemory(WrongUsage):
    """
    --memory {asked} is too little for {workers} workers: each needs {least} for a model and a picture.
    Give at least {enough}, or fewer workers.
    """


class OutputRefused(LibraryError):
    """
    {path} cannot be written to: {detail}.
    Name another file, or - for standard output.
    """

    exit_code = 45


class NoModelSwitch(WrongUsage):
    """
    There is no switch to complete: no other model is being embedded in {path}.
    Name the new model: pixfind model switch NAME
    """
