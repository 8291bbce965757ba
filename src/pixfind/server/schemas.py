"""
The requests and responses of the API, as its OpenAPI description shows them.

Owns names, types and bounds of the JSON. Must not know how a response is computed.
"""

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixfind.library.albums import MAX_NAME
from pixfind.search.filters import MAX_LABELS, Filters, Shape
from pixfind.search.filters import parse as parse_filters
from pixfind.search.query import MAX_QUERY_CHARACTERS
from pixfind.search.where import MAX_CONDITIONS
from pixfind.types import Sort

MAX_HITS = 500
MAX_OFFSET = 5_000
MAX_STACK = 50
"""pictures behind a hit that a response has"""
MAX_ID = 2**63 - 1

_NO_NUL = r"^[^\x00]*$"
"""what a file name and the argument of a command can hold"""

_DATES = ["2021", "2021-05", "2021-05-17", "yesterday", "may 2021", "last summer"]

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
        default=False,
        description="show the files of one shot, such as RAW and JPEG, and the frames of one video as hits of their own",
    )
    include_weak: bool = Field(default=False, alias="all", description="show hits below the cut-off too")
    sort: Sort | None = Field(
        None,
        description="`score`, `date` (the newest first) or `added` (the last registered first); default: `score` for a query, `date` without one",
    )
    inside: str | None = Field(
        None,
        alias="in",
        max_length=1_000,
        description="a folder or files: a path, a name, or a glob where the library knows nothing by that path or name; `*` is all of them",
        examples=["*/2021/*", "*"],
    )
    after: str | None = Field(
        None,
        max_length=40,
        description="taken on or after: a year, month or day, or words for one; by the clock of the camera",
        examples=_DATES,
    )
    before: str | None = Field(
        None, max_length=40, description="taken before the first moment of this date; as `after`", examples=_DATES
    )
    added_after: str | None = Field(
        None,
        max_length=40,
        description="registered on or after: as `after`, and hours; by the clock of the server",
        examples=["2021-05-17", "yesterday", "two hours ago"],
    )
    added_before: str | None = Field(
        None,
        max_length=40,
        description="registered before the first moment of this date; as `added_after`",
        examples=["2021-05-17", "yesterday", "two hours ago"],
    )
    min_size: int | None = Field(None, description="pixels that the shorter side has at least")
    max_size: int | None = Field(None, description="pixels that the longer side has at most")
    shape: Shape | None = Field(
        None, description="of the upright picture; up to 5 % more width than height, or the reverse, is square"
    )
    camera: str | None = Field(
        None, max_length=200, description="part of the camera's name, in either case", examples=["canon"]
    )
    near: str | None = Field(
        None,
        max_length=80,
        description="taken within so many kilometres of a place: LATITUDE,LONGITUDE,KM, in decimal degrees, north and east positive",
        examples=["52.52,13.405,10", "-33.86,151.21,2.5"],
    )
    where: tuple[Annotated[str, Field(max_length=300)], ...] = Field(
        (),
        max_length=MAX_CONDITIONS,
        description="conditions on fields of lists, which must all hold: license=cc0, width>1000, caption~dog",
    )

    label: tuple[Annotated[str, Field(max_length=101)], ...] = Field(
        (),
        max_length=MAX_LABELS,
        description="labels that a hit has, or with a minus before it, has not; all must hold",
    )
    album: str | None = Field(None, max_length=MAX_NAME, description="an album that pictures were put into")

    def filters(self) -> Filters:
        """Return the filters; an empty field is none. Raises InvalidFilter for an invalid value."""
        return parse_filters(
            inside=self.inside or None,
            after=self.after or None,
            before=self.before or None,
            added_after=self.added_after or None,
            added_before=self.added_before or None,
            min_size=self.min_size,
            max_size=self.max_size,
            shape=self.shape,
            camera=self.camera or None,
            near=self.near or None,
            where=[text for text in self.where if text.strip()],
            label=[name for name in self.label if name.strip()],
            album=self.album or None,
        )


class SearchRequest(Page):
    """The parameters of a search."""

    q: str = Field(
        "",
        max_length=MAX_QUERY_CHARACTERS,
        description='terms with signs and weights: `beach +"sunset" -people +2:id:17`',
    )


class Line(BaseModel):
    """A line of text in a picture."""

    text: str = Field(description="as it was read")
    confidence: float = Field(description="0 to 1")
    box: list[float] = Field(
        description="corners, from the beginning of the line on: x, y, ... from 0 to 1 of the upright picture"
    )


class Stacked(BaseModel):
    """A picture that stands behind a hit."""

    image_id: int = Field(description="stays the same for ever")
    path: str = Field(description="of the file; bytes that are not UTF-8 as U+FFFD")
    name: str = Field(description="of the file, without its folders")
    width: int | None = Field(description="pixels, of the upright picture; null: unknown")
    height: int | None = Field(description="pixels, of the upright picture; null: unknown")
    date: str | None = Field(description="as that of a hit")
    kind: str = Field(description="`near` (nearly the same picture) or `burst` (by the same camera within seconds)")


