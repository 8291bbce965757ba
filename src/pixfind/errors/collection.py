"""Errors of collections: several libraries that are searched as one."""

from pixfind.errors.base import OperationError
from pixfind.errors.usage import InvalidUsage


class InvalidCollection(InvalidUsage):
    """
    {path} cannot be used as a collection: {detail}.
    docs/reference/collection.md has the keys and an example.
    """


class LibrariesDiffer(OperationError):
    """
    {first} uses the model {first_model}, {second} uses {second_model}: their scores cannot be compared.
    Leave one of them out, or embed it with the other model: pixfind --library {second} model switch {first_name}
    """

    exit_code = 49


class CollectionUnavailable(OperationError):
    """
    A library that is needed did not answer:
      {libraries}
    Start the servers, or mount the drives, and ask again; --timeout SECONDS waits longer.
    """

    exit_code = 66


class OneLibraryNeeded(InvalidUsage):
    """
    This command works on one library, and several are named: {libraries}.
    Choose one: pixfind --library {first} ...
    """


class NotForCollections(InvalidUsage):
    """
    A collection cannot answer this: {detail}.
    {instead}
    """


class TooManyHits(InvalidUsage):
    """
    A library at an address gives at most {limit:,} hits, and {k:,} are needed.
    Use a smaller -k.
    """
