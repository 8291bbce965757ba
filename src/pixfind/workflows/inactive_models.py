"""
The models that a library keeps beside the active one: the staged, the previous and the retired.

Only looks; what changes their roles is in `switch_model`. Imports little, because `status` does.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.index import header
from pixfind.library import generations
from pixfind.library.library import Library


@dataclass(frozen=True, slots=True)
class InactiveModel:
    """A model that the library keeps beside the active one."""

    role: str
    """staged, previous or retired"""
    model: str
    precision: str
    images: dict[str, int]
    """its ledger"""
    merged_rows: int
    index_rows: int


def is_in_progress(library: Library) -> bool:
    """Tell whether another model is being embedded beside the active one."""
    return generations.read(library.path).staged is not None


def inactive(library: Library) -> list[InactiveModel]:
    """Return the models beside the active one. Only reads."""
    roles = generations.read(library.path)
    found = []
    for role in ("staged", "previous", "retired"):
        name = getattr(roles, role)
        # Deleted by another process since the line above.
        with contextlib.suppress(errors.LibraryNotFound):
            if name is not None and name != library.generation:
                found.append(_inactive(library.path, role, name))
    return found


@contextlib.contextmanager
def open_staged(library: Library, *, write: bool = True) -> Iterator[Library]:
    """Yield the library that pending images are embedded into: that of the staged model during a switch, else `library`."""
    name = generations.read(library.path).staged
    if name is None:
        yield library
        return
    with Library.open(library.path, write=write, generation=name) as staged:
        if write:
            staged.catalogue.sync_from(library.catalogue)
        yield staged


def open_inactive(library: Library, *, write: bool = False) -> Iterator[Library]:
    """
    Yield the libraries of the generations beside the active one, each open until the next is asked for.

    For writing, a database that cannot be read is rebuilt; `repair.repair` and the next `sync_from` fill it.
    """
    from pixfind.library import repair

    roles = generations.read(library.path)
    for name in (roles.staged, roles.previous, roles.retired):
        if name is not None:
            if write:
                repair.rebuild_if_needed(library.path, name)
            with Library.open(library.path, write=write, generation=name) as other:
                yield other


def _inactive(path: Path, role: str, generation: str) -> InactiveModel:
    with Library.open(path, generation=generation) as other:
        model = other.model()
        facts, _ = header.read_header(other.index_path)
        return InactiveModel(
            role=role,
            model=model.name if model else "-",
            precision=model.precision if model else "-",
            images=other.catalogue.ledger(),
            merged_rows=other.merged_rows,
            index_rows=facts.rows if facts else 0,
        )
