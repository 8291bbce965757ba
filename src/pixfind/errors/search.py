"""Errors about queries, filters and the index."""

from pixfind.errors.base import LibraryError


class IndexFloorMissed(LibraryError):
    """
    An index of kind "{kind}" finds only {recall:.4f} of the best ten, under the floor of {floor}; it was not published.
    Let pixfind choose the kind: pixfind build-index
    """

    exit_code = 30


class QueryWrong(LibraryError):
    """
    The query cannot be read: {detail}.
      {query}
      {pointer}
    For example: pixfind search 'beach +sunset -people +2:holiday.jpg'; quotes keep words as they are: '"-40 degrees"'
    """

    exit_code = 31


class FilterWrong(LibraryError):
    """
    {option} cannot be {value!r}: {detail}.
    """

    exit_code = 32


class QueryImageWrong(LibraryError):
    """
    The query asks for pictures like {path}, but it cannot be used: {detail}.
    If these are words, write them in quotes: pixfind search '"{path}"'
    """

    exit_code = 33


class NoSuchImage(LibraryError):
    """
    There is no embedded image with id {image_id} in {path}.
    `pixfind search ... --json` shows the ids.
    """

    exit_code = 34


class QueryCancels(LibraryError):
    """
    The terms of the query cancel each other out: {query}
    Leave one of them out, or give them other weights.
    """

    exit_code = 35


class CountWrong(LibraryError):
    """
    {k} hits cannot be shown: ask for 1 or more.
    """

    exit_code = 36


class InvalidVector(LibraryError):
    """
    An array of shape {shape} is no embedding of this library: it takes finite numbers of shape [{dimension}], not all 0.
    Make one with Library.embed_text or Library.embed_images.
    """

    exit_code = 52
