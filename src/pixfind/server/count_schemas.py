"""
The shapes of answers that count: months, facets, folders, places and groups of similar images.

Must not know how anything is counted.
"""

from pydantic import BaseModel, Field

from pixfind.server.schemas import Complete, Page


class Month(BaseModel):
    """The images of one month."""

    month: str = Field(description="2021-05")
    count: int = Field(description="images of this month")
    cursor: str = Field(description="`cursor` of a search with the same filters, which begins with this month")


class Counted(Complete):
    """A response with counts."""

    current: bool = Field(
        default=True,
        description="false while a large library grows: what changed in the last seconds is not counted yet",
    )


class Timeline(Counted):
    """How many images each month has, the newest first; months without any are left out."""

    count: int = Field(description="images of all months")
    months: list[Month] = Field(description="the newest first")


class FacetValue(BaseModel):
    """How many images share a value."""

    value: str = Field(description="as a filter takes it")
    count: int = Field(description="images that have it")


class Facets(Counted):
    """What the images of a result have in common, the most frequent first."""

    count: int = Field(description="images that were counted")
    ranked: bool = Field(
        description="whether these are the best hits of a query; else all images that pass the filters"
    )
    cameras: list[FacetValue] = Field(description="the most frequent first")
    shapes: list[FacetValue] = Field(description="landscape, portrait, square")
    years: list[FacetValue] = Field(description="when they were taken")
    labels: list[FacetValue] = Field(default_factory=list, description="labels of `pixfind label`")
    kinds: list[FacetValue] = Field(description="suffixes of the files, as they are written")


class Folder(BaseModel):
    """A folder, and how many images lie anywhere below it."""

    path: str = Field(description="as the filter `in` takes it, but for characters that have a meaning there")
    name: str = Field(description="last part of `path`, or all of it for a root")
    count: int = Field(description="images that pass the filters, anywhere below it")


class Folders(Counted):
    """The roots of the library, or the folders in one folder."""

    folders: list[Folder] = Field(description="by their names")


class MapView(Page):
    """The part of a map that is on the screen, in Mercator's projection, and the filters."""

    west: float = Field(-180, ge=-180, le=180, description="degrees of longitude")
    south: float = Field(-90, ge=-90, le=90, description="degrees of latitude")
    east: float = Field(180, ge=-180, le=180, description="degrees of longitude")
    north: float = Field(90, ge=-90, le=90, description="degrees of latitude")
    zoom: int = Field(2, ge=0, le=22, description="the world is 256 pixels wide at 0, and twice as wide at each more")


class Bounds(BaseModel):
    """A part of the world, in degrees."""

    west: float = Field(description="degrees of longitude, east positive")
    south: float = Field(description="degrees of latitude, north positive")
    east: float = Field(description="degrees of longitude")
    north: float = Field(description="degrees of latitude")


class Place(BaseModel):
    """Images that lie close together on a map."""

    latitude: float = Field(description="of the middle of the images, in degrees")
    longitude: float = Field(description="of the middle of the images, in degrees")
    km: float = Field(
        description="radius of a circle around it that has all of them: the filter near=LATITUDE,LONGITUDE,KM"
    )
    count: int = Field(description="images of this place")
    image_id: int = Field(description="of the newest")


class Places(Counted):
    """Where the images that pass the filters were taken."""

    count: int = Field(description="images whose place is known")
    in_view: int = Field(description="... in this part of the world")
    bounds: Bounds | None = Field(description="around all of them; null where there are none")
    places: list[Place] = Field(description="in this part of the world, those with the most images first")


class SimilarityView(Page):
    """The part of the similarity map that is on the screen, and the filters."""

    left: float = Field(0, ge=0, le=1, description="edge of the part, 0 to 1 from the left of the map")
    top: float = Field(0, ge=0, le=1, description="edge of the part, 0 to 1 from the top of the map")
    right: float = Field(1, ge=0, le=1, description="edge of the part, 0 to 1 from the left of the map")
    bottom: float = Field(1, ge=0, le=1, description="edge of the part, 0 to 1 from the top of the map")
    zoom: int = Field(2, ge=0, le=14, description="the map is 256 pixels wide at 0, and twice as wide at each more")


class Box(BaseModel):
    """A part of the similarity map, which is 1 wide and high."""

    left: float = Field(description="0 to 1, from the left")
    top: float = Field(description="0 to 1, from the top")
    right: float = Field(description="0 to 1, from the left")
    bottom: float = Field(description="0 to 1, from the top")


class SimilarityGroup(BaseModel):
    """Images that lie close together on the similarity map."""

    x: float = Field(description="of the middle of its images, from the left; the map is 1 wide and high")
    y: float = Field(description="... from the top")
    reach: float = Field(description="how far its images lie from there at most")
    count: int = Field(description="images of this group")
    image_id: int = Field(description="of the image nearest to the middle")


class SimilarityGroups(Counted):
    """Which images that pass the filters look alike: the closer together on the map, the more."""

    count: int = Field(description="images on the map")
    in_view: int = Field(description="... in this part of it")
    bounds: Box | None = Field(description="around all of them; null where there are none")
    groups: list[SimilarityGroup] = Field(description="in this part of the map, those with the most images first")
