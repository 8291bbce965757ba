"""
Albums in requests and responses of the API.

Owns names, types and bounds of the JSON, and what may be kept, whoever keeps it. Must not know where albums are kept.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pixfind import errors
from pixfind.library.albums import MAX_NAME
from pixfind.search.filters import MAX_LABELS, Shape
from pixfind.search.query import MAX_QUERY_CHARACTERS
from pixfind.search.where import MAX_CONDITIONS
from pixfind.server import ranked_page
from pixfind.server.schemas import ImageId, SearchRequest
from pixfind.types import Sort

MAX_CHANGE: Final = 1_000
"""pictures that one request puts into an album or takes out"""


def _said_of(name: str) -> str | None:
    """Return the description of a parameter of a search."""
    return SearchRequest.model_fields[name].description


class SavedSearch(BaseModel):
    """A search as an album keeps it: what was asked for, without pages. Dates in words keep their words, and so move with the present."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    q: str = Field("", max_length=MAX_QUERY_CHARACTERS, description=_said_of("q"))
    inside: str | None = Field(None, alias="in", max_length=1_000, description=_said_of("inside"))
    after: str | None = Field(None, max_length=40, description=_said_of("after"))
    before: str | None = Field(None, max_length=40, description=_said_of("before"))
    added_after: str | None = Field(None, max_length=40, description=_said_of("added_after"))
    added_before: str | None = Field(None, max_length=40, description=_said_of("added_before"))
    min_size: int | None = Field(None, description=_said_of("min_size"))
    max_size: int | None = Field(None, description=_said_of("max_size"))
    shape: Shape | None = Field(None, description=_said_of("shape"))
    camera: str | None = Field(None, max_length=200, description=_said_of("camera"))
    near: str | None = Field(None, max_length=80, description=_said_of("near"))
    where: tuple[Annotated[str, Field(max_length=300)], ...] = Field(
        (), max_length=MAX_CONDITIONS, description=_said_of("where")
    )
    label: tuple[Annotated[str, Field(max_length=101)], ...] = Field(
        (), max_length=MAX_LABELS, description=_said_of("label")
    )
    album: str | None = Field(None, max_length=MAX_NAME, description=_said_of("album"))
    sort: Sort | None = Field(None, description=_said_of("sort"))
    include_weak: bool = Field(default=False, alias="all", description=_said_of("include_weak"))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the search of an album; raises ValueError, which says what of it this version does not understand."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def check(self, name: str) -> None:
        """Check that whoever opens the album can make the search; raises InvalidFilter, InvalidQuery, and InvalidAlbum for a picture by the name of its file."""
        kept = SearchRequest.model_validate(self.model_dump())
        if kept.filters() and not kept.q.strip():
            return
        try:
            ranked_page.parse(kept.q, allow_empty=False)
        except errors.PathNotAllowed as error:
            detail = f'"{error.fields["value"]}" is a file, which only one place has; use id:NUMBER, or quote words'
            raise errors.InvalidAlbum(name=name, detail=detail) from error

    def values(self) -> dict[str, Any]:
        """Return what was asked for, as an album keeps it."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class Album(BaseModel):
    """A search with a name, or pictures that were put together: their search is that for them."""

    name: str = Field(description="by which it is opened")
    search: SavedSearch = Field(description="what it asks for")
    pictures: int | None = Field(None, description="how many pictures were put into it; null for a search")


class Albums(BaseModel):
    """The albums of the library, in the order in which they were made."""

    albums: list[Album] = Field(description="in the order in which they were made")
    can_change: bool = Field(description="whether this server may make and remove albums")


class AlbumChange(BaseModel):
    """Keep a search as an album, in the place of one with this name; put pictures into an album, or take them out; or remove one."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="of the album; a search with this name is replaced")
    search: SavedSearch | None = Field(
        None, description="null: remove the album, and no picture, unless `add` or `take` is there"
    )
    add: tuple[ImageId, ...] = Field(
        (), max_length=MAX_CHANGE, description="images to put into the album, which is made if there is none"
    )
    take: tuple[ImageId, ...] = Field((), max_length=MAX_CHANGE, description="images to take out of it")

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if "search" not in self.model_fields_set and not self.add and not self.take:
            raise ValueError("it needs search, add or take")
        if self.search is not None and (self.add or self.take):
            raise ValueError("an album is a search or has pictures")
        return self
