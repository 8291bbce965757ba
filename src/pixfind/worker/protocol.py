"""
The protocol between the coordinator and its workers: every message in both directions, and its form on the wire.

Owns the message classes, the worker's configuration, its exit code, and their encoding: one JSON object a line, `{"name": {field: value, ...}}`.
Must not know how lines travel (`embedding.runners`) or what either side does with a message.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pixfind import errors
from pixfind.types import ImageRef, ReadText, Settled, TextLine

EXIT_DEGRADED = 75
"""exit code of a worker whose threads hang in images: replace it, and quarantine nothing that it was assigned"""

RESTS = 256
"""what a worker's run ends with in place of an exit code when it rests; no process can end with it"""

LOST = 257
"""what a worker's run ends with in place of an exit code when the machine that it ran on is gone: it speaks against no image"""

COORDINATOR = "PIXFIND_COORDINATOR"
"""environment variable of a worker's process: id of the process that started it, which may have ended by the time that it is read"""

# --- to a worker ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker is given at the start of a run: the first line of its standard input, and the next one after `Rest`."""

    worker: int
    """its number: 0, 1, ..."""
    data: str
    """directory of the worker files"""
    logs: str
    """directory of the log files"""
    model: str
    """name or directory of the model"""
    model_hash: str
    """of its files"""
    dimension: int
    """numbers in one embedding"""
    precision: str
    device: str
    threads: int
    """inference threads"""
    decoders: int
    """images decoded at a time"""
    read_ahead: int
    """bytes of files held in memory at most"""
    batches: tuple[int, ...]
    """batch sizes to try on a processor; the fastest is kept"""
    gpu_batches: tuple[int, ...]
    """... and on anything else"""
    max_pixels: int
    max_scaled_pixels: int
    seconds_per_image: float
    """time limit for one image"""
    memory: int
    """bytes of data that this worker may allocate"""
    cpu_quota: float
    """cores that this worker may use; inf: no limit"""
    sources: tuple[tuple[str, str], ...] = ()
    """(root, JSON of its settings) of the roots that lie on other machines"""
    patience: float = 0.0
    """seconds to wait for a source that cannot be reached"""
    reads_text: bool = False
    """read the text in images, in place of embedding them"""
    nice: int = 0
    """added to the niceness of the process"""
    plan: tuple[str, ...] = ()
    """lines for the top of the log"""
    maps: tuple[tuple[str, str], ...] = ()
    """(from, to): folders of the library's machine, and where a node has them"""
    sends_rows: bool = False
    """rows go to the coordinator as `Rows`, and nothing is written into `data`, which may lie on another machine; files that are missing here are fetched"""

    @property
    def encoder(self) -> tuple[object, ...]:
        """What decides which encoder or reader is loaded, and how: the same value for two runs that can share it."""
        if self.reads_text:
            return self.reads_text, self.threads
        return self.model, self.model_hash, self.dimension, self.precision, self.device, self.threads


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed these images."""

    images: tuple[ImageRef, ...]


@dataclass(frozen=True, slots=True)
class ClaimsAnswered:
    """The answer to `Claim`: embed the granted images and drop the refused ones, whose bytes are embedded elsewhere."""

    granted: tuple[int, ...] = ()
    """image ids"""
    refused: tuple[int, ...] = ()
    """image ids"""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of the processor the worker may use from now on."""

    cpu_quota: float
    """cores; inf: no limit; 0: pause"""


@dataclass(frozen=True, slots=True)
class Stop:
    """Save what went through the model, and end."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Save what went through the model, and keep the model for another run; nothing else is sent until its configuration."""


@dataclass(frozen=True, slots=True)
class Content:
    """The answer to `Fetch`: the file of an image, as the library's machine has read it, or why it could not."""

    image_id: int
    data: bytes
    size: int
    """of its fingerprint, as the next two"""
    mtime_ns: int
    hash: bytes
    taken_at: tuple[int, ...] = ()
    """seconds since 1970, where a file beside it tells; or nothing"""
    place: tuple[float, ...] = ()
    """likewise: latitude and longitude, or nothing"""
    problem: str = ""
    """name of the class in `errors`; then there are no data"""
    fields: Mapping[str, str] = field(default_factory=dict)
    """of the problem"""


@dataclass(frozen=True, slots=True)
class ModelPart:
    """The answer to `FetchModel`."""

    file: str
    offset: int
    data: bytes
    files: tuple[tuple[str, int, str], ...] = ()
    """(name, bytes, SHA-256) of each file, where they were asked for"""


ToWorker = Embed | ClaimsAnswered | Quota | Stop | Rest | Content | ModelPart

# --- from a worker --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and the worker's files are locked."""

    device: str
    precision: str
    batch: int
    """images that may go through the model together"""


@dataclass(frozen=True, slots=True)
class Claim:
    """May these images be embedded? Sent for images of which another file has the same size."""

    contents: tuple[tuple[int, bytes], ...]
    """(image id, content hash)"""


@dataclass(frozen=True, slots=True)
class Embedded:
    """These images went through the model and are not saved yet: more can be assigned."""

    image_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The file of an image is not the one that the catalogue knows."""

    image_id: int
    size: int
    """bytes, now"""
    mtime_ns: int
    """nanoseconds since 1970, now"""


@dataclass(frozen=True, slots=True)
class Left:
    """An image whose source cannot be reached: it stays pending."""

    image_id: int
    why: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The worker waits for a source that cannot be reached, or, with an empty text, no longer does."""

    why: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a worker on another machine: what carries its messages makes them durable before it passes on what follows."""

    table: bytes
    """INDEX_ROW entries [n] of `storage.embedding_files`"""
    embeddings: bytes
    """[n, d] float16, little-endian"""


@dataclass(frozen=True, slots=True)
class Fetch:
    """The worker's machine has no such file as an image's: what carries its messages answers with `Content`, from the library's machine."""

    image_id: int


