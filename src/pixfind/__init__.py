"""
Search your own pictures by what they show.

    >>> from pixfind import Library
    >>> library = Library.open(Path("~/pictures-library").expanduser())

The verbs of the command line are functions: `pixfind.scan.add`, `pixfind.ingest.embed`, `pixfind.ingest.merge`,
`pixfind.search.search`, `pixfind.verify.verify`, `pixfind.status.status`.
"""

from pixfind import telemetry

# The one thing that an import does: the libraries below report to their makers as soon as they are imported.
telemetry.disable()

from pixfind.library import Library  # noqa: E402  - after the switch

__all__ = ["Library"]
__version__ = "0.1.0"
