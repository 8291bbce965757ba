"""
Search your own pictures by what they show.

    >>> from pixfind import Library
    >>> library = Library.open(Path("~/pictures-library").expanduser())

The verbs of the command line are functions: `pixfind.scan.add`, `pixfind.ingest.embed`, `pixfind.ingest.merge`,
`pixfind.search.search`, `pixfind.verify.verify`, `pixfind.status.status`.
"""

from pixfind.library import Library

__all__ = ["Library"]
__version__ = "0.1.0"
