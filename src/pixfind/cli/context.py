"""
What commands get from the global options: which library, or which collection of several, and the console.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixfind import errors
from pixfind.cli.console import Console

if TYPE_CHECKING:
    # A type alone: one library does without it.
    from pixfind.collection.config import CollectionConfig


@dataclass(frozen=True, slots=True)
class Context:
    """What commands get from the global options."""

    one: Path
    """the library, where there is no collection"""
    console: Console
    collection: "CollectionConfig | None" = None
    """several libraries, or one at an address; None for a library in a folder"""

    @property
    def path(self) -> Path:
        """The folder of the library, for a command that works on one; raises OneLibraryNeeded."""
        if self.collection is None:
            return self.one
        first = next((each for each in self.collection.members if each.path is not None), self.collection.members[0])
        raise errors.OneLibraryNeeded(
            libraries=self.collection.names, first=first.where if first.path is not None else "FOLDER"
        )

    @property
    def served(self) -> "Path | CollectionConfig":
        """What a command works on that takes a library or several."""
        return self.one if self.collection is None else self.collection


def collection_of(named: list[str] | None) -> "CollectionConfig | None":
    """Return the collection that the values of --library name; None for one folder, or none. Raises InvalidCollection."""
    from pixfind.collection import config

    values = named or [value for value in [os.environ.get("PIXFIND_LIBRARY", "")] if value]
    if len(values) > 1 or any(config.is_address(value) or config.is_file(value) for value in values):
        return config.of_values(values)
    return None
