"""
Search a photo library by describing what you are looking for, on your own machine.

    >>> import pixfind
    >>> library = pixfind.open("photos-library")  # doctest: +SKIP

`open` returns a `Library`; docs/reference/python.md has all of it. Nothing is loaded before it is used, so that a worker process,
`pixfind --help` and a program that catches `pixfind.errors.OperationError` do not pay for the rest.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pixfind import former_names, telemetry

# All that an import does. The libraries that we use report to their makers as soon as they are imported.
telemetry.disable()
former_names.install()

if TYPE_CHECKING:
    from pixfind import errors
    from pixfind.collection.opened import Collection
    from pixfind.python_api import Library
    from pixfind.search.filters import Filters
    from pixfind.search.results import Hit, SearchResult
    from pixfind.workflows.export import ImageRecord
    from pixfind.workflows.index import IndexSummary
    from pixfind.workflows.options import EmbedOptions

    open = Library.open  # noqa: A001  pixfind.open reads as what it is

__version__ = "0.1.0"

__all__ = [
    "Collection",
    "EmbedOptions",
    "Filters",
    "Hit",
    "ImageRecord",
    "IndexSummary",
    "Library",
    "SearchResult",
    "__version__",
    "errors",
    "open",
]

#: public name -> module that has it
_PUBLIC = {
    "Collection": "pixfind.collection.opened",
    "EmbedOptions": "pixfind.workflows.options",
    "Filters": "pixfind.search.filters",
    "Hit": "pixfind.search.results",
    "ImageRecord": "pixfind.workflows.export",
    "IndexSummary": "pixfind.workflows.index",
    "Library": "pixfind.python_api",
    "SearchResult": "pixfind.search.results",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name == "open":
        return __getattr__("Library").open
    if name == "errors":
        return importlib.import_module("pixfind.errors")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in former_names.NAMES:
        return importlib.import_module(f"pixfind.{name}")
    raise AttributeError(f"module 'pixfind' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
