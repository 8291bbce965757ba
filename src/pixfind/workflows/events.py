"""
What a workflow tells while it works: frozen events, passed to one function that the caller gives.

Nothing here prints. The command line draws bars from these events (`cli.progress`); a program may count, log or show them as it likes.
A step begins with `StepStarted` or `EmbedStarted` and ends with the event that carries its report, or with the next step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pixfind.embedding.plan import Plan
from pixfind.embedding.progress import RunReport, Snapshot
from pixfind.errors import ThumbnailsTooLarge
from pixfind.library.library import ModelIdentity
from pixfind.library.merge import Merged
from pixfind.library.scan_report import ScanReport
from pixfind.library.thumbnail_progress import ThumbnailReport
from pixfind.search.build import BuildReport
from pixfind.search.labelling import LabelReport
from pixfind.types import Progress


class Step(StrEnum):
    """A part of a workflow that may take long."""

    FETCH_MODEL = "fetch_model"
    """progress in bytes of all files that are to be downloaded"""
    SCAN = "scan"
    """progress in files"""
    MERGE = "merge"
    """progress in rows, as in the steps below"""
    BUILD_INDEX = "build_index"
    MAP = "map"
    """of the similarity map"""
    LABEL = "label"
    THUMBNAILS = "thumbnails"
    """of the embeddings whose images get theirs"""
    VERIFY = "verify"
    """checks the embeddings of the model that is about to answer"""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins."""

    step: Step
    subject: str = ""
    """the folder that is scanned"""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step has come."""

    step: Step
    done: int
    total: int | None
    """None: nobody knows"""


@dataclass(frozen=True, slots=True)
class FolderScanned:
    """The pictures of a root are registered."""

    folder: str
    """the folder, archive or address"""
    report: ScanReport


@dataclass(frozen=True, slots=True)
class PrecisionTried:
    """A precision of the model is being measured on a sample."""

    precision: str


@dataclass(frozen=True, slots=True)
class ModelChosen:
    """The model and the precision that embeds."""

    model: ModelIdentity
    reason: str
    """of the precision"""


@dataclass(frozen=True, slots=True)
class SwitchBegun:
    """Another model is embedded beside the active one, which answers until the new one is complete."""

    active: ModelIdentity


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """Images that were moved from the part of another library took their embeddings from there."""

    images: int


@dataclass(frozen=True, slots=True)
class EmbedStarted:
    """The pending images are about to be embedded."""

    pending: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class EmbedProgress:
    """A running embed, a few times a second."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class EmbedFinished:
    """The embed has ended, or was stopped."""

    report: RunReport


@dataclass(frozen=True, slots=True)
class ReadStarted:
    """The text in pictures is about to be read; its progress comes as `EmbedProgress`."""

    pending: int
    """pictures, copies not counted"""
    plan: Plan


@dataclass(frozen=True, slots=True)
class ReadFinished:
    """Reading has ended, or was stopped."""

    report: RunReport


@dataclass(frozen=True, slots=True)
class RowsMerged:
    """The rows that workers saved are in embeddings.npy."""

    report: Merged


@dataclass(frozen=True, slots=True)
class IndexBuilt:
    """The index covers every merged row."""

    report: BuildReport


@dataclass(frozen=True, slots=True)
class Labelled:
    """The pictures have the labels of the library."""

    report: LabelReport


@dataclass(frozen=True, slots=True)
class ThumbnailsMade:
    """Thumbnails were made ahead, or making them was stopped."""

    report: ThumbnailReport


@dataclass(frozen=True, slots=True)
class ThumbnailsRefused:
    """The disk has no room for the thumbnails; all else is done."""

    error: ThumbnailsTooLarge


@dataclass(frozen=True, slots=True)
class ModelSwitched:
    """Another model answers now."""

    model: ModelIdentity
    previous: ModelIdentity
    """kept for a rollback"""


Event = (
    StepStarted
    | StepProgress
    | FolderScanned
    | PrecisionTried
    | ModelChosen
    | SwitchBegun
    | CarriedOver
    | EmbedStarted
    | EmbedProgress
    | EmbedFinished
    | ReadStarted
    | ReadFinished
    | RowsMerged
    | IndexBuilt
    | Labelled
    | ThumbnailsMade
    | ThumbnailsRefused
    | ModelSwitched
)

Observer = Callable[[Event], None]
"""Called in the thread of the workflow; what it raises ends the workflow, and what was saved until then is kept."""


def ignore(event: Event) -> None:
    """Observe nothing."""


def start(step: Step, observer: Observer, subject: str = "") -> Progress:
    """Tell the observer that a step begins, and return what tells its progress."""
    observer(StepStarted(step, subject))
    return lambda done, total: observer(StepProgress(step, done, total))
