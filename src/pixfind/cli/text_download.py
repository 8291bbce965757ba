"""
The download of a model's text encoder before the first search, with a bar.

Imported by the commands that search, so it imports nothing that a search does not need.
"""

from typing import TYPE_CHECKING

from pixfind.cli.console import Console

if TYPE_CHECKING:
    from pixfind.search.encoders import ModelOwner
    from pixfind.search.query import Query


def fetch_texts(console: Console, library: "ModelOwner", query: "Query") -> None:
    """Download the text encoder with a bar where a query with words needs one that is not here."""
    from pixfind.models import text_source
    from pixfind.search.query import TermKind

    model = library.model()
    if model is None or all(term.kind is not TermKind.TEXT for term in query.terms) or text_source.is_here(model.name):
        return
    # Only now: these imports take longer than a search.
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import fetch

    with TerminalObserver(console) as observer:
        fetch.fetch_texts(model.name, observer)
