"""
Search your own pictures by what they show.

    >>> from pixfind import Library
    >>> library = Library.open(Path("~/pictures-library").expanduser())

The verbs of the command line are functions: `pixfind.library.scan.add`, `pixfind.workflows.index.index`,
`pixfind.workflows.embed.embed`, `pixfind.workflows.merge.merge`, `pixfind.search.searcher.search`, `pixfind.library.verify.verify`, `pixfind.workflows.status.status`.
"""

from pixfind import telemetry

# The one thing that an import does: the libraries below report to their makers as soon as they are imported.
telemetry.disable()

from pixfind.library.library import Library  # noqa: E402  - after the switch

__all__ = ["Library"]
__version__ = "0.1.0"
