"""
Several libraries for Python programs: one object that is searched as a library is.

Owns what a program may hand over. Nothing here writes to a library: that is done with `pixfind.Library`, for one at a time.
"""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self, Unpack

from numpy import float32
from numpy.typing import NDArray

from pixfind import errors
from pixfind.collection import config as configuration
from pixfind.collection import duplicates
from pixfind.collection.config import CollectionConfig
from pixfind.collection.member import MemberState
from pixfind.collection.searcher import CollectionSearcher
from pixfind.library.library import ModelIdentity
from pixfind.search import filters
from pixfind.search.duplicates import Duplicates
from pixfind.search.filters import Filters, SearchFilters
from pixfind.search.inputs import PathLike, QueryParts, Wanted, encode_texts, to_sort
from pixfind.search.results import Missing, SearchResult
from pixfind.types import Sort


class Collection:
    """
    Several libraries, in folders and at addresses, searched as one.

        >>> import pixfind
        >>> with pixfind.Collection.open("collection.toml") as collection:  # doctest: +SKIP
        ...     found = collection.search("sunset over the sea", k=3)
        ...     for hit in found:
        ...         print(hit.score, hit.library, hit.path)
        ...     print(found.missing)

    One object belongs to one thread.
    """

    def __init__(self, config: CollectionConfig) -> None:
        self._searcher = CollectionSearcher(config)

    @classmethod
    def open(cls, *libraries: PathLike, timeout: float | None = None) -> Self:
        """
        Open the libraries that a file collection.toml names, or those of several folders and addresses; `timeout` in seconds for each answer.

        No library is opened or asked before the first search. Raises InvalidCollection.
        """
        found = configuration.of_values([os.fspath(each) for each in libraries])
        return cls(found if timeout is None else dataclasses.replace(found, timeout=timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<pixfind.Collection {self._searcher.config.names}>"

    def close(self) -> None:
        """Close all libraries; one that hangs is left to the end of the process."""
        self._searcher.close()

    @property
    def model(self) -> ModelIdentity | None:
        """The model of all libraries; None before anything was embedded. Raises LibrariesDiffer, CollectionUnavailable."""
        try:
            return self._searcher.model()
        except errors.NotEmbedded:
            return None

    @property
    def dimension(self) -> int:
        """Numbers in one embedding; raises NotEmbedded, and as `model`."""
        return self._searcher.model().dimension

    def search(
        self,
        wanted: Wanted | Iterable[Wanted],
        k: int = 10,
        *,
        distinct: bool = False,
        each_file: bool = False,
        include_weak: bool = False,
        sort: Sort | str = Sort.SCORE,
        **filtered: Unpack[SearchFilters],
    ) -> SearchResult:
        """
        Return the k best hits of all libraries that answer, best first, as `Library.search` would of one library with all their images.

        `missing` of the result names those that did not answer within the limit of time; `library` of a hit is the name of its library. Raises what
        that raises, LibrariesDiffer, and CollectionUnavailable where no library answers.
        """
        parts = QueryParts.of(wanted)
        return self._searcher.search(
            parts.query(),
            k,
            filters.parse(**filtered) if filtered else Filters(),
            distinct=distinct,
            each_file=each_file,
            include_weak=include_weak,
            sort=to_sort(sort),
            vectors=parts.vectors_with(lambda: self._searcher.encoders),
        )

    def embed_text(self, texts: str | Sequence[str]) -> NDArray[float32]:
        """Return the unit embedding [d] of a text, [n, d] of several, by the model of the libraries; raises as `dimension`."""
        return encode_texts(lambda: self._searcher.encoders, texts)

    def states(self) -> tuple[dict[str, MemberState], tuple[Missing, ...]]:
        """Return what each library holds now, by its name, and those that do not answer; raises LibrariesDiffer, CollectionUnavailable."""
        found, missing = self._searcher.states()
        members = self._searcher.config.members
        return {members[place].name: state for place, state in found.items()}, missing

    def duplicates(self) -> Duplicates:
        """Group the images with the same bytes in different libraries and in one; raises NotForCollections where one is at an address."""
        return duplicates.exact(self._searcher.config.folders("duplicates are read from"))
