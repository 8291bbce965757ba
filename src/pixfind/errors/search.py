"""Errors about queries, filters and the index."""

from pixfind.errors.base import OperationError


class IndexFloorMissed(OperationError):
    """
    An index of kind "{kind}" finds only {recall:.4f} of the ten nearest images, less than the required {floor}; it was not published.
    Let pixfind choose the kind: pixfind build-index
    """

    exit_code = 30


class InvalidQuery(OperationError):
    """
    Invalid query: {detail}.
      {query}
      {pointer}
    For example: pixfind search 'beach +sunset -people +2:holiday.jpg'; quotes keep words as they are: '"-40 degrees"'
    """

    exit_code = 31


class InvalidFilter(OperationError):
    """{option} cannot be {value!r}: {detail}."""

    exit_code = 32


class InvalidQueryImage(OperationError):
    """
    The query refers to the picture {path}, which cannot be used: {detail}.
    Name the file of a picture, or to search for these words, quote them: pixfind search '"{path}"'
    """

    exit_code = 33


class ImageNotFound(OperationError):
    """
    There is no embedded image with id {image_id} in {path}.
    `pixfind search ... --json` shows the ids.
    """

    exit_code = 34


class QueryCancelsOut(OperationError):
    """
    The terms of the query cancel each other out: {query}
    Remove one of them, or change their weights.
    """

    exit_code = 35


class InvalidCount(OperationError):
    """Cannot show {k} hits: use 1 or more."""

    exit_code = 36


class InvalidVector(OperationError):
    """
    An array of shape {shape} is no embedding of this library: it takes finite numbers of shape [{dimension}], not all 0.
    Make one with Library.embed_text or Library.embed_images.
    """

    exit_code = 52


class InvalidPixels(OperationError):
    """
    An array of shape {shape} and type {kind} is no picture: it takes uint8 of shape [height, width, 3 or 4] or [height, width], not empty.
    Values from 0 to 1 become such with (values * 255).round().astype("uint8").
    """

    exit_code = 53


class WordsNotIndexed(OperationError):
    """
    The words of names and texts cannot be searched, because of {path}: {detail}.
    Make it with: pixfind build-index
    """

    exit_code = 58