class Hit(BaseModel):
    """One picture of a search result."""

    rank: int = Field(description="1 for the best, counted over all pages")
    image_id: int = Field(description="stays the same for ever")
    path: str = Field(description="of the file; bytes that are not UTF-8 as U+FFFD")
    name: str = Field(description="of the file, without its folders")
    score: float | None = Field(description="cosine between query and picture; null for a search with filters alone")
    query_z: float | None = Field(description="z-score of `score` among the scores of this query over the library")
    image_z: float | None = Field(description="z-score of `score` among the scores of everyday texts on this picture")
    unusual: float | None = Field(description="the former name of `query_z`", deprecated=True)
    fitting: float | None = Field(description="the former name of `image_z`", deprecated=True)
    width: int | None = Field(description="pixels, of the upright picture")
    height: int | None = Field(description="pixels, of the upright picture")
    taken: str | None = Field(description="local time of the camera where it named no offset, else UTC")
    date: str | None = Field(
        description="`taken`, or when the file was changed where that is not known: what newest first goes by"
    )
    added: str | None = Field(
        default=None, description="when it was registered, UTC; null: by a version that did not keep it"
    )
    folded: int = Field(description="pictures that stand behind this hit")
    stack: list[Stacked] = Field(
        default_factory=list, description="the best of them: near-duplicates, and pictures of its burst"
    )
    also: list[str] = Field(description="files with the same bytes")
    same_shot: list[str] = Field(description="the other files of the same shot, such as the RAW file beside a JPEG")
    because: list[str] = Field(
        description="why it is a hit: `looks` (near to the query), `says` (words stand in the picture), `name` (words stand in its name)"
    )
    lines: list[Line] = Field(description="lines of text in the picture in which words of the query stand")
    time: float | None = Field(description="of a frame of a video: seconds from its start")
    same_video: list[str] = Field(
        description="frames of the same video that were found as well, in the order of their times"
    )
    library: str | None = Field(
        default=None, description="which library of a collection has it; null where there is one"
    )


class HitMetadata(BaseModel):
    """What is shown with a hit."""

    width: int | None = Field(description="pixels, of the upright picture; null: unknown")
    height: int | None = Field(description="pixels, of the upright picture; null: unknown")
    taken: str | None = Field(description="as that of a hit; null: unknown")
    date: str | None = Field(description="as that of a hit; null: unknown")
    added: str | None = Field(default=None, description="as that of a hit; null: by a version that did not keep it")


class MetadataOfHits(BaseModel):
    """What is shown with some hits."""

    hits: dict[int, HitMetadata] = Field(description="image id -> metadata; images that are gone are left out")


class Missing(BaseModel):
    """A library of a collection that did not answer, so that its pictures are not in this response."""

    library: str = Field(description="its name in the collection")
    why: str = Field(description="the reason, in English")


class Complete(BaseModel):
    """A response that says which libraries of a collection are not in it."""

    missing: list[Missing] = Field(
        default_factory=list, description="libraries of a collection that did not answer; empty where there is one"
    )


class DateInQuery(BaseModel):
    """A date among the words of a query, which a client may offer as a filter: nothing is filtered by it."""

    words: str = Field(description="as they stand in the query: `in may 2021`")
    meaning: str = Field(description="1 May 2021 to 31 May 2021")
    query: str = Field(description="the query without these words")
    after: str | None = Field(description="the filter `after` for it")
    before: str | None = Field(description="the filter `before` for it")


class SearchResponse(Complete):
    """The result of a search."""

    query: str = Field(description="as it was sent; empty where filters alone ask")
    hits: list[Hit] = Field(description="of this page, the best first, or as `sort` asks")
    offset: int = Field(description="hits on the pages before")
    more: bool = Field(description="whether there are further hits")
    next: str | None = Field(
        description="the `cursor` of the next page; null on the last one, and where a ranked list is not continued"
    )
    hidden: int = Field(description="how many of the best hits are left out because they are below the cut-off")
    cutoff: float | None = Field(
        description="z-score below which hits are hidden, as `hidden` counts them; null: none holds, as with `all`"
    )
    remark: str | None = Field(description="why there are no hits or few, in English; null: nothing is to be said")
    unknown: list[str] = Field(description="words of the query that the model does not know")
    ignored: list[str] = Field(description="texts that are left out because the model knows none of their words")
    previous: str | None = Field(
        description="the `cursor` of the page before this one; null on the first one, and in a ranked list"
    )
    date: DateInQuery | None = Field(default=None, description="a date among the words of the query")
    rows: int = Field(
        description="embeddings of the library, those of images that have gone or that do not pass the filters included"
    )
    seconds: float = Field(description="that the search took on the server")
    generation: str = Field(description="changes when the library's embeddings or its index do")


