"""
The shape of the status: counts, the running embed, the watch, and the libraries of a collection.

Must not know how any of it is found out. What came later than the first version has a default: servers of a collection may be older.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Reason(BaseModel):
    """Why something rests."""

    kind: str = Field(description="name of the reason, for programs")
    message: str = Field(description="in English")
    values: dict[str, str | float] = Field(
        description="what stands in the message, for who says it in another language"
    )


class Watch(BaseModel):
    """The watch that keeps the library current."""

    running: bool = Field(description="whether changes are noticed now")
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

    name: str = Field(description="as in the collection")
    where: str = Field(description="its folder or its address")
    missing: str | None = Field(description="why it does not answer; null while it does")
    images: dict[str, int] | None = Field(description="as those of the status; null while it does not answer")
    searchable_rows: int | None = Field(
        description="embeddings that a search goes through; null while it does not answer"
    )
    searchable_images: int | None = Field(description="images that a search can find; null while it does not answer")
    running: bool | None = Field(description="whether an embed runs")


class Status(BaseModel):
    """The values of `pixfind status --json`, and some more for the page."""

    library: str = Field(description="its folder on the server's machine, or the names of a collection's libraries")
    is_default_library: bool = Field(
        default=False, description="whether commands use it without `--library`, unless the environment names another"
    )
    images: dict[str, int] = Field(description="seen = embedded + duplicate + failed + skipped + pending")
    merged_rows: int = Field(description="embeddings in `embeddings.npy`")
    index_rows: int = Field(description="embeddings in the index")
    recall: float | None = Field(
        description="share of the ten nearest images that the index found when it was built, 0 to 1; null: without an index, or of a collection"
    )
    model: str | None = Field(description="that answers; null: nothing is embedded yet")
    precision: str | None = Field(description="of the model: fp32, fp16 or int8; null: nothing is embedded yet")
    change: dict[str, Any] | None = Field(
        description="the model that is to answer next, with its counts; null when none is"
    )
    kept: list[dict[str, Any]] = Field(description="models that answered before or were abandoned, with their counts")
    running: bool = Field(description="whether a command writes the library now")
    run: dict[str, Any] | None = Field(
        description="of that command: verb, pid, host, and started_at in seconds since 1970; null while none runs"
    )
    watch: Watch | None = Field(description="null when no watch runs and this server was not asked for one")
    workers: list[dict[str, Any]] = Field(
        description="of a running embed, each with its host, device, images and images_per_second; empty while none runs"
    )
    images_per_second: float | None = Field(
        description="of a running embed over the last minute; null: none runs, or it has only begun"
    )
    eta_seconds: float | None = Field(
        description="seconds to the end of a running embed; null: none runs, or not known yet"
    )
    bottleneck: str | None = Field(
        description="of a running embed: disk, network, decode, model or budget; null: none runs, or not known yet"
    )
    because: str | None = Field(description="the figures behind the bottleneck")
    stages: dict[str, float] = Field(description="stage -> seconds a second, all workers together")
    bytes_per_second: float | None = Field(description="that a running embed reads; null: none runs, or not known yet")
    cores: float | None = Field(description="processors that the embed uses")
    failures: dict[str, int] = Field(description="reason -> images that have no embedding because of it")
    texts: dict[str, int] | None = Field(
        description="read, no text, failed, pending -> pictures; null where nobody asked for their text to be read"
    )
    left_out: dict[str, int] = Field(
        description="suffix -> files of that kind below the folders, which pixfind does not read"
    )
    offline: dict[str, str] = Field(description="folder -> why it is away; its pictures are not shown, and kept")
    roots: list[dict[str, Any]] = Field(
        default=[],
        description="what was added: path, kind, images, offline, archives, settings, exclude, exclude_configured, mounted_in",
    )
    bytes: int = Field(description="on disk, of the library's own files")
    free_bytes: int = Field(description="on the disk of the library")
    searchable_rows: int = Field(
        description="embeddings that a search goes through, those of images that have gone since included"
    )
    searchable_images: int = Field(description="images that a search can find, those that share an embedding included")
    paused: bool = Field(description="whether a running embed is paused")
    pause_reason: str | None = Field(description="why it is, in English; null while it is not")
    pause: Reason | None = Field(default=None, description="the same, for who says it in another language")
    held_back: str | None = Field(
        description="for which store or server a running embed waits, and why; null while it waits for none"
    )
    can_control: bool = Field(description="whether this server may start, pause and stop an embed")
    can_add_folders: bool = Field(default=False, description="whether folders may be registered from here")
    folders: list[str] = Field(description="that were registered, as paths")
    fields: list[str] = Field(description="names of the fields that `where` may ask for")
    labels: list[str] = Field(default_factory=list, description="names of the labels that `label` may ask for")
    has_similarity_map: bool = Field(default=False, description="whether `similarity` has something to show")
    libraries: list[MemberStatus] | None = Field(
        default=None, description="of a collection, whose counts are those of all that answer; null for one library"
    )

    model_config = ConfigDict(extra="forbid")
