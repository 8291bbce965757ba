"""
What a server shows of pictures besides searches: lists, counts, states, single images.

Owns the questions (`LibraryView`). `local_view` answers them for a library in a folder, `remote_view` for one behind another server, and
`collection_view` for several of these as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from pixfind.server import count_schemas, schemas, status_schemas


@dataclass(frozen=True, slots=True)
class Original:
    """The open file of an image."""

    name: str
    """as JSON can represent it; of a frame that of its video"""
    descriptor: int
    """open for reading; whoever asked closes it"""
    video: str | None
    """which video it is, where it is one: several frames have one file"""


class LibraryView(Protocol):
    """
    The pictures behind a server. Call its methods on the event loop.

    Every method raises Overloaded. Those that take a page raise InvalidFilter, those that take one image ImageNotFound; where a library of a
    collection does not answer, the first name it in `missing`, and the others raise LibrarySilent.
    """

    @property
    def waiting(self) -> int:
        """Questions that are running or queued."""

    @property
    def completed(self) -> int:
        """Questions that have ended."""

    async def newest(self, page: schemas.Page) -> schemas.SearchResponse:
        """Return the newest images that pass the filters, or those that a cursor names."""

    async def timeline(self, page: schemas.Page) -> count_schemas.Timeline:
        """Return the months that have images which pass the filters."""

    async def facets(self, page: schemas.Page, ids: Sequence[int] | None) -> count_schemas.Facets:
        """Count what the images that pass the filters have in common, or with `ids` those, whatever the filters: they are hits of a search with these."""

    async def folders(self, page: schemas.Page, below: str | None) -> count_schemas.Folders:
        """Return the folders in a folder, or the roots."""

    async def places(self, view: count_schemas.MapView) -> count_schemas.Places:
        """Return where the images that pass the filters were taken; raises LibraryTooLargeForMap."""

    async def similarity(self, view: count_schemas.SimilarityView) -> count_schemas.SimilarityGroups:
        """Return which images that pass the filters look alike; raises LibraryTooLargeForMap and NoSimilarityMap."""

    async def warm(self) -> None:
        """Read what is counted, so that the first count is as fast as the others; raises nothing."""

    async def hit_metadata(self, ids: Sequence[int]) -> dict[int, schemas.HitMetadata]:
        """Return what is shown with hits; nothing of those that are gone."""

    async def status(self) -> status_schemas.Status:
        """Return the state."""

    async def failures(self, reason: str | None, offset: int, k: int) -> schemas.Failures:
        """Return images without an embedding, for one reason or all (None)."""

    async def metadata(self, image_id: int) -> schemas.Metadata:
        """Return the metadata of an image."""

    async def thumbnail(self, image_id: int, side: int) -> bytes:
        """Return a JPEG whose longer side has at most `side` pixels; raises what `images.Thumbnails.get` raises."""

    async def file(self, request: Request, image_id: int) -> Response:
        """Return the response to a request for the file of an image; raises what `images.open_file` raises."""

    async def original(self, image_id: int) -> Original:
        """Return the open file of an image; raises what `images.open_file` raises."""

    async def selection(self, ids: Sequence[int]) -> schemas.Selection:
        """Return what a zip of these images would hold; one that cannot be read is named with the reason."""

    def close(self) -> None:
        """Close what is open."""
