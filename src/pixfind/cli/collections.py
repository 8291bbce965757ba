"""
What commands that only read do with several libraries instead of one.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pixfind import errors
from pixfind.cli import hit_pictures, styles
from pixfind.cli.context import Context
from pixfind.library.library import Library
from pixfind.types import numbered

if TYPE_CHECKING:
    # Types alone: what a command does not need it does not wait for.
    from pixfind.collection.config import CollectionConfig
    from pixfind.collection.searcher import CollectionSearcher
    from pixfind.search import duplicates as duplicate_groups
    from pixfind.search.results import Hit, Missing
    from pixfind.search.searcher import Searcher


@contextlib.contextmanager
def searching(used: Context, timeout: float | None, *, opens_files: bool) -> "Iterator[Searcher | CollectionSearcher]":
    """
    Open what is searched: a library or a collection.

    Raises what opening one raises, OptionRequires for a `timeout` of one library, NotForCollections where the files of hits will be opened and some lie elsewhere.
    """
    if (collection := used.collection) is None:
        from pixfind.search.searcher import Searcher

        if timeout is not None:
            raise errors.OptionRequires(
                first="--timeout",
                second="a collection",
                instead="Leave it out: a library on this machine is not waited for.",
            )
        with Library.open(used.path) as library, Searcher(library) as searcher:
            yield searcher
        return
    from pixfind.collection.searcher import CollectionSearcher

    address = next((member.address for member in collection.members if member.address is not None), None)
    if address is not None and opens_files:
        raise errors.NotForCollections(
            detail=f"the pictures of {address} lie on another machine, and its files would be opened here",
            instead="Leave out --copy-to, --link-to and --browse, or that library.",
        )
    with CollectionSearcher(
        collection if timeout is None else dataclasses.replace(collection, timeout=timeout)
    ) as several:
        yield several


def warn(missing: "Sequence[Missing]") -> None:
    """Name the libraries that did not answer, even when quiet: without them the answer is not complete."""
    for one in missing:
        styles.write_message(f"[yellow]warning:[/yellow] {styles.escape(str(one))}; its pictures are missing here")


def is_elsewhere(searcher: "Searcher | CollectionSearcher", hit: "Hit") -> bool:
    """Tell whether the picture of a hit lies on another machine: a file here that has its path is a different one."""
    from pixfind.collection.searcher import CollectionSearcher

    return isinstance(searcher, CollectionSearcher) and searcher.is_elsewhere(hit.image_id)


def thumbnail(searcher: "Searcher | CollectionSearcher", hit: "Hit", side: int) -> bytes | None:
    """Return a JPEG of a hit, whose longer side has at most `side` pixels, of one that lies elsewhere from its server; None where it cannot be had now."""
    from pixfind.collection.searcher import CollectionSearcher

    if not isinstance(searcher, CollectionSearcher) or not searcher.is_elsewhere(hit.image_id):
        return hit_pictures.thumbnail(hit.path, side)
    found = searcher.thumbnail(hit.image_id, side)
    return None if found is None else hit_pictures.reduced(found, side)


def duplicates_in(collection: "CollectionConfig", *, exact: bool) -> "duplicate_groups.Duplicates":
    """Return the files with the same bytes in several libraries; raises NotForCollections for near ones and for addresses."""
    from pixfind.collection import duplicates as across

    if not exact:
        raise errors.NotForCollections(
            detail="near-duplicates are compared within one library",
            instead="Add --exact for files with the same bytes, or choose one library.",
        )
    return across.exact(collection.folders("duplicates are read from"))


def status(used: Context, collection: "CollectionConfig", *, json: bool) -> None:
    """Show the state of each library; of one at an address its model and rows. One that does not answer is named."""
    from pixfind.collection.searcher import CollectionSearcher
    from pixfind.workflows import status as state

    with CollectionSearcher(collection) as searcher:
        states, missing = searcher.states()
    values: list[dict[str, Any]] = []
    for place, member in enumerate(collection.members):
        if place not in states:
            continue
        if member.path is not None:
            with Library.open(member.path) as library:
                now = state.status(library)
            values.append({"name": member.name, **now.values()})
            if not json:
                used.console.step(member.name)
                used.console.status(now)
            continue
        model = states[place].model
        found = {"name": member.name, "library": member.address, "merged_rows": states[place].rows}
        values.append({**found, "model": None if model is None else model.name})
        if not json:
            used.console.step(member.name)
            used.console.print(
                f"{numbered(states[place].rows, 'row')} of {model.name if model else 'no model'} at {member.address}"
            )
    if json:
        values += [{"name": one.library, "missing": one.why} for one in missing]
        used.console.json(values)
    warn(missing)
