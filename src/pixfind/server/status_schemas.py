"""
The shape of the status: counts, the running embed, the watch, and the libraries of a collection.

Must not know how any of it is found out. What came later than the first version has a default: servers of a collection may be older.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Reason(BaseModel):
    """Why something rests."""

    kind: str
    message: str
    values: dict[str, str | float] = Field(
        description="what stands in the message, for who says it in another language"
    )


class Watch(BaseModel):
    """The watch that keeps the library current."""

    running: bool
    rescan_minutes: float | None = Field(
        description="how often folders are scanned that tell no changes; null when no watch runs"
    )
    rescanned: dict[str, str] = Field(
        description="folder -> why it is scanned every `rescan_minutes`; changes elsewhere are noticed at once"
    )
    reasons: dict[str, Reason] = Field(default={}, description="the same, for who says it in another language")
    stopped: str | None = Field(description="why the watch of this server does not run; null while one runs")
    stop: Reason | None = Field(default=None, description="the same, for who says it in another language")
    starts_again_in: float | None = Field(
        default=None, description="seconds from its end to its next start; null where it waits for one"
    )


class MemberStatus(BaseModel):
    """One library of a collection."""

    name: str
    where: str = Field(description="its folder or its address")
    missing: str | None = Field(description="why it does not answer; null while it does")
    images: dict[str, int] | None
    searchable_rows: int | None
    running: bool | None = Field(description="whether an embed runs")


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
    texts: dict[str, int] | None = Field(
        description="read, no text, failed, pending -> pictures; null where nobody asked for their text to be read"
    )
    left_out: dict[str, int] = Field(
        description="suffix -> files of that kind below the folders, which pixfind does not read"
    )
    offline: dict[str, str]
    roots: list[dict[str, Any]] = Field(
        default=[],
        description="what was added: path, kind, images, offline, archives, settings, exclude, exclude_configured, mounted_in",
    )
    bytes: int
    free_bytes: int
    searchable_rows: int
    paused: bool
    pause_reason: str | None
    pause: Reason | None = Field(default=None, description="the same, for who says it in another language")
    held_back: str | None
    can_control: bool
    can_add_folders: bool = Field(default=False, description="whether folders may be registered from here")
    folders: list[str]
    fields: list[str] = Field(description="names of the fields that `where` may ask for")
    labels: list[str] = Field(default_factory=list, description="names of the labels that `label` may ask for")
    has_similarity_map: bool = Field(default=False, description="whether `similarity` has something to show")
    libraries: list[MemberStatus] | None = Field(
        default=None, description="of a collection, whose counts are those of all that answer; null for one library"
    )

    model_config = ConfigDict(extra="forbid")
