"""Errors about files that other programs write or read: exports and imports."""

from pixfind.errors.base import OperationError
from pixfind.errors.usage import InvalidUsage


class UnknownFormat(InvalidUsage):
    """
    The name {path} does not say which kind of file it is.
    End it in .parquet, .csv or .jsonl, or name the kind: --format jsonl
    """


class EmbeddingsNotWritable(InvalidUsage):
    """
    {path} would be a table of text, which cannot hold embeddings.
    Write Parquet (.parquet) or JSON lines (.jsonl), or leave out --embeddings.
    """


class FolderTaken(OperationError):
    """
    {path} cannot take the pictures: {detail}. Nothing was written.
    Name a new or empty folder.
    """

    exit_code = 63


class ImportRefused(OperationError):
    """
    The embeddings in {path} cannot be imported: {detail}.
    It should be a Parquet file or JSON lines with the columns `path` and `embedding`, made by the library's model: pixfind export FILE --embeddings
    """

    exit_code = 64