class Metadata(BaseModel):
    """The metadata of one image."""

    image_id: int = Field(description="stays the same for ever")
    path: str = Field(description="of the file; bytes that are not UTF-8 as U+FFFD")
    name: str = Field(description="of the file, without its folders")
    root: str = Field(description="folder, archive or address that was registered and has it")
    width: int | None = Field(description="pixels, of the upright picture")
    height: int | None = Field(description="pixels, of the upright picture")
    bytes: int = Field(description="of the file")
    taken: str | None = Field(description="local time of the camera where it named no offset, else UTC")
    modified: str = Field(description="when the file was changed, UTC; empty: unknown")
    camera: str | None = Field(description="maker and model; null: unknown")
    latitude: float | None = Field(description="decimal degrees, north positive")
    longitude: float | None = Field(description="decimal degrees, east positive")
    outcome: str = Field(description="embedded, duplicate, failed, skipped or pending")
    reason: str | None = Field(description="why it has no embedding; null: it has one, or is pending")
    also: list[str] = Field(description="files with the same bytes")
    same_shot: list[str] = Field(description="the other files of the same shot, such as the RAW file beside a JPEG")
    time: float | None = Field(description="of a frame of a video: seconds from its start")
    labels: list[str] = Field(default_factory=list, description="labels that it has")
    fields: dict[str, str] = Field(description="what lists say of it, in the columns that they keep")
    cursors: dict[str, str] = Field(
        default_factory=dict,
        description="`sort` -> the `cursor` with which a list without a query in this order begins with this image, where its filters let it pass",
    )
    library: str | None = Field(
        default=None, description="which library of a collection has it; null where there is one"
    )


class Failure(BaseModel):
    """One image without an embedding."""

    image_id: int = Field(description="stays the same for ever")
    path: str = Field(description="of the file; bytes that are not UTF-8 as U+FFFD")
    reason: str = Field(description="why it has none, in English")


class Failures(Complete):
    """A page of images without an embedding."""

    failures: list[Failure] = Field(description="by their ids")
    more: bool = Field(description="whether there are further ones behind this page")


class Unavailable(BaseModel):
    """One image whose file cannot be read now."""

    image_id: int = Field(description="stays the same for ever")
    detail: str = Field(description="why it cannot be read, in English")


class Selection(BaseModel):
    """What a zip of some images would hold."""

    count: int = Field(description="of different images that were asked for")
    bytes: int = Field(description="of the files that can be read")
    unavailable: list[Unavailable] = Field(description="those of them that cannot be read now")
    fits: bool = Field(description="whether a zip may hold so many bytes")
    max_count: int = Field(description="images that a zip may hold")
    max_bytes: int = Field(description="that a zip may hold")


class Root(BaseModel):
    """A folder that was registered, or an archive, a list, a place in object storage."""

    path: str = Field(description="bytes that are not UTF-8 as `\\xNN`")
    images: dict[str, int] = Field(description="searchable, pending, failed, skipped, gone -> images; none without any")
    offline: str | None = Field(description="why it is away; null while it is there")
    exclude: list[str] = Field(description="patterns of what is left out")
    left_out: dict[str, int] = Field(description="suffix -> files of that kind, which pixfind does not read")
    in_archives: bool = Field(description="whether archives below it are looked into")


class Roots(BaseModel):
    """What the library looks after."""

    roots: list[Root] = Field(description="by their paths")


class RootAction(BaseModel):
    """What to do with a folder; what is new in it is embedded."""

    action: Literal["add", "scan", "exclude"] = Field(
        description="`add` registers it, `scan` scans it again, `exclude` also leaves out what fits the patterns, from now on"
    )
    path: str = Field(min_length=1, max_length=4_096, pattern=_NO_NUL, description="absolute, or as in `Root`")
    exclude: list[Annotated[str, Field(min_length=1, max_length=300, pattern=_NO_NUL)]] = Field(
        [], max_length=20, description="patterns of what is left out, such as *_old.jpg; for `exclude` alone"
    )


class LastRun(BaseModel):
    """The last command that wrote the library, and the end of the log of embeds."""

    verb: str | None = Field(description="null: there was none")
    started: float | None = Field(description="seconds since 1970")
    seconds: float | None = Field(description="null while it runs, and when it was killed")
    lines: list[str] = Field(description="the last ones of the log, the oldest first")


class EmbedAction(BaseModel):
    """What to do with the embed of this library."""

    action: Literal["start", "scan", "pause", "resume", "stop"] = Field(
        description="`scan` scans all folders, and embeds what has changed; `start` embeds what is pending"
    )


class ErrorDetail(BaseModel):
    """What went wrong, where, and the next step."""

    message: str = Field(description="what, where, and what to do next, in English")
    kind: str = Field(description="name of the error, as in the list of errors")
    former_kind: str = Field(description="the name that it had in version 0.1; will be removed")
    position: int | None = Field(description="character of the query")
    values: dict[str, str | float] = Field(
        description="what stands in the message, for who says it in another language"
    )


class ErrorResponse(BaseModel):
    """The body of every response that is no success: problem details (RFC 9457), and `error` with what is ours."""

    type: str = Field(description="`urn:pixfind:error:` and the `kind`")
    title: str = Field(description="the `kind` in words")
    status: int = Field(description="of the response")
    detail: str = Field(description="the `message`")
    error: ErrorDetail = Field(description="what problem details have no member for")


def display_path(path: str) -> str:
    """Return a path as JSON can represent it: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")
