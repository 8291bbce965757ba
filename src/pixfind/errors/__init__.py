"""
Every error that a user can meet, sorted by what it is about; all can be imported from here.

Families and the way in which messages are written: `base`. Former names keep working for one release: `former`.
"""

import warnings
from typing import Any

from pixfind.errors import former
from pixfind.errors.base import (
    ImageProblem,
    LibraryError,
    PixfindError,
    RequestError,
)
from pixfind.errors.embedding import (
    NothingRunning,
    UnknownMessage,
    WorkerCrashLoop,
)
from pixfind.errors.images import (
    Damaged,
    DecoderCrash,
    DecodeTimeout,
    EmptyFile,
    FileMissing,
    ModifiedDuringRead,
    ModifiedSinceScan,
    NoEmbedding,
    NotAFile,
    NotAnImage,
    TooLarge,
    Truncated,
    Unreadable,
)
from pixfind.errors.library import (
    DatabaseBusy,
    DiskFailed,
    DiskFull,
    FolderNotReadable,
    LibraryDamaged,
    LibraryLocked,
    LibraryNotFound,
    LinkInLibrary,
    MergeRefused,
    NewerLibrary,
    NotEmbedded,
    NotWritable,
    WorkerFilesBusy,
)
from pixfind.errors.model_switch import (
    ModelSwitchIncomplete,
    ModelSwitchInProgress,
    ModelSwitchRefused,
    NothingToRollBack,
    OtherModel,
    OtherPrecision,
)
from pixfind.errors.models import (
    ChecksumMismatch,
    DeviceUnavailable,
    ExtraNotInstalled,
    InvalidModelFile,
    ModelFileMissing,
    ModelMissing,
    NotFinite,
    PrecisionUnavailable,
    RuntimeOutdated,
    UnknownModel,
    UnsafeModelFile,
)
from pixfind.errors.search import (
    ImageNotFound,
    IndexFloorMissed,
    InvalidCount,
    InvalidFilter,
    InvalidQuery,
    InvalidQueryImage,
    InvalidVector,
    QueryCancelsOut,
)
from pixfind.errors.server import (
    AddressInUse,
    AlreadyRunning,
    ControlForbidden,
    EmptyBody,
    FileUnavailable,
    HostNotAllowed,
    InvalidRequest,
    InvalidToken,
    ModelNotServed,
    NotAPicture,
    NoThumbnail,
    OriginNotAllowed,
    OutsideRoots,
    Overloaded,
    PathNotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
)
from pixfind.errors.usage import (
    ConflictingOptions,
    InsufficientMemory,
    InvalidUsage,
    LibraryNotADirectory,
    NoModelSwitch,
    NothingToIndex,
    OptionRequires,
    OutputNotWritable,
)

__all__ = [
    "AddressInUse",
    "AlreadyRunning",
    "ChecksumMismatch",
    "ConflictingOptions",
    "ControlForbidden",
    "Damaged",
    "DatabaseBusy",
    "DecodeTimeout",
    "DecoderCrash",
    "DeviceUnavailable",
    "DiskFailed",
    "DiskFull",
    "EmptyBody",
    "EmptyFile",
    "ExtraNotInstalled",
    "FileMissing",
    "FileUnavailable",
    "FolderNotReadable",
    "HostNotAllowed",
    "ImageNotFound",
    "ImageProblem",
    "IndexFloorMissed",
    "InsufficientMemory",
    "InvalidCount",
    "InvalidFilter",
    "InvalidModelFile",
    "InvalidQuery",
    "InvalidQueryImage",
    "InvalidRequest",
    "InvalidToken",
    "InvalidUsage",
    "InvalidVector",
    "LibraryDamaged",
    "LibraryError",
    "LibraryLocked",
    "LibraryNotADirectory",
    "LibraryNotFound",
    "LinkInLibrary",
    "MergeRefused",
    "ModelFileMissing",
    "ModelMissing",
    "ModelNotServed",
    "ModelSwitchInProgress",
    "ModelSwitchIncomplete",
    "ModelSwitchRefused",
    "ModifiedDuringRead",
    "ModifiedSinceScan",
    "NewerLibrary",
    "NoEmbedding",
    "NoModelSwitch",
    "NoThumbnail",
    "NotAFile",
    "NotAPicture",
    "NotAnImage",
    "NotEmbedded",
    "NotFinite",
    "NotWritable",
    "NothingRunning",
    "NothingToIndex",
    "NothingToRollBack",
    "OptionRequires",
    "OriginNotAllowed",
    "OtherModel",
    "OtherPrecision",
    "OutputNotWritable",
    "OutsideRoots",
    "Overloaded",
    "PathNotAllowed",
    "PayloadTooLarge",
    "PixfindError",
    "PrecisionUnavailable",
    "QueryCancelsOut",
    "RequestError",
    "RequestTimeout",
    "RuntimeOutdated",
    "TooLarge",
    "TooManyRequests",
    "Truncated",
    "UnknownMessage",
    "UnknownModel",
    "Unreadable",
    "UnsafeModelFile",
    "WorkerCrashLoop",
    "WorkerFilesBusy",
]


def __getattr__(name: str) -> Any:
    """Return the class that had this name in version 0.1, with a warning (PEP 562)."""
    if name not in former.CLASSES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    present = former.CLASSES[name]
    warnings.warn(f"pixfind.errors.{name} is now pixfind.errors.{present}", DeprecationWarning, stacklevel=2)
    return globals()[present]
