"""
What a shell that completes offers as the value of an option.

Owns how it is found in moments: no model is loaded, no NumPy imported. Whatever goes wrong completes nothing: a line that is being typed has no place for an error.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from pixfind import errors

if TYPE_CHECKING:
    # A type alone: most commands are not completions.
    from pixfind.library.library import Library

PRECISIONS: Final = ("auto", "fp32", "int8", "bf16", "int8-openvino")
"""as `models.engines` has them, which loads NumPy"""


def models(incomplete: str) -> list[str]:
    """Return the names of the model table that begin so."""
    from pixfind.models import registry

    return _beginning((model.name for model in registry.TABLE), incomplete)


def precisions(incomplete: str) -> list[str]:
    """Return the precisions that begin so."""
    return _beginning(PRECISIONS, incomplete)


def labels(context: typer.Context, incomplete: str) -> list[str]:
    """Return the labels of the library that begin so, with a minus where one was typed."""
    sign = "-" if incomplete.startswith("-") else ""
    return [sign + name for name in _of_library(context, _labels, incomplete.removeprefix("-"))]


def albums(context: typer.Context, incomplete: str) -> list[str]:
    """Return the albums of the library that begin so."""
    return _of_library(context, _albums, incomplete)


def picture_albums(context: typer.Context, incomplete: str) -> list[str]:
    """Return the albums to which pictures were added by hand."""
    return _of_library(context, _picture_albums, incomplete)


def _labels(library: "Library") -> Iterator[str]:
    for name, _ in library.catalogue.rows("names", "labels.sql"):
        yield name


def _albums(library: "Library") -> Iterator[str]:
    from pixfind.library import albums as store

    for album in store.read(library.path):
        yield album.name


def _picture_albums(library: "Library") -> Iterator[str]:
    from pixfind.library import albums as store

    for album in store.read(library.path):
        if album.pictures is not None:
            yield album.name


def _of_library(context: typer.Context, names: "Callable[[Library], Iterable[str]]", incomplete: str) -> list[str]:
    from pixfind.library.library import Library, locate

    found: Any = context.find_root().params.get("library") or []
    with (
        contextlib.suppress(errors.PixfindError, OSError),
        Library.open(locate(Path(found[0]) if found else None)) as library,
    ):
        return _beginning(names(library), incomplete)
    return []


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    # A shell takes a completion for a line.
    return [name for name in names if name.startswith(incomplete) and name.isprintable()]