@dataclass(frozen=True, slots=True)
class FetchModel:
    """The worker's machine does not have the library's model: likewise, with a part of one of its files, or with their list."""

    file: str
    """relative to the model's folder; empty: which files there are"""
    offset: int
    """bytes before the part"""


@dataclass(frozen=True, slots=True)
class Saved:
    """Rows are durable, and images ended without a row; with the counters of the worker since its model was loaded."""

    rows: int
    """since the last Saved"""
    settled: tuple[Settled, ...]
    """images that ended without a row since the last Saved"""
    changed: tuple[Changed, ...]
    """images that were not embedded because their file has changed"""
    left: tuple[Left, ...]
    """images that were given up for this run since the last Saved"""
    stages: Mapping[str, float]
    """stage -> seconds; those of several threads add up"""
    bytes_read: int
    loader_threads: int
    """threads that read and decode at the moment"""
    processor_seconds: float
    texts: tuple[ReadText, ...] = ()
    """that were read since the last Saved: a worker that reads has no rows, and the coordinator makes these durable"""


@dataclass(frozen=True, slots=True)
class Fatal:
    """An OperationError that ends the worker, and with it the run."""

    error: str
    """name of the class in `errors`"""
    fields: Mapping[str, str]

    @classmethod
    def of(cls, error: errors.OperationError) -> "Fatal":
        """Return the message that carries `error`; its fields travel as text."""
        return cls(type(error).__name__, {name: str(value) for name, value in error.fields.items()})

    def rebuilt(self) -> errors.OperationError:
        """Return the error that the worker met; UnknownMessage when this version has no such error."""
        kind = getattr(errors, self.error, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.OperationError)):
            return errors.UnknownMessage(detail=f"error {self.error}")
        return kind(**self.fields)


@dataclass(frozen=True, slots=True)
class Resting:
    """The answer to `Rest`: no file of the library is open any more. A worker that should not be used again ends instead."""


FromWorker = Ready | Claim | Embedded | HeldBack | Rows | Fetch | FetchModel | Saved | Fatal | Resting

# --- the wire -------------------------------------------------------------------------------------

_NAMES: dict[type, str] = {
    WorkerConfig: "config",
    Embed: "embed",
    ClaimsAnswered: "claims_answered",
    Quota: "quota",
    Stop: "stop",
    Rest: "rest",
    Ready: "ready",
    Claim: "claim",
    Embedded: "embedded",
    HeldBack: "held_back",
    Rows: "rows",
    Fetch: "fetch",
    Content: "content",
    FetchModel: "fetch_model",
    ModelPart: "model_part",
    Saved: "saved",
    Fatal: "fatal",
    Resting: "resting",
}

_FIELDS: dict[type, dict[str, Any]] = {
    kind: get_type_hints(kind) for kind in (*_NAMES, ImageRef, Settled, Changed, Left, ReadText, TextLine)
}
"""class -> field -> type, in the order of the fields"""

_M = TypeVar("_M")


def encode(message: WorkerConfig | ToWorker | FromWorker) -> str:
    """Return a message as one line of ASCII JSON, without its newline."""
    content = {each.name: getattr(message, each.name) for each in dataclasses.fields(message)}
    return json.dumps({_NAMES[type(message)]: content}, default=_plain)


def decode_config(line: str) -> WorkerConfig:
    """Return the configuration in a line; raises UnknownMessage for anything else."""
    return _decode(line, WorkerConfig)


def decode_to_worker(line: str) -> ToWorker:
    """Return the message to a worker in a line; raises UnknownMessage for anything else."""
    message: ToWorker = _decode(line, *get_args(ToWorker))
    return message


def decode_from_worker(line: str) -> FromWorker:
    """Return the message from a worker in a line; raises UnknownMessage for anything else."""
    message: FromWorker = _decode(line, *get_args(FromWorker))
    return message


def _decode(line: str, *kinds: type[_M]) -> _M:
    by_name = {_NAMES[kind]: kind for kind in kinds}
    try:
        ((name, content),) = json.loads(line).items()
        return _build(by_name[name], content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.UnknownMessage(detail=line.strip()[:200]) from error


def _plain(value: object) -> object:
    """Return what JSON has for values inside a message: a list for a dataclass, hexadecimal digits for bytes."""
    if isinstance(value, bytes):
        return value.hex()
    assert dataclasses.is_dataclass(value)
    return [getattr(value, each.name) for each in dataclasses.fields(value)]


def _build(kind: type[_M], content: Any) -> _M:
    """Return the dataclass `kind` from its JSON, an object or a list; raises ValueError, TypeError or KeyError when it does not fit."""
    hints = _FIELDS[kind]
    if isinstance(content, list):
        content = dict(zip(hints, content, strict=True))
    if not content.keys() <= hints.keys():
        raise ValueError(content)
    return kind(**{name: _value(hints[name], value) for name, value in content.items()})


def _value(hint: Any, value: Any) -> Any:
    """Return `value`, as JSON gave it, as the type `hint`; raises like `_build`."""
    items = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError(value)
        types_ = items[:1] * len(value) if items[-1] is Ellipsis else items
        return tuple(_value(item, one) for item, one in zip(types_, value, strict=True))
    if get_origin(hint) is Mapping:
        return {name: _value(items[1], one) for name, one in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _build(hint, value)
    if hint is bytes:
        return bytes.fromhex(value)
    if issubclass(hint, StrEnum):
        return hint(value)
    if not isinstance(value, (int, float) if hint is float else hint):
        raise TypeError(value)
    return value
