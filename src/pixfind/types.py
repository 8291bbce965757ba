"""
The data that passes between modules: frozen, without behaviour that needs a library.

Knows nothing about files, models or SQLite; every other module may import it.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

HASH_BYTES = 16
"""Length of a content hash: BLAKE3 with a 16-byte digest over the whole file."""


class Outcome(StrEnum):
    """The result of processing an image. An image without an outcome is pending."""

    EMBEDDED = "embedded"
    """has its own row in the embeddings"""
    DUPLICATE = "duplicate"
    """has the same bytes as an embedded image and shares its row"""
    FAILED = "failed"
    """could not be decoded; the reason says why"""
    SKIPPED = "skipped"
    """left out by a rule; the reason names it"""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of a file's bytes."""

    size: int
    """bytes"""
    mtime_ns: int
    """nanoseconds since 1970"""
    hash: bytes
    """HASH_BYTES long"""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image to embed: its id, its path, and the file that the catalogue expects there."""

    image_id: int
    path: str
    size: int
    """bytes"""
    mtime_ns: int
    """nanoseconds since 1970"""
    same_size: bool = False
    """another file has the same size, so this may be a duplicate: the worker asks the coordinator before embedding it"""


@dataclass(frozen=True, slots=True)
class Settled:
    """An image that ended without an embedding of its own."""

    image_id: int
    outcome: Outcome
    reason: str
    transient: bool = False
    """the next run tries it again"""


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """Metadata of a picture that filters use; read once, while it is embedded."""

    width: int = 0
    """pixels, upright (after EXIF orientation); 0 when unknown"""
    height: int = 0
    taken_at: int | None = None
    """EXIF DateTimeOriginal as seconds since 1970, read as UTC when the picture names no offset"""
    camera: str = ""
    """EXIF make and model, at most 40 characters"""
    latitude: float | None = None
    """degrees, north positive"""
    longitude: float | None = None
    """degrees, east positive"""

    def with_facts_of(self, side: Self) -> Self:
        """Return this with the date and the place of `side` where it has none."""
        made = self if self.taken_at is not None else replace(self, taken_at=side.taken_at)
        return made if made.latitude is not None else replace(made, latitude=side.latitude, longitude=side.longitude)


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image whose embedding was made: what is recorded with the embedding."""

    image_id: int
    fingerprint: Fingerprint
    """of the bytes that were embedded"""
    metadata: ImageMetadata


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text in a picture."""

    text: str
    confidence: float
    """0 to 1"""
    box: tuple[float, ...]
    """corners, from the beginning of the line on: x, y, x, y, x, y, x, y, from 0 to 1 of the width and the height of the upright picture"""


@dataclass(frozen=True, slots=True)
class ReadText:
    """The text that was read in an image."""

    image_id: int
    hash: bytes
    """of the bytes that were read"""
    lines: tuple[TextLine, ...]
    """from top to bottom; none where there is no text"""


class Sort(StrEnum):
    """The order of hits."""

    SCORE = "score"
    """the best first"""
    DATE = "date"
    """by the time at which they were taken (or, where that is unknown, their file was changed), the newest first"""
    ADDED = "added"
    """by the time at which they were registered, the last first"""


class Split(NamedTuple):
    """How `pixfind tune` found that a model runs fastest on this machine."""

    cores: int
    """that the workers shared"""
    workers: int
    batch: int
    """images that go through the model together"""


class Clock(Protocol):
    """The functions of the module `time` that we use; tests pass a clock that they control (`pixfind.testing.Clock`)."""

    def time(self) -> float:
        """Return seconds since 1970."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never decreases."""

    def process_time(self) -> float:
        """Return the processor time that this process has used, seconds."""

    def sleep(self, seconds: float, /) -> None:
        """Wait for so many seconds."""


Progress = Callable[[int, int | None], None]
"""Called with the amount done and the total, None where it is not known."""


def no_progress(done: int, total: int | None) -> None:
    """Ignore the progress."""


T = TypeVar("T")


class Choice(NamedTuple, Generic[T]):
    """An automatic decision and why it was taken; `pixfind plan` prints both."""

    value: T
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something rests, in words, and for programs that say it in another language as a kind with what stands in the words."""

    kind: str
    message: str
    values: dict[str, str | float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


class TerminalImages(StrEnum):
    """How thumbnails are shown in the terminal."""

    AUTO = "auto"
    """the best protocol that the terminal supports"""
    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    NONE = "none"


def numbered(count: int, noun: str, plural: str | None = None) -> str:
    """Return "1 group" or "2 groups", of a count and its noun; `plural` where that is more than an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def format_bytes(count: float) -> str:
    """Return a number of bytes for people: 512 bytes, 34 kB, 565 MB or 1.2 GB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return numbered(round(count), "byte")


def format_transfer(done: int, total: int, began: float, first: int, now: float) -> str:
    """Return how far a transfer of `total` bytes is, its rate and the time left; `first` bytes were there at the moment `began`, seconds."""
    rate = (done - first) / (now - began) if now > began else 0.0
    text = f"{format_bytes(done)} of {format_bytes(total)}"
    return f"{text}, {format_bytes(rate)}/s, {format_duration((total - done) / rate)} left" if rate else text


def format_duration(seconds: float) -> str:
    """Return a duration for people, in at most two units: 8.5 s, 1 min 40 s or 3 d 4 h."""
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"  # noqa: PLR2004


def format_moment(seconds: float) -> str:
    """Return a moment of a video as players show it: 0:12 or 1:02:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def iso_time(seconds: float | None) -> str | None:
    """Return seconds since 1970 as ISO 8601 without an offset; None where there are none, or for a year beyond 9999."""
    if seconds is None:
        return None
    try:
        return (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=int(seconds))).isoformat()  # noqa: DTZ001  EXIF times rarely have a zone
    except OverflowError:
        return None
