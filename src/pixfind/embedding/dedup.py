"""
Deduplication while embedding: each content is embedded once, however many files have it.

Owns which contents are being embedded, and which images wait for them. An image claims its content before it is embedded; the first one gets
it, and the others share its end. Must not know who embeds.
"""

import collections
from collections.abc import Iterable
from dataclasses import dataclass, field

from pixfind.library.catalogue import Catalogue
from pixfind.types import ImageRef

Waiting = tuple[ImageRef, bytes]
"""an image that waits for another one with the same content, and the hash of that content"""


@dataclass(slots=True)
class Answer:
    """What becomes of images that claimed their contents."""

    granted: list[ImageRef] = field(default_factory=list)
    """to be embedded"""
    refused: list[ImageRef] = field(default_factory=list)
    """their content is embedded, or being embedded"""
    known: list[Waiting] = field(default_factory=list)
    """those of the refused ones whose content is embedded already"""


class ContentClaims:
    """Which contents are being embedded, and which images wait because they have the same."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._owner: dict[bytes, int] = {}
        self._content: dict[int, bytes] = {}
        self._waiting: dict[bytes, list[ImageRef]] = collections.defaultdict(list)

    def answer(self, claims: Iterable[Waiting]) -> Answer:
        """Decide which of the images to embed; each comes with the hash of its content."""
        answer = Answer()
        for image, content in claims:
            if self._catalogue.contents.row(content) is not None:
                answer.known.append((image, content))
            elif self._claim(image, content):
                answer.granted.append(image)
                continue
            answer.refused.append(image)
        return answer

    def release(self, image_id: int) -> list[Waiting]:
        """Give up the claim of an image that has ended, in whatever way; return the images that waited for it."""
        content = self._content.pop(image_id, None)
        if content is None:
            return []
        del self._owner[content]
        return [(image, content) for image in self._waiting.pop(content, [])]

    def adopt_duplicates(self, images: Iterable[Waiting]) -> list[ImageRef]:
        """
        Give images the row of the embedded image with the same content; return those that got none.

        They get none when the row that they waited for did not become one of the library.
        """
        left = []
        with self._catalogue.transaction():
            for image, content in images:
                if not self._catalogue.adopt_duplicate(image.image_id, content, image.size, image.mtime_ns):
                    left.append(image)
        return left

    def _claim(self, image: ImageRef, content: bytes) -> bool:
        """Return whether this image may be embedded: it is the first of its content, or the same one again."""
        owner = self._owner.setdefault(content, image.image_id)
        if owner == image.image_id:
            self._content[image.image_id] = content
            return True
        self._waiting[content].append(image)
        return False
