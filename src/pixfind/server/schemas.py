"""
The requests and responses of the API, as its OpenAPI description shows them.

Owns names, types and bounds of the JSON. Must not know how a response is computed.
"""

import datetime as dt
import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixfind.search.filters import Filters, Shape
from pixfind.search.filters import parse as parse_filters
from pixfind.search.query import MAX_QUERY_CHARACTERS

MAX_HITS = 500
MAX_OFFSET = 5_000
MAX_ID = 2**63 - 1

ImageId = Annotated[int, Field(ge=1, le=MAX_ID, description="`image_id` of a hit")]


class Page(BaseModel):
    """Which hits to return (pagination), and the filters."""

    model_config = ConfigDict(populate_by_name=True)

    k: int = Field(60, ge=1, le=MAX_HITS, description="hits to show")
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="hits to leave out before them")
    cursor: str | None = Field(
        None, max_length=80, description="`next` of the page before: continues behind its last hit; not with `offset`"
    )
    distinct: bool = Field(default=False, description="fold near-duplicates into the best of them")
    each_file: bool = Field(
        default=False, description="show the files of one shot, such as RAW and JPEG, as hits of their own"
    )
    include_weak: bool = Field(default=False, alias="all", description="show hits below the cut-off too")
    inside: str | None = Field(None, alias="in", max_length=1_000, description="glob: a folder or files")
    after: str | None = Field(None, max_length=40, description="taken on or after: 2021, 2021-05, 2021-05-17")
    before: str | None = Field(None, max_length=40, description="taken before")
    min_size: int | None = Field(None, description="pixels that the shorter side has at least")
    max_size: int | None = Field(None, description="pixels that the longer side has at most")
    shape: Shape | None = None
    camera: str | None = Field(None, max_length=200, description="part of the camera's name")
    near: str | None = Field(None, max_length=80, description="LATITUDE,LONGITUDE,KM")

    def filters(self) -> Filters:
        """Return the filters; an empty field is none. Raises InvalidFilter for an invalid value."""
        return parse_filters(
            inside=self.inside or None,
            after=self.after or None,
            before=self.before or None,
            min_size=self.min_size,
            max_size=self.max_size,
            shape=self.shape,
            camera=self.camera or None,
            near=self.near or None,
        )


class SearchRequest(Page):
    """The parameters of a search."""

    q: str = Field(
        "",
        max_length=MAX_QUERY_CHARACTERS,
        description='terms with signs and weights: `beach +"sunset" -people +2:id:17`',
    )


class Hit(BaseModel):
    """One picture of a search result."""

    rank: int
    image_id: int
    path: str
    name: str
    score: float | None = Field(description="cosine between query and picture; null for a search with filters alone")
    query_z: float | None = Field(description="z-score of `score` among the scores of this query over the library")
    image_z: float | None = Field(description="z-score of `score` among the scores of everyday texts on this picture")
    unusual: float | None = Field(description="the former name of `query_z`", deprecated=True)
    fitting: float | None = Field(description="the former name of `image_z`", deprecated=True)
    width: int | None
    height: int | None
    taken: str | None = Field(description="local time of the camera where it named no offset, else UTC")
    folded: int = Field(description="near-duplicates that are folded into this hit")
    also: list[str] = Field(description="files with the same bytes")
    same_shot: list[str] = Field(description="the other files of the same shot, such as the RAW file beside a JPEG")


class SearchResponse(BaseModel):
    """The result of a search."""

    query: str
    hits: list[Hit]
    offset: int
    more: bool = Field(description="whether there are further hits")
    next: str | None = Field(
        description="the `cursor` of the next page; null on the last one, and where a ranked list is not continued"
    )
    hidden: int = Field(description="how many of the best hits are left out because they are below the cut-off")
    cutoff: float | None
    remark: str | None
    unknown: list[str] = Field(description="words of the query that the model does not know")
    ignored: list[str] = Field(description="texts that are left out because the model knows none of their words")
    rows: int = Field(description="embeddings that were searched")
    seconds: float
    generation: str = Field(description="changes when the library's embeddings or its index do")


