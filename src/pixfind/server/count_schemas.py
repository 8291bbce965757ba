"""
The shapes of answers that count: months, facets, folders and places.

Must not know how anything is counted.
"""

from pydantic import BaseModel, Field

from pixfind.server.schemas import Complete, Page


class Month(BaseModel):
    """The images of one month."""

    month: str = Field(description="2021-05")
    count: int
    cursor: str = Field(description="`cursor` of a search with the same filters, which begins with this month")


class Counted(Complete):
    """A response with counts."""

    current: bool = Field(
        default=True,
        description="false while a large library grows: what changed in the last seconds is not counted yet",
    )


class Timeline(Counted):
    """How many images each month has, the newest first; months without any are left out."""

    count: int
    months: list[Month]


class FacetValue(BaseModel):
    """How many images share a value."""

    value: str
    count: int


class Facets(Counted):
    """What the images of a result have in common, the most frequent first."""

    count: int = Field(description="images that were counted")
    ranked: bool = Field(
        description="whether these are the best hits of a query; else all images that pass the filters"
    )
    cameras: list[FacetValue]
    shapes: list[FacetValue]
    years: list[FacetValue]
    labels: list[FacetValue] = Field(default_factory=list, description="labels of `pixfind label`")
    kinds: list[FacetValue] = Field(description="suffixes of the files, as they are written")


class Folder(BaseModel):
    """A folder, and how many images lie anywhere below it."""

    path: str = Field(description="as the filter `in` takes it, but for characters that have a meaning there")
    name: str
    count: int


class Folders(Counted):
    """The roots of the library, or the folders in one folder."""

    folders: list[Folder]


class MapView(Page):
    """The part of a map that is on the screen, in Mercator's projection, and the filters."""

    west: float = Field(-180, ge=-180, le=180, description="degrees of longitude")
    south: float = Field(-90, ge=-90, le=90, description="degrees of latitude")
    east: float = Field(180, ge=-180, le=180)
    north: float = Field(90, ge=-90, le=90)
    zoom: int = Field(2, ge=0, le=22, description="the world is 256 pixels wide at 0, and twice as wide at each more")


class Bounds(BaseModel):
    """A part of the world, in degrees."""

    west: float
    south: float
    east: float
    north: float


class Place(BaseModel):
    """Images that lie close together on a map."""

    latitude: float = Field(description="of the middle of the images, in degrees")
    longitude: float
    km: float = Field(
        description="radius of a circle around it that has all of them: the filter near=LATITUDE,LONGITUDE,KM"
    )
    count: int
    image_id: int = Field(description="of the newest")


class Places(Counted):
    """Where the images that pass the filters were taken."""

    count: int = Field(description="images whose place is known")
    in_view: int = Field(description="... in this part of the world")
    bounds: Bounds | None = Field(description="around all of them; null where there are none")
    places: list[Place] = Field(description="in this part of the world, those with the most images first")
