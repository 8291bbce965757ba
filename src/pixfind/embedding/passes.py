"""
What one run makes of images: embeddings, or their text. The coordinator assigns and replaces workers in the same way for both.

Owns which images wait, and how what workers have made becomes part of the library. Must not know workers or messages.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from pixfind.library import commit, texts
from pixfind.library.commit import Adopted
from pixfind.library.library import Library
from pixfind.library.texts import TextOutcome
from pixfind.types import ImageRef, Outcome, ReadText, Settled

_CHUNK = 1024
"""images read from the catalogue at a time"""


class Pass(Protocol):
    """One pass over the images of a library."""

    def count(self, part: int = 0, parts: int = 1) -> int:
        """Count the images that wait, of all or of one part."""

    def chunks(self, part: int, parts: int) -> Iterator[list[ImageRef]]:
        """Yield the images of one part that wait, the first to be done first."""

    def adopt(self, made: Mapping[int, Sequence[ReadText]]) -> dict[int, Adopted]:
        """Make what workers have saved part of the library, together; `made` has for each worker what has come in messages."""

    def outcomes(self, adopted: Adopted) -> Counter[str]:
        """Count what was adopted by what it has come to."""

    def settle(self, settled: Sequence[Settled]) -> None:
        """Record images that ended without a result."""

    def retries(self, changed: ImageRef) -> bool:
        """Take note that a file is not what the catalogue knows, but as `changed` says; return whether this run tries it again."""


class EmbedPass:
    """Embeds what is pending."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def count(self, part: int = 0, parts: int = 1) -> int:
        return self._library.catalogue.count_pending(part=part, parts=parts)

    def chunks(self, part: int, parts: int) -> Iterator[list[ImageRef]]:
        after = 0
        while chunk := self._library.catalogue.pending(part=part, parts=parts, after=after, limit=_CHUNK):
            after = chunk[-1].image_id
            yield chunk

    def adopt(self, made: Mapping[int, Sequence[ReadText]]) -> dict[int, Adopted]:
        """Adopt the rows of worker files; raises what `commit.adopt` raises."""
        return commit.adopt(self._library, *made)

    def outcomes(self, adopted: Adopted) -> Counter[str]:
        return Counter({Outcome.EMBEDDED: len(adopted.embedded), Outcome.DUPLICATE: len(adopted.duplicates)})

    def settle(self, settled: Sequence[Settled]) -> None:
        with self._library.catalogue.transaction():
            self._library.catalogue.settle(settled)

    def retries(self, changed: ImageRef) -> bool:
        self._library.catalogue.run(
            "changed_on_disk", image_id=changed.image_id, size=changed.size, mtime_ns=changed.mtime_ns
        )
        return True


class ReadPass:
    """Reads the text of contents of which nothing is known."""

    def __init__(self, library: Library, reader: str, order: Sequence[int] | None = None) -> None:
        """`order`: ids of the images that wait, the most promising first; None: in the order of their ids."""
        self._catalogue = library.catalogue
        self._reader = reader
        self._order = [image_id for image_id, _ in texts.pending(library.catalogue)] if order is None else order
        self._without_text: set[int] = set()

    def count(self, part: int = 0, parts: int = 1) -> int:
        return len(range(part, len(self._order), parts))

    def chunks(self, part: int, parts: int) -> Iterator[list[ImageRef]]:
        ids = iter(self._order[part::parts])
        while chunk := list(itertools.islice(ids, _CHUNK)):
            if found := texts.images(self._catalogue, chunk):
                yield found

    def adopt(self, made: Mapping[int, Sequence[ReadText]]) -> dict[int, Adopted]:
        """Commit the texts: a text belongs to the library when this transaction is durable."""
        with self._catalogue.transaction():
            texts.keep(self._catalogue, itertools.chain.from_iterable(made.values()), self._reader)
        self._without_text.update(text.image_id for read in made.values() for text in read if not text.lines)
        return {worker: Adopted(embedded=[text.image_id for text in read]) for worker, read in made.items()}

    def outcomes(self, adopted: Adopted) -> Counter[str]:
        return Counter(
            TextOutcome.NO_TEXT if image_id in self._without_text else TextOutcome.READ for image_id in adopted.embedded
        )

    def settle(self, settled: Iterable[Settled]) -> None:
        with self._catalogue.transaction():
            texts.fail(self._catalogue, settled, self._reader)

    def retries(self, changed: ImageRef) -> bool:  # noqa: ARG002  whatever it is by now
        """Not in this run: `index` finds out that the bytes are others and embeds them, and then they are read."""
        return False