class Metadata(BaseModel):
    """The metadata of one image."""

    image_id: int
    path: str
    name: str
    root: str
    width: int | None
    height: int | None
    bytes: int
    taken: str | None
    modified: str
    camera: str | None
    latitude: float | None
    longitude: float | None
    outcome: str = Field(description="embedded, duplicate, failed, skipped or pending")
    reason: str | None
    also: list[str] = Field(description="files with the same bytes")
    same_shot: list[str] = Field(description="the other files of the same shot, such as the RAW file beside a JPEG")


class Watch(BaseModel):
    """The watch that keeps the library current."""

    running: bool
    rescan_minutes: float | None = Field(
        description="how often folders are scanned that tell no changes; null when no watch runs"
    )
    rescanned: dict[str, str] = Field(
        description="folder -> why it is scanned every `rescan_minutes`; changes elsewhere are noticed at once"
    )
    stopped: str | None = Field(description="why the watch of this server does not run; null while one runs")


class Status(BaseModel):
    """The values of `pixfind status --json`, and some more for the page."""

    library: str
    images: dict[str, int] = Field(description="seen = embedded + duplicate + failed + skipped + pending")
    merged_rows: int
    index_rows: int
    recall: float | None
    model: str | None
    precision: str | None
    change: dict[str, Any] | None = Field(
        description="the model that is to answer next, with its counts; null when none is"
    )
    kept: list[dict[str, Any]] = Field(description="models that answered before or were abandoned, with their counts")
    running: bool
    run: dict[str, Any] | None
    watch: Watch | None = Field(description="null when no watch runs and this server was not asked for one")
    workers: list[dict[str, Any]]
    images_per_second: float | None
    eta_seconds: float | None
    bottleneck: str | None
    because: str | None = Field(description="the figures behind the bottleneck")
    stages: dict[str, float] = Field(description="stage -> seconds a second, all workers together")
    bytes_per_second: float | None
    cores: float | None = Field(description="processors that the embed uses")
    failures: dict[str, int]
    left_out: dict[str, int] = Field(
        description="suffix -> files of that kind below the folders, which pixfind does not read"
    )
    offline: dict[str, str]
    bytes: int
    free_bytes: int
    searchable_rows: int
    paused: bool
    pause_reason: str | None
    can_control: bool
    folders: list[str]

    model_config = ConfigDict(extra="forbid")


class Failure(BaseModel):
    """One image without an embedding."""

    image_id: int
    path: str
    reason: str


class Failures(BaseModel):
    """A page of images without an embedding."""

    failures: list[Failure]
    more: bool


class EmbedAction(BaseModel):
    """What to do with the embed of this library."""

    action: Literal["start", "pause", "resume", "stop"]


class ErrorDetail(BaseModel):
    """What went wrong, where, and the next step."""

    message: str
    kind: str = Field(description="name of the error, as in the list of errors")
    former_kind: str = Field(description="the name that it had in version 0.1; will be removed")
    position: int | None = Field(description="character of the query")


class ErrorResponse(BaseModel):
    """The body of every response that is no success: problem details (RFC 9457), and `error` with what is ours."""

    type: str = Field(description="`urn:pixfind:error:` and the `kind`")
    title: str = Field(description="the `kind` in words")
    status: int = Field(description="of the response")
    detail: str = Field(description="the `message`")
    error: ErrorDetail


def display_path(path: str) -> str:
    """Return a path as JSON can represent it: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def iso_time(seconds: float | None) -> str | None:
    """Return seconds since 1970 as ISO 8601 without an offset; None where there are none, or for a year beyond 9999."""
    if seconds is None:
        return None
    try:
        return (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=int(seconds))).isoformat()  # noqa: DTZ001  EXIF times rarely have a zone
    except OverflowError:
        return None
